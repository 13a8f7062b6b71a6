// Running another program.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/io/path.h"

namespace CRAFTBUNDLE_API craftbundle {

struct ProgramCall {
  std::vector<std::string> arguments;  // the first one is the program; no shell reads them
  std::vector<std::pair<std::string, std::string>> environment;  // added to that of this process
  Path directory;                                                // where it runs; empty: here
  Path output;  // file that standard output and error are appended to
};

struct ProgramEnd {
  int exit_code = 0;
  int signal = 0;  // that ended it; 0: it exited
};

// Where the program `name` is: itself when it has a '/' (relative to `directory`), else looked for
// in PATH. nullopt when there is none that can be run.
std::optional<Path> find_program(const std::string& name, const Path& directory);

// Runs a program to its end, in a process group of its own and with nothing on standard input. On
// cancellation the group gets SIGTERM, and SIGKILL after five seconds, and Error(interrupted) is
// thrown. The program is killed when this process dies, whatever kills it; programs that it started
// in turn may go on. Throws Error(usage, "program.not_found"), Error(system) when it cannot be
// started.
//
// Thread: any; the calling thread must be the one that waits (it is, as the call does not return
// before), because the kernel ties the program's life to that thread's.
ProgramEnd run_program(const ProgramCall& call, const Cancellation& cancellation);

}  // namespace craftbundle
