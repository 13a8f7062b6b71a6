// YAML text as a tree that knows where everything stands: maps, lists and text. Nothing in the text
// decides a type, so "1.10", "no" and "1e3" stay what was typed; whoever reads a value knows what
// it is to be. No tags, empty values or second documents.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// A place in a text; line and column (of characters) count from 1.
struct YamlMark {
  int source = 0;  // which text, as YamlOptions::source said
  int line = 1;
  int column = 1;
};

struct YamlNode {
  enum class Type { text, list, map };
  struct Entry;

  Type type = Type::text;
  YamlMark mark;
  std::string text;
  bool plain = false;  // text that stood there without quotes, for who writes YAML of it
  std::vector<YamlNode> items;
  std::vector<Entry> entries;  // keys are unique
  // Set by those who put variables in: the value may be a secret.
  bool from_environment = false;

  // The value of a map's key; nullptr when there is none or this is no map.
  const YamlNode* find(std::string_view key) const;
};

struct YamlNode::Entry {
  YamlNode key;  // Type::text
  YamlNode value;
};

// "text", "a list", "a map".
std::string_view to_string(YamlNode::Type type);

struct YamlOptions {
  // Makes the Error for a problem at a place.
  std::function<Error(const YamlMark& mark, const std::string& what)> error;
  int source = 0;
  std::size_t max_bytes = 1 << 20;
  std::size_t max_depth = 8;
  std::size_t max_nodes = 100'000;  // aliases count as often as they are used
  // Whether anchors, aliases and merge keys (<<) are taken; a merged key gives way to one that
  // stands in the map itself.
  bool aliases = false;
};

// Throws options.error(...) for what is no such text.
YamlNode parse_yaml(std::string_view text, const YamlOptions& options);

}  // namespace craftbundle
