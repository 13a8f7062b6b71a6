// The bounds of a configuration, held while a tree is made.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>

#include "craftbundle/detail/omegaconf/node.h"

namespace craftbundle::omegaconf {

// Throws Error(input, "config.depth") for a node at `depth` (the root has 0) beyond the limit.
void check_depth(std::size_t depth);

[[noreturn]] void throw_too_many_values();  // Error(input, "config.size")

// Counts what a tree holds. Sharing (aliases, objects referred to twice) counts each time: the tree
// holds copies.
class Budget {
 public:
  // One more node at `depth` with `text_bytes` of text. Throws Error(input, "config.depth" or
  // "config.size").
  void spend(std::size_t depth, std::size_t text_bytes);

  // A key. Only its text counts.
  void spend_key(std::size_t text_bytes);

 private:
  std::size_t nodes_ = 0;
  std::size_t text_bytes_ = 0;
};

// Bytes of text that a scalar or key holds.
std::size_t text_size(const ConfigNode& node);
std::size_t text_size(const ConfigKey& key);

// A mapping in the making: keys are distinct as in Python.
class MappingBuilder {
 public:
  bool contains(const ConfigKey& key) const;
  // A key that is there already keeps its place and gets the new value.
  void set(ConfigKey key, ConfigNode value);
  ConfigNode::Mapping take() { return std::move(mapping_); }

 private:
  ConfigNode::Mapping mapping_;
  std::unordered_map<std::string, std::size_t> places_;
};

}  // namespace craftbundle::omegaconf
