// Files with tensors: what torch.save and safetensors write, opened without running anything.
//
//   const auto checkpoint = craftbundle::Checkpoint::open("checkpoint.th");
//   const craftbundle::Object state = checkpoint->root().at("best_state").at("model");
//   for (const auto [name, value] : state.entries()) {
//     const craftbundle::Tensor tensor = checkpoint->tensor(value);  // its bytes stay in the file
//   }
#pragma once

#include "craftbundle/checkpoint/checkpoint.h"
#include "craftbundle/checkpoint/elements.h"
#include "craftbundle/checkpoint/named_tensor.h"
#include "craftbundle/checkpoint/object.h"
#include "craftbundle/checkpoint/package.h"
#include "craftbundle/checkpoint/safetensors.h"
#include "craftbundle/error.h"
#include "craftbundle/omegaconf/config.h"
