// A tensor under the name that a state dict has for it.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/checkpoint/elements.h"
#include "craftbundle/detail/checkpoint/tensor_file.h"

namespace CRAFTBUNDLE_API craftbundle {

struct NamedTensor {
  std::string name;
  std::variant<Tensor, ComputedTensor, JoinedTensor> tensor;

  DType dtype() const;
  const std::vector<std::int64_t>& shape() const;
};

// Its elements, rounded as they will be written. Throws as elements_of(const Tensor&).
ElementsPtr elements_of(const NamedTensor& named);

}  // namespace craftbundle
