// The part of YAML that a sidecar uses: maps, lists and text. No anchors, aliases, tags, empty
// values or second documents; nothing in the text decides a type.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bundlecraft/base/error.h"
#include "bundlecraft/io/path.h"

namespace bundlecraft {

struct YamlNode {
  enum class Type { text, list, map };
  struct Entry;

  Type type = Type::text;
  int line = 1;  // both count from 1
  int column = 1;
  std::string text;
  std::vector<YamlNode> items;
  std::vector<Entry> entries;  // keys are unique
};

struct YamlNode::Entry {
  YamlNode key;  // Type::text
  YamlNode value;
};

std::string_view to_string(YamlNode::Type type);

// "FILE:LINE:COLUMN: WHAT", as Error(plugin, "plugin.sidecar").
Error sidecar_error(const Path& file, int line, int column, const std::string& what);

// Throws sidecar_error(). Bounds: 1 MiB of text, 8 levels, 100 000 nodes.
YamlNode parse_strict_yaml(std::string_view text, const Path& file);

}  // namespace bundlecraft
