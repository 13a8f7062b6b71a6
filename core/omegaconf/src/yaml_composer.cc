#include "yaml_composer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "budget.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/omegaconf/config.h"

namespace craftbundle::omegaconf {
namespace {

constexpr std::string_view kSyntax = "config.syntax";

// Keys are nodes too.
constexpr std::size_t kNodes = 2 * limits::kConfigNodes;

}  // namespace

YamlNode* Composer::document() {
  if (is_next({Kind::stream_end})) return nullptr;
  directives();
  YamlNode* root = nullptr;
  if (is_next({Kind::document_start})) {
    scanner_.take();
    root = &node_before({Kind::yaml_directive, Kind::tag_directive, Kind::other_directive,
                         Kind::document_start, Kind::document_end, Kind::stream_end},
                        Context::block, 0);
  } else {
    root = &node(Context::block, 0);
  }
  while (is_next({Kind::document_end})) scanner_.take();
  if (is_next({Kind::document_start})) {
    refuse(scanner_.peek().mark, kSyntax, "a second document begins; expected one");
  }
  if (!is_next({Kind::stream_end})) unexpected("the end of the document");
  return root;
}

void Composer::directives() {
  bool any = false;
  bool has_version = false;
  while (is_next({Kind::yaml_directive, Kind::tag_directive, Kind::other_directive})) {
    Token token = scanner_.take();
    any = true;
    if (token.kind == Kind::yaml_directive) {
      if (has_version) refuse(token.mark, kSyntax, "the version of YAML stands twice");
      has_version = true;
      token.text.erase(0, token.text.find_first_not_of('0'));
      if (token.text != "1") refuse(token.mark, kSyntax, "expected YAML 1");
    } else if (token.kind == Kind::tag_directive) {
      if (!handles_.emplace(token.handle, token.text).second) {
        refuse(token.mark, kSyntax, "the tag handle " + quoted(token.handle) + " stands twice");
      }
    }
  }
  if (any && !is_next({Kind::document_start})) unexpected("'---' after directives");
  handles_.emplace("!", "!");
  handles_.emplace("!!", kStandardTag);
}

bool Composer::is_next(std::initializer_list<Kind> kinds) {
  const Kind next = scanner_.peek().kind;
  return std::find(kinds.begin(), kinds.end(), next) != kinds.end();
}

YamlNode& Composer::make(YamlNode::Kind kind, const Mark& mark) {
  if (nodes_.size() > kNodes) throw_too_many_values();
  YamlNode& node = nodes_.emplace_back();
  node.kind = kind;
  node.mark = mark;
  return node;
}

YamlNode& Composer::node_before(std::initializer_list<Kind> ends, Context context,
                                std::size_t depth) {
  if (!is_next(ends)) return node(context, depth);
  return empty();
}

YamlNode& Composer::empty() {
  YamlNode& node = make(YamlNode::Kind::scalar, scanner_.peek().mark);
  node.is_implicit = true;
  return node;
}

YamlNode& Composer::node(Context context, std::size_t depth) {
  check_depth(depth);
  if (is_next({Kind::alias})) return alias();
  YamlNode& node = make(YamlNode::Kind::scalar, scanner_.peek().mark);
  const Properties found = properties(node);
  switch (scanner_.peek().kind) {
    case Kind::scalar: {
      Token token = scanner_.take();
      node.text = std::move(token.text);
      node.is_implicit = token.is_plain || found.has_empty_tag;
      return node;
    }
    case Kind::flow_sequence_start:
      return flow_sequence(node, depth);
    case Kind::flow_mapping_start:
      return flow_mapping(node, depth);
    case Kind::block_entry:
      if (context == Context::block_or_indentless) return indentless_sequence(node, depth);
      break;
    case Kind::block_sequence_start:
      if (context != Context::flow) return block_sequence(node, depth);
      break;
    case Kind::block_mapping_start:
      if (context != Context::flow) return block_mapping(node, depth);
      break;
    default:
      break;
  }
  if (!found.any) unexpected("a value");
  node.is_implicit = true;
  return node;
}

YamlNode& Composer::alias() {
  const Token token = scanner_.take();
  const auto found = anchors_.find(token.text);
  if (found == anchors_.end()) {
    refuse(token.mark, kSyntax, "the alias " + quoted(token.text) + " has no anchor before it");
  }
  return *found->second;
}

Composer::Properties Composer::properties(YamlNode& node) {
  Properties found;
  bool has_tag = false;
  bool has_anchor = false;
  while ((!has_tag && is_next({Kind::tag})) || (!has_anchor && is_next({Kind::anchor}))) {
    const Token token = scanner_.take();
    found.any = true;
    if (token.kind == Kind::anchor) {
      has_anchor = true;
      if (!anchors_.emplace(token.text, &node).second) {
        refuse(token.mark, kSyntax, "the anchor " + quoted(token.text) + " stands twice");
      }
    } else {
      has_tag = true;
      node.tag = full_tag(token);
      found.has_empty_tag = node.tag.empty();
    }
  }
  return found;
}

std::string_view Composer::full_tag(const Token& token) {
  std::string tag = token.text;
  if (!token.handle.empty()) {
    const auto handle = handles_.find(token.handle);
    if (handle == handles_.end()) {
      refuse(token.mark, kSyntax, "the tag handle " + quoted(token.handle) + " is not defined");
    }
    tag.insert(0, handle->second);
  }
  return tag == "!" ? std::string_view() : *tags_.insert(std::move(tag)).first;
}

YamlNode& Composer::block_sequence(YamlNode& node, std::size_t depth) {
  node.kind = YamlNode::Kind::sequence;
  scanner_.take();
  while (is_next({Kind::block_entry})) {
    scanner_.take();
    node.items.push_back(
        &node_before({Kind::block_entry, Kind::block_end}, Context::block, depth + 1));
  }
  end_block(node);
  return node;
}

// A list that is the value of a key and begins where the key does. Nothing marks its end.
YamlNode& Composer::indentless_sequence(YamlNode& node, std::size_t depth) {
  node.kind = YamlNode::Kind::sequence;
  while (is_next({Kind::block_entry})) {
    scanner_.take();
    node.items.push_back(&node_before({Kind::block_entry, Kind::key, Kind::value, Kind::block_end},
                                      Context::block, depth + 1));
  }
  return node;
}

YamlNode& Composer::block_mapping(YamlNode& node, std::size_t depth) {
  const std::initializer_list<Kind> ends = {Kind::key, Kind::value, Kind::block_end};
  node.kind = YamlNode::Kind::mapping;
  scanner_.take();
  while (is_next({Kind::key})) {
    scanner_.take();
    node.items.push_back(&node_before(ends, Context::block_or_indentless, depth + 1));
    node.items.push_back(&value_before(ends, Context::block_or_indentless, depth + 1));
  }
  end_block(node);
  return node;
}

YamlNode& Composer::flow_sequence(YamlNode& node, std::size_t depth) {
  constexpr Kind kEnd = Kind::flow_sequence_end;
  node.kind = YamlNode::Kind::sequence;
  scanner_.take();
  while (begins_entry(node, kEnd)) {
    if (is_next({Kind::key})) {
      // "[a: b]" is a list of mappings of one key.
      check_depth(depth + 1);
      YamlNode& mapping = make(YamlNode::Kind::mapping, scanner_.peek().mark);
      flow_pair(mapping, kEnd, depth + 1);
      node.items.push_back(&mapping);
    } else {
      node.items.push_back(&this->node(Context::flow, depth + 1));
    }
  }
  return node;
}

YamlNode& Composer::flow_mapping(YamlNode& node, std::size_t depth) {
  constexpr Kind kEnd = Kind::flow_mapping_end;
  node.kind = YamlNode::Kind::mapping;
  scanner_.take();
  while (begins_entry(node, kEnd)) {
    if (is_next({Kind::key})) {
      flow_pair(node, kEnd, depth);
    } else {
      node.items.push_back(&this->node(Context::flow, depth + 1));
      node.items.push_back(&empty());
    }
  }
  return node;
}

void Composer::flow_pair(YamlNode& mapping, Kind end, std::size_t depth) {
  scanner_.take();
  mapping.items.push_back(
      &node_before({Kind::value, Kind::flow_entry, end}, Context::flow, depth + 1));
  mapping.items.push_back(&value_before({Kind::flow_entry, end}, Context::flow, depth + 1));
}

// Takes the comma before the next entry of `node`, or its end.
bool Composer::begins_entry(const YamlNode& node, Kind end) {
  if (!node.items.empty() && !is_next({end})) {
    if (!is_next({Kind::flow_entry})) unexpected("',' or the end of the collection");
    scanner_.take();
  }
  if (!is_next({end})) return true;
  scanner_.take();
  return false;
}

YamlNode& Composer::value_before(std::initializer_list<Kind> ends, Context context,
                                 std::size_t depth) {
  if (!is_next({Kind::value})) return empty();
  scanner_.take();
  return node_before(ends, context, depth);
}

void Composer::end_block(const YamlNode& node) {
  if (!is_next({Kind::block_end})) {
    unexpected("the end of the " +
               std::string(node.kind == YamlNode::Kind::mapping ? "mapping" : "list") +
               " that begins on line " + std::to_string(node.mark.line + 1));
  }
  scanner_.take();
}

void Composer::unexpected(const std::string& expected) {
  constexpr std::array<std::string_view, 21> kNames = {"the end of the text",
                                                       "a directive",
                                                       "a directive",
                                                       "a directive",
                                                       "'---'",
                                                       "'...'",
                                                       "a list",
                                                       "a mapping",
                                                       "the end of a block",
                                                       "'['",
                                                       "']'",
                                                       "'{'",
                                                       "'}'",
                                                       "'-'",
                                                       "','",
                                                       "a key",
                                                       "':'",
                                                       "an alias",
                                                       "an anchor",
                                                       "a tag",
                                                       "a scalar"};
  const Token& next = scanner_.peek();
  refuse(next.mark, kSyntax,
         "expected " + expected + ", found " +
             std::string(kNames.at(static_cast<std::size_t>(next.kind))));
}

}  // namespace craftbundle::omegaconf
