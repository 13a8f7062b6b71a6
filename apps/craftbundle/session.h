// What every command works with: options of the whole program, the console, the host, standard
// output.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "console.h"
#include "craftbundle/detail/host/host.h"
#include "craftbundle/detail/io/input_file.h"

namespace craftbundle::app {

struct GlobalOptions {
  std::vector<std::string> plugin_directories;
  ConsoleOptions console;
};

// Exit codes, as docs and --help state them.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitRefused = 3;
inline constexpr int kExitMismatch = 4;
inline constexpr int kExitInterrupted = 130;
int exit_code(ErrorKind kind);

class Session {
 public:
  Session(const GlobalOptions& options, const Cancellation& cancellation);

  Console& console() { return console_; }
  const Cancellation& cancellation() const { return cancellation_; }
  bool quiet() const { return options_.console.quiet; }

  // Scans for plugins when first used.
  const Host& host();
  PluginSearch search() const;
  // As --plugin-dir gave them, absolute.
  std::vector<std::string> search_directories() const;

  // Writes to standard output. A reader that went away is no error. A terminal gets no byte that it
  // would obey, whatever `text` is made of, unless it is to be `raw`.
  void print(std::string_view text, bool raw = false);
  // The bytes of a file, to standard output.
  void copy(const InputFile& file);

 private:
  const GlobalOptions options_;
  const Cancellation& cancellation_;
  Console console_;
  std::unique_ptr<Host> host_;
};

// A command that was given: runs with a session and returns the exit code. `json` tells that a
// failure must be JSON on standard output as well.
struct Command {
  std::function<int(Session&)> run;
  bool json = false;
};

}  // namespace craftbundle::app
