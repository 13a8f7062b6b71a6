// Values by key path, with interpolations resolved.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/omegaconf/interpolation.h"
#include "craftbundle/detail/omegaconf/node.h"

namespace craftbundle::omegaconf {

// A node and the containers it lies in, root first. Empty: there is no such node.
using Trail = std::vector<const ConfigNode*>;

// The parts of a key path: "a.b[0]" is a, b, 0.
std::vector<std::string> split_key(std::string_view key);

// The node under `key`, not resolved; nullptr when there is none.
const ConfigNode* child(const ConfigNode& container, std::string_view key);

bool is_interpolation(const ConfigNode& node);
bool is_missing(const ConfigNode& node);  // ???

// Resolves references within one configuration as OmegaConf does. A call of a resolver
// ("${oc.env:HOME}") is passed to the one given; without one nothing is run and it throws
// Error(input, "config.resolver"). References that lead nowhere, in circles or too far throw
// Error(input, "config.interpolation").
//
// Keeps the text that interpolations make: results are valid as long as it lives. One per look-up.
class Lookup {
 public:
  explicit Lookup(const ConfigNode& root, const Resolver* resolver = nullptr)
      : root_(root), resolver_(resolver) {}

  // The node at `key`, itself not resolved. Empty when a part of the path does not exist or is
  // something that has no parts.
  Trail find(std::string_view key) { return find(Trail{&root_}, key); }

  // Follows the interpolation in the last node of `trail`, if it is one.
  Trail resolve(Trail trail);

  // What `text` stands for as a value directly below the root.
  Trail evaluate(std::string_view text);

  // A copy of the last node of `trail`, with everything in it resolved.
  ConfigNode resolved_copy(const Trail& trail);

 private:
  class Parser;

  Trail find(Trail from, std::string_view key);
  // The node that the reference `key` ("a.b", "..c") in a value directly in `container` stands for.
  Trail refer(const Trail& container, std::string_view key);
  std::string text_of(const Trail& resolved, std::string_view key) const;

  const ConfigNode& root_;
  const Resolver* resolver_;
  Trail active_;  // interpolations being resolved
  std::size_t steps_ = 0;
  std::deque<ConfigNode> made_;  // results of interpolations in text
};

}  // namespace craftbundle::omegaconf
