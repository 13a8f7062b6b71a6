// Configuration trees in few words.
#pragma once

#include <string>
#include <utility>

#include "craftbundle/detail/omegaconf/node.h"

namespace craftbundle::testing {

inline ConfigNode text(std::string value) { return {std::move(value)}; }
inline ConfigNode number(std::int64_t value) { return {value}; }

template <typename... Nodes>
ConfigNode list(Nodes... nodes) {
  ConfigNode::List items;
  (items.push_back(std::move(nodes)), ...);
  return {std::move(items)};
}

inline ConfigEntry entry(ConfigKey key, ConfigNode value) {
  return {std::move(key), std::move(value)};
}

template <typename... Entries>
ConfigNode mapping(Entries... entries) {
  ConfigNode::Mapping items;
  (items.push_back(std::move(entries)), ...);
  return {std::move(items)};
}

}  // namespace craftbundle::testing
