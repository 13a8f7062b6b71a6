// Options that several commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "craftbundle/craftbundle.h"
#include "session.h"

namespace craftbundle::app {

struct SourceArguments {
  std::string xps;
  std::string state;
  std::string dtype;
  std::string dtype_of;
  std::vector<std::string> average;
  std::vector<std::string> merge;
  bool fold_weight_norm = false;
  std::string config_from;
  bool as_is = false;
  // Of several sources, those that hold no weights are taken as they are; a single one is refused.
  bool several = false;

  void declare_xps(CLI::App& command);
  void declare_state(CLI::App& command);
  void declare_dtype(CLI::App& command);
  // --average, --merge and --fold-weight-norm, for one component.
  void declare_weights(CLI::App& command);
  // --config-from and --as-is, for one component.
  void declare_foreign(CLI::App& command);
  SourceOptions lookup(const std::string& role = {}) const;
  Source resolve(const std::string& given, Session& session) const;
  // As a value of the option `average`.
  std::string average_files(const std::string& role, const Host& host) const;
  // As a value of the option `merge`.
  std::string merge_files() const;
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
  bool json = false;
  bool may_be_standard_output = false;  // "-"; settled before declare()

  void declare(CLI::App& command, const std::string& what);
  bool is_standard_output() const { return output == "-"; }
  PublishOptions publish(Session& session) const;
};

// "name=value". Throws Error(usage, "option.syntax").
OptionValue parse_option(const std::string& given);

// One component as the user asks for it: "name=value" options, which win over those of
// SourceArguments; these count only for sources that hold weights. `role` may be empty.
ComponentChoice choose(const std::string& given, const SourceArguments& source,
                       const std::string& role, const std::string& exporter,
                       const std::vector<std::string>& options, const Host& host);

}  // namespace craftbundle::app
