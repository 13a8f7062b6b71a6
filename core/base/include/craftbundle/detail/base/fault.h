// Errors that say nothing about what was asked for.
#pragma once

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// Whether the machine is at fault: no more descriptors or memory, a disk that fails. Nobody is to
// be blamed for such an error, and nothing to be concluded from it.
bool is_fault_of_machine(const Error& error);

}  // namespace craftbundle
