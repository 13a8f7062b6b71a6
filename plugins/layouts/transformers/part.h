// One model of a folder of transformers: a codec, a language model or a text encoder.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "craftbundle/detail/checkpoint/named_tensor.h"

namespace craftbundle::transformers {

// Sorted by key, as transformers writes its files. Floats keep their point: since release 5 its
// configurations take no integers for them.
using Json = nlohmann::json;

struct Part {
  Json config;                       // its part of config.json
  std::vector<NamedTensor> tensors;  // under its own names, without those of a larger model
  // Whether the way back gives the model again, as it was. Not when something was folded.
  bool reversible = true;
};

}  // namespace craftbundle::transformers
