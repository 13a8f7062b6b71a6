// The words that people have for element types.
#pragma once

#include <optional>
#include <string_view>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/tensor/dtype.h"

namespace CRAFTBUNDLE_API craftbundle {

// "float16", "torch.float16", "fp16", "half", "F16": whatever the case. nullopt for any other word.
std::optional<DType> dtype_from_word(std::string_view word);

}  // namespace craftbundle
