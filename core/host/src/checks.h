// The checks that every plugin passes, one function each. They run in a child.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/host/scan.h"

namespace craftbundle {

// Why a check failed; nullopt: it passed.
using CheckOutcome = std::optional<std::string>;

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

 private:
  void add_directories(const AcceptedSource& accepted);

  Path directory_;
  std::vector<Path> files_;
};

// REQUIRES: `name` is one of all_checks().
CheckOutcome run_check(const Path& library, const std::string& name,
                       const std::vector<std::string>& sources);

}  // namespace craftbundle
