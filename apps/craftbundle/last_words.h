// What is said when the process ends where no exception can pass.
#pragma once

#include "console.h"

namespace craftbundle::app {

// From now on: memory that runs out where nobody can throw, in a static initializer of a library,
// is an error like others, with exit code 1. A crash in a function of a plugin is reported with the
// names of both before it takes its course; an exit() there as well, and the exit code is 1.
void prepare_for_the_worst(const Console& console);

}  // namespace craftbundle::app
