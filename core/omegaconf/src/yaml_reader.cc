#include "yaml_reader.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "budget.h"
#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"
#include "craftbundle/checkpoint/limits.h"
#include "craftbundle/omegaconf/config.h"
#include "scalar.h"
#include "unicode.h"

namespace craftbundle::omegaconf {
namespace {

constexpr std::string_view kStandardTag = "tag:yaml.org,2002:";
constexpr std::string_view kPathTag = "tag:yaml.org,2002:python/object/apply:";
constexpr std::u32string_view kByteOrderMark = U"\uFEFF";

std::string position(std::size_t line, std::size_t column) {
  return "line " + std::to_string(line) + ", column " + std::to_string(column) + ": ";
}

std::string position(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return position(static_cast<std::size_t>(mark.line) + 1,
                  static_cast<std::size_t>(mark.column) + 1);
}

[[noreturn]] void refuse(const YAML::Mark& mark, std::string_view code, const std::string& problem,
                         std::string hint = {}) {
  throw Error(ErrorKind::input, code, position(mark) + problem, std::move(hint));
}

std::string shown_tag(std::string_view tag) {
  if (tag.starts_with(kStandardTag)) {
    return quoted("!!" + std::string(tag.substr(kStandardTag.size())));
  }
  return quoted(tag);
}

// The text as yaml-cpp has to see it to read what PyYAML reads: without a byte order mark, and with
// LF for NEL, which it does not know as a line break.
std::string normalize(std::string_view utf8) {
  if (!is_utf8(utf8)) {
    throw Error(ErrorKind::input, "config.syntax", "the text is not valid UTF-8");
  }
  std::u32string text = decode_utf8(utf8);
  if (text.starts_with(kByteOrderMark)) text.erase(0, 1);
  std::string result;
  result.reserve(utf8.size());
  std::size_t line = 1;
  std::size_t column = 1;
  for (const char32_t c : text) {
    if (!is_yaml_printable(c) && c != U'\t' && c != U'\r' && c != 0xFEFF) {
      std::string character;
      append_utf8(character, c);
      throw Error(ErrorKind::input, "config.syntax",
                  position(line, column) + "the character " + quoted(character) +
                      " is not allowed in YAML");
    }
    append_utf8(result, c == 0x85 ? U'\n' : c);
    ++column;
    if (c == U'\n' || c == 0x85) {
      ++line;
      column = 1;
    }
  }
  return result;
}

// yaml-cpp does not find the end of "- !!binary |", a tagged block that begins where a key could.
// With the "|" on a line of its own it does. In quoted text the line end is folded to the same
// space.
std::string separate_binary_blocks(std::string_view text) {
  constexpr std::string_view kBlock = "!!binary |\n";
  std::string result;
  while (true) {
    const std::size_t block = text.find(kBlock);
    if (block == std::string_view::npos) return result.append(text);
    const std::size_t line = text.rfind('\n', block) + 1;  // npos + 1 == 0
    const std::string_view before = text.substr(line, block - line);
    const bool after_key = before.find_first_not_of(" -?:") != std::string_view::npos;
    result += text.substr(0, block);
    result +=
        after_key ? std::string(kBlock) : "!!binary\n" + std::string(before.size(), ' ') + "|\n";
    text.remove_prefix(block + kBlock.size());
  }
}

// Takes a line break off `text`: "\n" for any kind but LS and PS, empty when there is none.
std::string take_line_break(std::string_view& text) {
  for (const std::string_view line_break : {"\r\n", "\n", "\r", "\u2028", "\u2029"}) {
    if (!text.starts_with(line_break)) continue;
    text.remove_prefix(line_break.size());
    return line_break.size() == 3 ? std::string(line_break) : "\n";
  }
  return {};
}

std::string_view take_blanks(std::string_view& text) {
  const std::string_view blanks = text.substr(0, text.find_first_not_of(" \t"));
  text.remove_prefix(blanks.size());
  return blanks;
}

// The value of a single-quoted scalar, `text` beginning after its quote. yaml-cpp drops line breaks
// at its end and does not know all of YAML 1.1's; to_yaml writes them in this style.
std::string single_quoted(std::string_view text) {
  std::string value;
  while (!text.empty()) {
    if (text.starts_with('\'')) {
      if (!text.starts_with("''")) break;
      value += '\'';
      text.remove_prefix(2);
      continue;
    }
    const std::string_view blanks = take_blanks(text);
    const std::string first = take_line_break(text);
    if (first.empty() && blanks.empty()) {
      value += text.front();
      text.remove_prefix(1);
    } else if (first.empty()) {
      value += blanks;
    } else {
      std::string more;
      take_blanks(text);
      for (std::string next = take_line_break(text); !next.empty(); next = take_line_break(text)) {
        more += next;
        take_blanks(text);
      }
      // A single end of line is a fold.
      if (first != "\n") value += first;
      if (first == "\n" && more.empty()) value += ' ';
      value += more;
    }
  }
  return value;
}

// yaml-cpp turns the escapes \N and \_ into the single bytes 85 and A0; here they become UTF-8.
std::string repair_escapes(const std::string& text) {
  if (is_utf8(text)) return text;
  std::string result;
  std::size_t expected = 0;  // continuation bytes to come
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool continues = (byte & 0xC0u) == 0x80u;
    if (continues && expected == 0) {
      append_utf8(result, byte);
      continue;
    }
    result += c;
    expected = continues      ? expected - 1
               : byte >= 0xF0 ? 3
               : byte >= 0xE0 ? 2
               : byte >= 0xC0 ? 1
                              : 0;
  }
  return result;
}

// Builds a tree from the parser's events, within the bounds and without recursion.
class Builder : public YAML::EventHandler {
 public:
  // `text` is what is parsed.
  explicit Builder(std::string_view text) : text_(text) {}

  std::optional<ConfigNode> take() { return std::exchange(root_, std::nullopt); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (root_) refuse(mark, "config.syntax", "a second document begins; expected one");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(mark, anchor, ConfigNode{});
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    const auto begin = static_cast<std::size_t>(mark.pos);
    if (tag == "!" && begin < text_.size() && text_[begin] == '\'') {
      add(mark, anchor, {single_quoted(text_.substr(begin + 1))});
    } else {
      add(mark, anchor, scalar(mark, tag, repair_escapes(text)));
    }
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      refuse(mark, "config.alias", "an alias refers to the value that holds it");
    }
    budget_.spend_tree(found->second, open_.size());
    place(mark, found->second);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin(mark, anchor, false);
    if (tag == "?" || tag == "!" || tag == "tag:yaml.org,2002:seq") return;
    const std::string_view name = std::string_view(tag);
    const bool is_path = name.starts_with(kPathTag) && is_path_class(name.substr(kPathTag.size()));
    if (!is_path) refuse_tag(mark, tag);
    open_.back().path_class = name.substr(kPathTag.size());
  }

  void OnSequenceEnd() override {
    Open open = close();
    if (open.path_class.empty()) return finish(open, {std::move(open.list)});
    ConfigPath path{std::move(open.path_class), {}, 0};
    for (ConfigNode& argument : open.list) {
      auto* text = std::get_if<std::string>(&argument.value);
      if (text == nullptr) {
        refuse(open.mark, "config.type",
               "a path is made of " + std::string(type_name(argument)) + "; expected strings");
      }
      path.arguments.push_back(std::move(*text));
    }
    // Aliases of it are the same object.
    if (open.anchor != YAML::NullAnchor) path.identity = static_cast<std::uint32_t>(open.anchor);
    finish(open, {std::move(path)});
  }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    begin(mark, anchor, true);
    if (tag != "?" && tag != "!" && tag != "tag:yaml.org,2002:map") refuse_tag(mark, tag);
  }

  void OnMapEnd() override {
    Open open = close();
    finish(open, {open.mapping.take()});
  }

 private:
  // A container that has begun and not ended.
  struct Open {
    YAML::Mark mark;
    YAML::anchor_t anchor = YAML::NullAnchor;
    bool is_mapping = false;
    ConfigNode::List list;
    std::string path_class;  // of a list that is a path
    MappingBuilder mapping;
    std::optional<ConfigKey> key;  // of the value that comes next
  };

  static bool is_path_class(std::string_view name) {
    for (const std::string_view module : {"pathlib.", "pathlib._local."}) {
      if (!name.starts_with(module)) continue;
      const std::string_view rest = name.substr(module.size());
      if (rest == "Path" || rest == "PosixPath" || rest == "WindowsPath") return true;
    }
    return false;
  }

  [[noreturn]] static void refuse_tag(const YAML::Mark& mark, std::string_view tag) {
    refuse(mark, "config.tag",
           "the tag " + shown_tag(tag) + " is not supported; expected plain YAML values");
  }

  static ConfigNode scalar(const YAML::Mark& mark, std::string_view tag, const std::string& text) {
    if (tag == "?") return plain_scalar(mark, text);
    if (tag == "!") return {text};
    if (!tag.starts_with(kStandardTag)) refuse_tag(mark, tag);
    const std::string_view name = tag.substr(kStandardTag.size());
    if (name == "str") return {text};
    if (name == "null") return {};
    if (name == "int") return typed(mark, ScalarType::integer, text);
    if (name == "float") return typed(mark, ScalarType::real, text);
    if (name == "bool") return typed(mark, ScalarType::boolean, text);
    if (name == "binary") {
      if (auto bytes = decode_base64(text)) return {ConfigBytes{*std::move(bytes)}};
      refuse(mark, "config.value", "the value of '!!binary' is not base64");
    }
    refuse_tag(mark, tag);
  }

  static ConfigNode plain_scalar(const YAML::Mark& mark, const std::string& text) {
    // Where PyYAML ends a line and yaml-cpp does not, they would see different documents.
    if (text.find("\u2028") != std::string::npos || text.find("\u2029") != std::string::npos) {
      refuse(mark, "config.syntax", "a line or paragraph separator stands outside quotes");
    }
    return typed(mark, omegaconf_type(text), text);
  }

  static ConfigNode typed(const YAML::Mark& mark, ScalarType type, const std::string& text) {
    const bool is_number = type == ScalarType::integer || type == ScalarType::real;
    if (is_number && text.size() > limits::kIntegerDigits) {
      refuse(mark, "config.value", "the number " + quoted(text) + " is too long");
    }
    switch (type) {
      case ScalarType::null:
        return {};
      case ScalarType::string:
      case ScalarType::timestamp:
        return {text};
      case ScalarType::boolean:
        if (const auto value = parse_boolean(text)) return {*value};
        break;
      case ScalarType::real:
        if (const auto value = parse_real(text)) return {*value};
        break;
      case ScalarType::integer:
        if (const auto value = parse_integer(text)) {
          if (const auto* small = std::get_if<std::int64_t>(&*value)) return {*small};
          return {std::get<ConfigBigInteger>(*value)};
        }
        break;
      case ScalarType::merge:
      case ScalarType::value:
        break;
    }
    refuse(mark, "config.value", quoted(text) + " has no value in YAML 1.1",
           "put it in quotes if it is meant as text");
  }

  bool expects_key() const {
    return !open_.empty() && open_.back().is_mapping && !open_.back().key;
  }

  void begin(const YAML::Mark& mark, YAML::anchor_t anchor, bool is_mapping) {
    if (expects_key()) refuse(mark, "config.type", "a key is a list or mapping; expected a scalar");
    budget_.spend(open_.size(), 0);
    Open open;
    open.mark = mark;
    open.anchor = anchor;
    open.is_mapping = is_mapping;
    open_.push_back(std::move(open));
  }

  Open close() {
    Open open = std::move(open_.back());
    open_.pop_back();
    return open;
  }

  void finish(const Open& open, ConfigNode node) {
    if (open.anchor != YAML::NullAnchor) remember(open.anchor, node);
    place(open.mark, std::move(node));
  }

  void add(const YAML::Mark& mark, YAML::anchor_t anchor, ConfigNode node) {
    if (expects_key()) {
      budget_.spend_key(text_size(node));
    } else {
      budget_.spend(open_.size(), text_size(node));
    }
    if (anchor != YAML::NullAnchor) remember(anchor, node);
    place(mark, std::move(node));
  }

  // Keeps a copy for aliases. It counts, so that nested anchors cannot multiply what is held.
  void remember(YAML::anchor_t anchor, const ConfigNode& node) {
    budget_.spend_tree(node, open_.size());
    anchors_[anchor] = node;
  }

  // Puts a finished node where it belongs.
  void place(const YAML::Mark& mark, ConfigNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (!open_.back().is_mapping) {
      open_.back().list.push_back(std::move(node));
    } else if (expects_key()) {
      open_.back().key = key(mark, std::move(node));
    } else {
      Open& open = open_.back();
      open.mapping.set(*std::exchange(open.key, std::nullopt), std::move(node));
    }
  }

  ConfigKey key(const YAML::Mark& mark, ConfigNode node) const {
    ConfigKey key;
    if (auto* text = std::get_if<std::string>(&node.value)) {
      key = std::move(*text);
    } else if (const auto* flag = node.get_if<bool>()) {
      key = *flag;
    } else if (const auto* number = node.get_if<std::int64_t>()) {
      key = *number;
    } else if (const auto* big = node.get_if<ConfigBigInteger>()) {
      key = *big;
    } else if (const auto* real = node.get_if<double>()) {
      key = *real;
    } else if (const auto* bytes = node.get_if<ConfigBytes>()) {
      key = *bytes;
    } else {
      refuse(mark, "config.type",
             "a key is " + std::string(type_name(node)) + "; expected a string or a number");
    }
    if (open_.back().mapping.contains(key)) {
      refuse(mark, "config.duplicate_key", "the key " + quoted(key_text(key)) + " stands twice");
    }
    return key;
  }

  std::string_view text_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, ConfigNode> anchors_;  // finished ones
  std::optional<ConfigNode> root_;
  Budget budget_;
};

std::optional<ConfigNode> parse(const std::string& text) {
  std::istringstream stream(text);
  Builder builder(text);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::DeepRecursion& error) {
    refuse(error.mark, "config.depth", "the configuration nests too deep");
  } catch (const YAML::Exception& error) {
    refuse(error.mark, "config.syntax", printable(error.msg));
  }
  return builder.take();
}

}  // namespace

ConfigNode read_yaml(std::string_view text) {
  if (text.size() > limits::kConfigTextBytes) {
    throw Error(ErrorKind::input, "config.size",
                "the text has " + human_bytes(text.size()) + "; at most " +
                    human_bytes(limits::kConfigTextBytes) + " are read");
  }
  std::optional<ConfigNode> root = parse(separate_binary_blocks(normalize(text)));
  if (!root || root->is_null()) {
    throw Error(ErrorKind::input, "config.empty", "the configuration text is empty");
  }
  if (root->get_if<ConfigNode::Mapping>() == nullptr) {
    throw Error(ErrorKind::input, "config.type",
                "the configuration is " + std::string(type_name(*root)) +
                    "; expected a mapping of keys to values");
  }
  return *std::move(root);
}

}  // namespace craftbundle::omegaconf
