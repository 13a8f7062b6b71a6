// Looking at a library in a child process, so that a crash, a hang or an exit of its code is a
// refusal and nothing more.
//
// The child is the program craftbundle-scan. It answers through a descriptor of its own, since a
// plugin may print, and only a complete answer counts, never an exit status.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/host/sidecar.h"
#include "craftbundle/detail/io/path.h"

namespace CRAFTBUNDLE_API craftbundle {

struct ScanOptions {
  Path scanner;  // empty: the one that belongs to this library (../libexec/craftbundle)
  std::chrono::milliseconds time_limit{10'000};
  const Cancellation* cancellation = &Cancellation::never();
  bool show_output = false;  // what the plugin prints goes to standard error, not to nowhere
};

// Loads `library` in a child and returns what it says of itself. Throws Error(plugin): as
// PluginLibrary::load, "plugin.crash" (naming the signal), "plugin.hang", "plugin.exit",
// "plugin.scanner" when there is no scanner; Error(interrupted) on cancellation.
// REQUIRES: `library` is absolute.
PluginInfo scan_library(const Path& library, const ScanOptions& options);

// One check of a plugin against the contract.
struct PluginCheck {
  std::string name;         // "one-symbol"
  std::string description;  // what must hold, one sentence
  bool passed = false;
  std::string detail;  // when it failed: why
  // What it could not look at, and what is missing: "codec 'x' was not made: give a source ...".
  std::vector<std::string> not_checked = {};
  // When it failed in a function of the plugin: which, and the input it was given.
  std::string during = {};
  Path kept = {};          // of that input when it was made up; it stays; empty: nothing does
  std::string holds = {};  // what is in it
};

// Runs every check of the contract (docs/writing_an_exporter.md), each in a child of its own.
// `sources` are further files and directories to probe and prepare, beside odd ones that are made
// up in a temporary directory. One that the plugin failed with stays there. Throws as
// scan_library when no child can be started at all.
std::vector<PluginCheck> check_plugin(const Path& library, const std::vector<Path>& sources,
                                      const ScanOptions& options);

// The child's side, for craftbundle-scan: answers `request`, what followed kScanRequest. The child
// must end right after, without running destructors of the plugin. Throws nothing that the plugin
// threw; a library that cannot be loaded is an answer too.
void answer_scan(const std::vector<std::string>& request);

// First argument of a child; what follows is its request.
inline constexpr std::string_view kScanRequest = "--answer";

}  // namespace craftbundle
