// Options that several commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "craftbundle/craftbundle.h"
#include "craftbundle/detail/api/choice.h"
#include "session.h"

namespace craftbundle::app {

struct SourceArguments : SourceWords {
  void declare_xps(CLI::App& command);
  void declare_state(CLI::App& command);
  void declare_dtype(CLI::App& command);
  // --average, --merge and --fold-weight-norm, for one component.
  void declare_weights(CLI::App& command);
  // --config-from and --as-is, for one component.
  void declare_foreign(CLI::App& command);
  Source resolve(const std::string& given, Session& session) const;
};

// Of --embed.
inline constexpr const char* kEmbedHelp =
    "Put what loaders would fetch into the bundle, from the local cache of the hub";

struct LayoutArguments {
  std::string name = std::string(kDefaultLayout);
  std::vector<std::string> options;  // "name=value"
  std::string shard_size;

  void declare(CLI::App& command);
  // Throws Error(usage, "option.syntax").
  LayoutChoice choice() const;
};

// Of --no-clone.
inline constexpr const char* kNoCloneHelp =
    "Write every byte, also where the file system can share those of the source (reflinks)";

// --check
struct CheckArguments {
  std::string given = "crc";

  void declare(CLI::App& command, const std::string& what);
  ContentCheck check() const {
    return given == "structure" ? ContentCheck::structure : ContentCheck::crc;
  }
};

struct TargetArguments {
  CheckArguments check;
  std::string output;
  bool force = false;
  bool no_sync = false;
  bool no_clone = false;
  bool json = false;
  bool may_be_standard_output = false;  // "-"; settled before declare()

  void declare(CLI::App& command, const std::string& what);
  bool is_standard_output() const { return output == "-"; }
  PublishOptions publish(Session& session) const;
};

// "name=value". Throws Error(usage, "option.syntax").
OptionValue parse_option(const std::string& given);

// The same of each.
std::vector<OptionValue> parse_options(const std::vector<std::string>& given);

}  // namespace craftbundle::app
