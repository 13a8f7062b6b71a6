// Finding the tensors of a model among those that somebody saved under other names.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "craftbundle/detail/plugin/model.h"
#include "weights.h"

namespace craftbundle {

// What of a file is taken to be the model: tensors of a dict whose names begin with `prefix`.
struct NameMatch {
  std::size_t dict = 0;
  std::string prefix;
  std::size_t count = 0;  // names of the model that are found, or that begin so
};

// What is in the dicts of a file, by names without what wrappers put into them: torch.compile,
// DistributedDataParallel inside of it, FSDP.
class NamedWeights {
 public:
  // `known` are the names of the model; none when they are not known.
  NamedWeights(const Weights& weights, const std::vector<NamedTensor>& known);

  // Best first: most names, then shortest prefix, then first in the file. With names that are known
  // only where some are found.
  const std::vector<NameMatch>& matches() const { return matches_; }

  // The tensors that `match` finds, in the order of the model when its names are known, and checked
  // against it: throws Error(input, "weights.tensors").
  struct Selection {
    std::string where;
    std::vector<NamedTensor> tensors;
    std::vector<std::string> checks;    // what was done to names
    std::vector<std::string> warnings;  // what was left out
  };
  Selection select(const NameMatch& match) const;

  // Names of the first dict, for messages.
  std::vector<std::string> given_names() const;

 private:
  struct Dict {
    std::vector<std::string> names;    // one for each entry
    std::vector<std::string> removed;  // "'_orig_mod.' taken out of the names of 2 tensors"
  };
  void clean(const WeightDict& dict);
  void find_matches();

  const Weights& weights_;
  const std::vector<NamedTensor>& known_;
  std::unordered_set<std::string_view> known_names_;
  std::vector<Dict> dicts_;
  std::vector<NameMatch> matches_;
};

}  // namespace craftbundle
