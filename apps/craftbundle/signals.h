// Ctrl-C and its relatives.
#pragma once

#include "craftbundle/detail/base/sink.h"

namespace craftbundle::app {

// From now on SIGINT, SIGTERM and SIGHUP set the cancellation that is returned; a second one ends
// the process at once. SIGPIPE and SIGXFSZ are ignored: the failing write tells.
const Cancellation& install_signal_handlers();

// Ends the process as its signal wants it, after everything was cleaned up: exit code 130 for
// SIGINT, death by the signal for the others. `otherwise` is the exit code when no signal came.
[[noreturn]] void exit_interrupted(int otherwise);

}  // namespace craftbundle::app
