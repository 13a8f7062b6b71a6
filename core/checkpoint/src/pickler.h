// The pickle of a package, in the subset that torch.load with and without weights_only and LibTorch
// all read: protocol 2, no one-item opcodes, eight-byte long integers, plain dicts and lists.
#pragma once

#include <string>

#include "craftbundle/detail/checkpoint/package.h"
#include "package_plan.h"

namespace craftbundle {

// REQUIRES: `plan` was made from `root`.
std::string pickle_package(const Value& root, const PackagePlan& plan);

}  // namespace craftbundle
