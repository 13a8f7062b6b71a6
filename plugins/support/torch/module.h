// What Module is made of: for the files that include LibTorch.
#pragma once

#include <torch/script.h>

#include "craftbundle/torch_network.h"

namespace craftbundle::network {

struct Module::Impl {
  torch::jit::Module script;
};

// A new module of class __torch__.craftbundle.<name>.
torch::jit::Module new_module(const std::string& name);

}  // namespace craftbundle::network
