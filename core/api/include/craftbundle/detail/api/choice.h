// Components as people ask for them, in the words of the command line.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "craftbundle/craftbundle.h"
#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// What is said of all sources of a call. Members are named as the options --xps, --state, ...;
// empty ones are not given.
struct SourceWords {
  std::string xps = {};
  std::string state = {};
  std::string dtype = {};
  std::string dtype_of = {};
  std::vector<std::string> average = {};
  std::vector<std::string> merge = {};
  bool fold_weight_norm = false;
  std::string config_from = {};
  bool as_is = false;
  // Of several sources, those that hold no weights are taken as they are; a single one is refused.
  bool several = false;

  SourceOptions lookup(const std::string& role = {}) const;
};

// One component as the user asks for it: its own options win over `words`, which count only for
// sources that hold weights. `role` may be empty. Throws Error(input, "source.not_found") for
// further checkpoints and adapters that are not there.
ComponentChoice choose(const std::string& source, const SourceWords& words, const std::string& role,
                       const std::string& exporter, std::vector<OptionValue> options,
                       const Host& host);

// The directory of the bundle that `source` names, itself or by the name of a model in the cache of
// the hub; nullopt when it names none.
std::optional<Path> bundle_of(const std::string& source, const SourceOptions& lookup,
                              const Host& host);

}  // namespace craftbundle
