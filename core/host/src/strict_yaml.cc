#include "strict_yaml.h"

#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include "bundlecraft/base/text.h"

namespace bundlecraft {
namespace {

constexpr std::size_t kMaxBytes = 1 << 20;
constexpr std::size_t kMaxDepth = 8;
constexpr std::size_t kMaxNodes = 100'000;

// Builds the tree from the parser's events.
class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(const Path& file) : file_(file) {}

  YamlNode take_root() {
    if (!root_) throw sidecar_error(file_, 1, 1, "is empty");
    return *std::move(root_);
  }

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    if (!open_.empty() && open_.back().key) {
      fail(*open_.back().key, "key " + quoted(open_.back().key->text) + " has no value");
    }
    fail(mark, "a value is missing");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    fail(mark, "aliases are not used here");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = make(mark, tag, anchor, YamlNode::Type::text);
    node.text = value;
    if (!is_utf8(value)) fail(mark, "text is not UTF-8");
    add(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open_.push_back({make(mark, tag, anchor, YamlNode::Type::list), std::nullopt});
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open_.push_back({make(mark, tag, anchor, YamlNode::Type::map), std::nullopt});
  }
  void OnMapEnd() override { close(); }

 private:
  // A list or map that is being read; a map remembers the key whose value comes next.
  struct Open {
    YamlNode node;
    std::optional<YamlNode> key;
  };

  [[noreturn]] void fail(const YAML::Mark& mark, const std::string& what) const {
    throw sidecar_error(file_, mark.line + 1, mark.column + 1, what);
  }
  [[noreturn]] void fail(const YamlNode& node, const std::string& what) const {
    throw sidecar_error(file_, node.line, node.column, what);
  }

  YamlNode make(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                YamlNode::Type type) {
    // yaml-cpp marks plain nodes '?' and quoted text '!'.
    if (!tag.empty() && tag != "?" && tag != "!") fail(mark, "tags are not used here");
    if (anchor != YAML::NullAnchor) fail(mark, "anchors are not used here");
    if (open_.size() >= kMaxDepth) fail(mark, "is nested too deeply");
    if (++count_ > kMaxNodes) fail(mark, "has too many values");
    YamlNode node;
    node.type = type;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  void close() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    add(std::move(node));
  }

  void add(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.type == YamlNode::Type::list) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.key) {
      set_key(parent, std::move(node));
    } else {
      parent.node.entries.push_back({*std::exchange(parent.key, std::nullopt), std::move(node)});
    }
  }

  void set_key(Open& parent, YamlNode key) const {
    if (key.type != YamlNode::Type::text) fail(key, "a key is no text");
    for (const YamlNode::Entry& entry : parent.node.entries) {
      if (entry.key.text == key.text) fail(key, "key " + quoted(key.text) + " is given twice");
    }
    parent.key = std::move(key);
  }

  const Path& file_;
  std::vector<Open> open_;
  std::optional<YamlNode> root_;
  std::size_t count_ = 0;
};

}  // namespace

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

Error sidecar_error(const Path& file, int line, int column, const std::string& what) {
  return Error(
      ErrorKind::plugin, "plugin.sidecar",
      path_text(file) + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + what,
      "write it again with bundlecraft-scan, or remove it");
}

YamlNode parse_strict_yaml(std::string_view text, const Path& file) {
  if (text.size() > kMaxBytes) {
    throw sidecar_error(
        file, 1, 1,
        "has " + human_bytes(text.size()) + ", expected at most " + human_bytes(kMaxBytes));
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder(file);
    parser.HandleNextDocument(builder);
    YamlNode root = builder.take_root();
    Builder second(file);
    if (parser.HandleNextDocument(second))
      throw sidecar_error(file, 1, 1, "holds more than one document");
    return root;
  } catch (const YAML::Exception& error) {
    throw sidecar_error(file, error.mark.line + 1, error.mark.column + 1, printable(error.msg));
  }
}

}  // namespace bundlecraft
