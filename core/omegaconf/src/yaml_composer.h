// Nodes of YAML text.
#pragma once

#include <deque>
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "yaml_scanner.h"

namespace craftbundle::omegaconf {

inline constexpr std::string_view kStandardTag = "tag:yaml.org,2002:";

// A node as it is written. Aliases are the node they refer to, so that a node may be in several
// places, and in itself.
struct YamlNode {
  enum class Kind { scalar, sequence, mapping };

  Kind kind = Kind::scalar;
  Mark mark;
  // In full; empty when the node has none, or the "!" that means nothing.
  std::string_view tag;
  // Of a scalar without a tag: whether its text decides what it is. Quoted text is a string.
  bool is_implicit = false;
  std::string text;              // of a scalar
  std::vector<YamlNode*> items;  // of a sequence; of a mapping keys and values in turn
};

// Composes the one document of a text, with PyYAML's grammar over its tokens. Owns the nodes.
class Composer {
 public:
  // `text` outlives it.
  explicit Composer(std::u32string_view text) : scanner_(text) {}

  // nullptr when there is no document. Throws Error(input): "config.syntax"; "config.depth" and
  // "config.size" beyond the limits. Call once.
  YamlNode* document();

 private:
  using Kind = Token::Kind;

  enum class Context {
    flow,
    block,
    block_or_indentless,  // also a list that is not indented, as value of a key
  };

  struct Properties {
    bool any = false;
    bool has_empty_tag = false;  // "!"
  };

  bool is_next(std::initializer_list<Kind> kinds);
  void directives();
  YamlNode& node(Context context, std::size_t depth);
  YamlNode& alias();
  YamlNode& empty();
  // A node, or an empty one when a token of `ends` comes first.
  YamlNode& node_before(std::initializer_list<Kind> ends, Context context, std::size_t depth);
  // The node after ":", or an empty one.
  YamlNode& value_before(std::initializer_list<Kind> ends, Context context, std::size_t depth);
  // Takes a tag, an anchor, both or none.
  Properties properties(YamlNode& node);
  std::string_view full_tag(const Token& token);
  YamlNode& block_sequence(YamlNode& node, std::size_t depth);
  YamlNode& indentless_sequence(YamlNode& node, std::size_t depth);
  YamlNode& block_mapping(YamlNode& node, std::size_t depth);
  YamlNode& flow_sequence(YamlNode& node, std::size_t depth);
  YamlNode& flow_mapping(YamlNode& node, std::size_t depth);
  // Key and value, in a flow collection that `end` closes.
  void flow_pair(YamlNode& mapping, Kind end, std::size_t depth);
  bool begins_entry(const YamlNode& node, Kind end);
  void end_block(const YamlNode& node);
  YamlNode& make(YamlNode::Kind kind, const Mark& mark);
  [[noreturn]] void unexpected(const std::string& expected);

  Scanner scanner_;
  std::deque<YamlNode> nodes_;
  std::map<std::string, YamlNode*> anchors_;
  std::map<std::string, std::string> handles_;
  std::set<std::string, std::less<>> tags_;  // what the nodes' tags refer to
};

}  // namespace craftbundle::omegaconf
