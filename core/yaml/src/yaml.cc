#include "craftbundle/detail/yaml/yaml.h"

#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/base/utf8.h"

namespace craftbundle {
namespace {

constexpr std::string_view kMergeKey = "<<";

// yaml-cpp counts bytes, people count characters.
YamlMark mark_of(const YAML::Mark& mark, std::string_view text, int source) {
  const std::size_t end = std::min(static_cast<std::size_t>(std::max(mark.pos, 0)), text.size());
  const std::size_t begin = end - std::min(static_cast<std::size_t>(std::max(mark.column, 0)), end);
  const auto continued = std::count_if(text.begin() + static_cast<std::ptrdiff_t>(begin),
                                       text.begin() + static_cast<std::ptrdiff_t>(end), [](char c) {
                                         return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
                                       });
  // Some problems of yaml-cpp have no place.
  return {source, std::max(mark.line, 0) + 1,
          std::max(mark.column, 0) + 1 - static_cast<int>(continued)};
}

// yaml-cpp would guess another encoding, or put in characters that are not there, and count those.
// A null byte is what tells the former.
void check_encoding(std::string_view text, const YamlOptions& options) {
  YamlMark mark{options.source, 1, 1};
  while (!text.empty()) {
    const Utf8Character next = first_character(text);
    if (next.length == 0 || next.code_point == 0) {
      throw options.error(mark, next.length == 0 ? "text is not UTF-8" : "holds a null byte");
    }
    text.remove_prefix(next.length);
    ++mark.column;
    if (next.code_point == '\n') mark = {options.source, mark.line + 1, 1};
  }
}

bool is_indented_with_tab(std::string_view text, int line) {
  for (; line > 0; --line) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return false;
    text.remove_prefix(end + 1);
  }
  const std::size_t indentation = std::min(text.find_first_not_of(" \t"), text.size());
  return text.substr(0, indentation).find('\t') != std::string_view::npos;
}

// Builds the tree from the parser's events.
class Builder final : public YAML::EventHandler {
 public:
  Builder(std::string_view text, const YamlOptions& options) : text_(text), options_(options) {}

  YamlNode take_root() {
    if (!root_) fail({options_.source, 1, 1}, "is empty");
    return *std::move(root_);
  }

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    if (!open_.empty() && open_.back().key) {
      fail(open_.back().key->mark, "key " + quoted(open_.back().key->text) + " has no value");
    }
    fail(at(mark), "a value is missing");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (!options_.aliases) fail(at(mark), "aliases are not used here");
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) fail(at(mark), "the alias refers to what holds it");
    count(at(mark), found->second);
    add(found->second, YAML::NullAnchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = make(mark, tag, anchor, YamlNode::Type::text);
    node.text = value;
    node.plain = tag != "!";
    if (!is_utf8(value)) fail(node.mark, "text is not UTF-8");  // by an escape
    add(std::move(node), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open_.push_back({make(mark, tag, anchor, YamlNode::Type::list), anchor, {}, {}});
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open_.push_back({make(mark, tag, anchor, YamlNode::Type::map), anchor, {}, {}});
  }
  void OnMapEnd() override { close(); }

 private:
  // A list or map that is being read; a map remembers the key whose value comes next and the maps
  // that are merged into it.
  struct Open {
    YamlNode node;
    YAML::anchor_t anchor;
    std::optional<YamlNode> key;
    std::vector<YamlNode> merged;
  };

  YamlMark at(const YAML::Mark& mark) const { return mark_of(mark, text_, options_.source); }

  [[noreturn]] void fail(const YamlMark& mark, const std::string& what) const {
    throw options_.error(mark, what);
  }

  YamlNode make(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                YamlNode::Type type) {
    YamlNode node;
    node.type = type;
    node.mark = at(mark);
    // yaml-cpp marks plain nodes '?' and quoted text '!'.
    if (!tag.empty() && tag != "?" && tag != "!") fail(node.mark, "tags are not used here");
    if (anchor != YAML::NullAnchor && !options_.aliases) {
      fail(node.mark, "anchors are not used here");
    }
    if (open_.size() >= options_.max_depth) fail(node.mark, "is nested too deeply");
    count(node.mark, node);
    return node;
  }

  void count(const YamlMark& mark, const YamlNode& node) {
    if (++count_ > options_.max_nodes) fail(mark, "has too many values");
    for (const YamlNode& item : node.items) count(mark, item);
    for (const YamlNode::Entry& entry : node.entries) {
      count(mark, entry.key);
      count(mark, entry.value);
    }
  }

  void close() {
    Open closed = std::move(open_.back());
    open_.pop_back();
    for (const YamlNode& merged : closed.merged) merge(closed.node, merged);
    add(std::move(closed.node), closed.anchor);
  }

  void add(YamlNode node, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = node;
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.type == YamlNode::Type::list) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.key) {
      set_key(parent, std::move(node));
    } else if (options_.aliases && parent.key->text == kMergeKey) {
      collect_merged(parent, std::move(node));
      parent.key.reset();
    } else {
      parent.node.entries.push_back({*std::exchange(parent.key, std::nullopt), std::move(node)});
    }
  }

  void set_key(Open& parent, YamlNode key) const {
    if (key.type != YamlNode::Type::text) fail(key.mark, "a key is no text");
    if (parent.node.find(key.text) != nullptr) {
      fail(key.mark, "key " + quoted(key.text) + " is given twice");
    }
    parent.key = std::move(key);
  }

  // What stands behind "<<": a map, or a list of maps.
  void collect_merged(Open& parent, YamlNode value) const {
    std::vector<YamlNode> maps;
    if (value.type == YamlNode::Type::list) {
      maps = std::move(value.items);
    } else {
      maps.push_back(std::move(value));
    }
    for (YamlNode& map : maps) {
      if (map.type != YamlNode::Type::map) fail(map.mark, "only maps can be merged with <<");
      parent.merged.push_back(std::move(map));
    }
  }

  static void merge(YamlNode& map, const YamlNode& merged) {
    for (const YamlNode::Entry& entry : merged.entries) {
      if (map.find(entry.key.text) == nullptr) map.entries.push_back(entry);
    }
  }

  std::string_view text_;
  const YamlOptions& options_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, YamlNode> anchors_;
  std::optional<YamlNode> root_;
  std::size_t count_ = 0;
};

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (entry.key.text == key) return &entry.value;
  }
  return nullptr;
}

std::string_view to_string(YamlNode::Type type) {
  switch (type) {
    case YamlNode::Type::text:
      return "text";
    case YamlNode::Type::list:
      return "a list";
    case YamlNode::Type::map:
      return "a map";
  }
  return "text";
}

YamlNode parse_yaml(std::string_view text, const YamlOptions& options) {
  const YamlMark start{options.source, 1, 1};
  if (text.size() > options.max_bytes) {
    throw options.error(start, "has " + human_bytes(text.size()) + ", expected at most " +
                                   human_bytes(options.max_bytes));
  }
  check_encoding(text, options);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder(text, options);
    parser.HandleNextDocument(builder);
    YamlNode root = builder.take_root();
    Builder second(text, options);
    if (parser.HandleNextDocument(second)) {
      throw options.error(start, "holds more than one document");
    }
    return root;
  } catch (const YAML::Exception& error) {
    // yaml-cpp takes a tab in the indentation for the beginning of a value.
    const bool tab = is_indented_with_tab(text, error.mark.line);
    throw options.error(
        mark_of(error.mark, text, options.source),
        tab ? "the line is indented with a tab, YAML wants spaces" : printable(error.msg));
  }
}

}  // namespace craftbundle
