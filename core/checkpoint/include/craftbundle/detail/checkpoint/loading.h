// Which PyTorch loads a checkpoint.
#pragma once

#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/checkpoint/checkpoint.h"

namespace CRAFTBUNDLE_API craftbundle {

// Why torch.load(file, weights_only=True), the default since PyTorch 2.6, refuses the file: one
// clause each, empty when it loads. Names outside of its list, and pickle protocols that it does
// not read (torch/_weights_only_unpickler.py of 2.6; later versions only allow more).
std::vector<std::string> weights_only_obstacles(const Checkpoint& checkpoint);

// The first PyTorch that reads the container and the element types: "1.6", "2.1", "any" for the
// legacy layout.
std::string oldest_pytorch(const Checkpoint& checkpoint);

}  // namespace craftbundle
