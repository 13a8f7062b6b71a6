// The checks that every plugin passes, one function each. They run in a child.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "craftbundle/detail/host/scan.h"

namespace craftbundle {

// Why a check failed; nullopt: it passed.
using CheckOutcome = std::optional<std::string>;

// What a check is at, for the parent to read should the child not live to tell, and what the plugin
// prints: two small files.
class CheckLog {
 public:
  explicit CheckLog(Path path) : path_(std::move(path)) {}
  void clear() const;
  // Of the child: from now on, standard output goes to a file.
  void catch_output() const;
  // The plugin's `call`, "exporter 'x': probe()", is next, with `input`, which is a file, or says
  // what it is.
  void begin(const std::string& call, const std::string& input) const;

  std::string last_call() const;   // with its input; empty when there was none
  std::string last_input() const;  // as it was given
  std::string output() const;      // the beginning of it

 private:
  Path path_;
};

// What a check has to look at, and what it has to say about what was not there.
struct CheckRun {
  const Path& library;
  std::vector<std::string> files;
  const CheckLog& log;
  std::vector<std::string>& not_checked;
};

// Looks at what the others printed, in the parent.
inline constexpr std::string_view kQuietCheck = "quiet";

// Names and descriptions, in the order in which they are run.
std::vector<PluginCheck> all_checks();

// Files that torch.save could have written and no exporter expects, and directories that have the
// files that the exporters in `info` name, in a temporary directory of their own.
class OddSources {
 public:
  explicit OddSources(const std::optional<PluginInfo>& info);
  OddSources(const OddSources&) = delete;
  OddSources& operator=(const OddSources&) = delete;
  ~OddSources();
  const std::vector<Path>& files() const { return files_; }
  // For a CheckLog.
  Path log() const { return directory_ / "log"; }
  // Leaves `input` where it is when it is one of files(), and returns it; else nothing.
  Path keep(const std::string& input);
  // What is in one of files(), for people; empty for others.
  std::string holds(const Path& file) const;

 private:
  void add(Path file, std::string holds);
  void add_directories(const AcceptedSource& accepted);

  Path directory_;
  std::vector<Path> files_;
  std::vector<std::string> holds_;  // of each of files_
  std::vector<Path> kept_;
};

// REQUIRES: `name` is one of all_checks().
CheckOutcome run_check(const CheckRun& run, const std::string& name);

}  // namespace craftbundle
