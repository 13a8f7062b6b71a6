// The encoder of a T5, which transformers and AudioCraft have in the same names.
#pragma once

#include <string>
#include <vector>

#include "craftbundle/detail/io/path.h"
#include "craftbundle/detail/plugin/layout.h"
#include "craftbundle/detail/plugin/model.h"
#include "part.h"

namespace craftbundle::transformers {

inline constexpr std::string_view kTextFamily = "t5";

// The configuration as it lies in the folder, without what only says how that was written.
Part text_part(const Model& model);

// `tensors` of a whole T5 or of its encoder; the decoder's are left out. Files of a tokenizer are
// those of `directory`. Throws Error(input, "layout.*").
Model text_model(const Json& config, const std::vector<NamedTensor>& tensors, const Path& directory,
                 LayoutContext& context);

// The name that AudioCraft has for the T5 of `config`: the one it was loaded by, else the one with
// its sizes.
std::string text_encoder_name(const Json& config);

}  // namespace craftbundle::transformers
