// Files with tensors: what torch.save and safetensors write, opened without running anything.
//
//   const auto checkpoint = craftbundle::Checkpoint::open("checkpoint.th");
//   const craftbundle::Object state = checkpoint->root().at("model");
//   for (const auto [name, value] : state.entries()) {
//     const craftbundle::Tensor tensor = checkpoint->tensor(value);  // its bytes stay in the file
//   }
#pragma once

#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "craftbundle/detail/checkpoint/elements.h"
#include "craftbundle/detail/checkpoint/named_tensor.h"
#include "craftbundle/detail/checkpoint/object.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/checkpoint/safetensors.h"
#include "craftbundle/detail/omegaconf/config.h"
#include "craftbundle/error.h"
