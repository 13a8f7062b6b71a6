// The arena behind Object: nodes refer to each other by number, so that cycles, sharing and any
// depth cost nothing to hold, to walk and to free.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/checkpoint/object.h"

namespace craftbundle {

using NodeId = std::uint32_t;
inline constexpr NodeId kNoNode = UINT32_MAX;

// What a node is beyond its Kind.
enum class Flavor : std::uint8_t {
  plain,
  // string, bytes, big_integer: the text lies in the tree's own buffer, not in the pickle.
  own_text,
  // Classes of dict and set.
  ordered_dict,
  default_dict,
  counter,
  frozen_set,
};

// A run of numbers in ObjectTree::items; of bytes for text.
struct Run {
  std::uint32_t begin;
  std::uint32_t count;
};

struct Call {
  NodeId callee;
  NodeId arguments;
};

struct Node {
  Kind kind = Kind::none;
  Flavor flavor = Flavor::plain;
  // global: index of its name. Others: 1 + index into extras, 0 for none.
  std::uint32_t link = 0;
  union {
    std::int64_t integer = 0;  // integer, boolean
    double real;
    Run run;  // text of string, bytes, big_integer; items of list, tuple, set, dict (key, value,
              // ...)
    Call call;
    NodeId persistent_id;
  };
};
static_assert(sizeof(Node) == 16);

// What opcodes gave to an object after it was made.
struct Extra {
  NodeId state = kNoNode;
  Run appended = {};
  Run assigned = {};  // key, value, ...
};

// A name, however often the pickle says it.
struct GlobalName {
  std::string module;
  std::string name;
  std::string written = {};  // "module.name" as in the file, when Python-2 names were mapped
  std::uint64_t count = 0;
};

class ObjectTree {
 public:
  std::vector<Node> nodes;
  std::vector<std::uint32_t> items;
  std::vector<Extra> extras;
  std::vector<GlobalName> names;
  std::string pickle;    // text of nodes refers into it
  std::string own_text;  // text that had to be decoded
  NodeId root_id = kNoNode;

  Object object(NodeId id) const { return Object(this, id); }
  Object root() const { return object(root_id); }

  const Node& node(NodeId id) const { return nodes[id]; }
  std::string_view text(const Node& node) const {
    const std::string& buffer = node.flavor == Flavor::own_text ? own_text : pickle;
    return std::string_view(buffer).substr(node.run.begin, node.run.count);
  }
  std::span<const std::uint32_t> run(Run run) const {
    return std::span(items).subspan(run.begin, run.count);
  }
  const Extra* extra(const Node& node) const {
    return node.kind == Kind::global || node.link == 0 ? nullptr : &extras[node.link - 1];
  }
  const GlobalName& name_of(const Node& global) const { return names[global.link]; }

  // Everything a node refers to, numbered: items, then what its Extra holds; a call counts its
  // callee and arguments first.
  std::size_t child_count(NodeId id) const;
  NodeId child(NodeId id, std::size_t i) const;
};

// "module.name", or what stands for it ("<dynamic>").
std::string dotted_name(const GlobalName& name);

// The globals of a finished tree with their verdicts and the places where they sit.
std::vector<GlobalReference> list_globals(const ObjectTree& tree);

}  // namespace craftbundle
