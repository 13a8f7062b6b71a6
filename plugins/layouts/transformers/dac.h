// DAC as transformers has it (DacModel), and back.
#pragma once

#include <vector>

#include "craftbundle/detail/plugin/layout.h"
#include "craftbundle/detail/plugin/model.h"
#include "part.h"
#include "problems.h"

namespace craftbundle::transformers {

// Weight norms are folded, as transformers' convolutions have none.
Part dac_part(const Model& model, Problems& problems);

// preprocessor_config.json of it.
Json dac_preprocessor(const Json& config);

// A DAC with folded weight norms. Throws Error(input, "layout.*").
Model dac_model(const Json& config, std::vector<NamedTensor> tensors);

// Their names for tensors of ours.
std::vector<TensorAlias> dac_aliases(const Model& model);

}  // namespace craftbundle::transformers
