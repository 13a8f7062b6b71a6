// Errors that say nothing about what was asked for.
#pragma once

#include <system_error>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// Whether the machine is at fault: no more descriptors or memory, a disk that fails. Nobody is to
// be blamed for such an error, and nothing to be concluded from it.
bool is_fault_of_machine(const Error& error);

// Error(system, "run.memory"): an allocation failed.
Error memory_error();

// Error(system, "run.threads"): a thread could not be started, for want of memory or by a limit.
Error thread_error(const std::error_code& failure);

// What became of the exception that is being handled: an Error as it is, one of the standard
// library that a lack of memory or threads explains as above, any other as Error(internal,
// "run.internal"). REQUIRES: called in a handler.
Error current_error();

}  // namespace craftbundle
