#include "yaml_reader.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "budget.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/limits.h"
#include "craftbundle/detail/omegaconf/config.h"
#include "grammar.h"
#include "scalar.h"
#include "unicode.h"
#include "yaml_composer.h"

namespace craftbundle::omegaconf {
namespace {

constexpr std::string_view kPathTag = "tag:yaml.org,2002:python/object/apply:";

bool is_standard(std::string_view tag, std::string_view name) {
  return tag.starts_with(kStandardTag) && tag.substr(kStandardTag.size()) == name;
}

[[noreturn]] void refuse_tag(const YamlNode& node) {
  std::string shown(node.tag);
  if (node.tag.starts_with(kStandardTag)) shown.replace(0, kStandardTag.size(), "!!");
  refuse(node.mark, "config.tag",
         "the tag " + quoted(shown) + " is not supported; expected plain YAML values");
}

// The characters of `utf8`, all of which may stand in YAML.
std::u32string decode(std::string_view utf8) {
  if (!is_utf8(utf8)) {
    throw Error(ErrorKind::input, "config.syntax", "the text is not valid UTF-8");
  }
  std::u32string text = decode_utf8(utf8);
  Mark mark;
  for (const char32_t c : text) {
    const bool is_readable =
        is_yaml_printable(c) || c == U'\t' || c == U'\r' || c == 0xFEFF || c == 0x10FFFF;
    if (!is_readable) {
      std::string character;
      append_utf8(character, c);
      refuse(mark, "config.syntax",
             "the character " + quoted(character) + " is not allowed in YAML");
    }
    ++mark.column;
    if (is_line_break(c)) mark = {mark.index, mark.line + 1, 0};
  }
  return text;
}

bool has_type(const YamlNode& key, ScalarType type, std::string_view tag_name) {
  if (key.kind != YamlNode::Kind::scalar) return false;
  if (!key.tag.empty()) return is_standard(key.tag, tag_name);
  return (key.is_implicit ? omegaconf_type(key.text) : ScalarType::string) == type;
}

void refuse_duplicate_keys(const YamlNode& mapping) {
  std::unordered_set<std::string_view> seen;
  for (std::size_t i = 0; i < mapping.items.size(); i += 2) {
    const YamlNode& key = *mapping.items[i];
    // Of others OmegaConf takes the last.
    if (!has_type(key, ScalarType::string, "str") || seen.insert(key.text).second) continue;
    refuse(key.mark, "config.duplicate_key", "the key " + quoted(key.text) + " stands twice");
  }
}

// Puts what merge keys ("<<: *defaults") refer to into the mappings that have them.
class Merger {
 public:
  // In the order in which PyYAML constructs mappings: keys that a merge brings count as duplicates
  // where it comes first.
  void merge_all(YamlNode& root) {
    std::vector<YamlNode*> nodes = {&root};
    std::unordered_set<const YamlNode*> seen = {&root};
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      YamlNode& node = *nodes[i];
      if (node.kind == YamlNode::Kind::mapping) {
        refuse_duplicate_keys(node);
        merge(node, 0);
      }
      for (YamlNode* item : node.items) {
        if (item->kind != YamlNode::Kind::scalar && seen.insert(item).second) {
          nodes.push_back(item);
        }
      }
    }
  }

 private:
  void merge(YamlNode& mapping, std::size_t depth) {
    check_depth(depth);
    std::vector<YamlNode*> own;
    std::vector<YamlNode*> sources;
    for (std::size_t i = 0; i < mapping.items.size(); i += 2) {
      YamlNode* const value = mapping.items[i + 1];
      if (has_type(*mapping.items[i], ScalarType::merge, "merge")) {
        sources.push_back(value);
      } else {
        own.insert(own.end(), {mapping.items[i], value});
      }
    }
    if (sources.empty()) return;
    mapping.items = own;
    std::vector<YamlNode*> merged;
    for (YamlNode* source : sources) {
      if (source->kind == YamlNode::Kind::sequence) {
        // The first mapping of a list wins: it is put last.
        for (YamlNode* item : source->items) merge_source(*item, depth);
        for (auto item = source->items.rbegin(); item != source->items.rend(); ++item) {
          append((*item)->items, merged);
        }
      } else {
        merge_source(*source, depth);
        append(source->items, merged);
      }
    }
    merged.insert(merged.end(), mapping.items.begin(), mapping.items.end());
    mapping.items = std::move(merged);
  }

  void merge_source(YamlNode& source, std::size_t depth) {
    if (source.kind != YamlNode::Kind::mapping) {
      refuse(source.mark, "config.type", "only mappings, or a list of them, can be merged");
    }
    merge(source, depth + 1);
  }

  void append(const std::vector<YamlNode*>& items, std::vector<YamlNode*>& merged) {
    entries_ += items.size() / 2;
    if (entries_ > limits::kConfigNodes) throw_too_many_values();
    merged.insert(merged.end(), items.begin(), items.end());
  }

  std::size_t entries_ = 0;
};

// The parts of the path that PosixPath(*arguments) is.
std::vector<std::string> posix_parts(const std::vector<std::string>& arguments) {
  std::vector<std::string> parts;
  for (const std::string& argument : arguments) {
    const std::size_t slashes = std::min(argument.find_first_not_of('/'), argument.size());
    if (slashes > 0) parts.assign(1, slashes == 2 ? "//" : "/");
    for (std::size_t i = slashes; i < argument.size();) {
      const std::size_t end = std::min(argument.find('/', i), argument.size());
      const std::string part = argument.substr(i, end - i);
      if (!part.empty() && part != ".") parts.push_back(part);
      i = end + 1;
    }
  }
  return parts;
}

// Makes the tree of the nodes, within the bounds.
class Constructor {
 public:
  ConfigNode construct(const YamlNode& node, std::size_t depth) {
    if (node.kind == YamlNode::Kind::scalar) {
      ConfigNode value = scalar(node);
      budget_.spend(depth, text_size(value));
      return value;
    }
    if (!open_.insert(&node).second) {
      refuse(node.mark, "config.alias", "an alias in this value refers to it");
    }
    budget_.spend(depth, 0);
    ConfigNode result = node.kind == YamlNode::Kind::mapping ? ConfigNode{mapping(node, depth)}
                                                             : sequence(node, depth);
    open_.erase(&node);
    return result;
  }

 private:
  ConfigNode::Mapping mapping(const YamlNode& node, std::size_t depth) {
    if (!node.tag.empty() && !is_standard(node.tag, "map")) refuse_tag(node);
    MappingBuilder result;
    for (std::size_t i = 0; i < node.items.size(); i += 2) {
      ConfigKey name = key(*node.items[i]);
      result.set(std::move(name), construct(*node.items[i + 1], depth + 1));
    }
    return result.take();
  }

  ConfigNode sequence(const YamlNode& node, std::size_t depth) {
    const bool is_path =
        node.tag.starts_with(kPathTag) && is_path_class(node.tag.substr(kPathTag.size()));
    if (!is_path && !node.tag.empty() && !is_standard(node.tag, "seq")) refuse_tag(node);
    ConfigNode::List items;
    for (const YamlNode* item : node.items) items.push_back(construct(*item, depth + 1));
    if (is_path) return {path(node, std::move(items))};
    return {std::move(items)};
  }

  static bool is_path_class(std::string_view name) {
    for (const std::string_view module : {"pathlib.", "pathlib._local."}) {
      if (!name.starts_with(module)) continue;
      const std::string_view rest = name.substr(module.size());
      if (rest == "Path" || rest == "PosixPath" || rest == "WindowsPath") return true;
    }
    return false;
  }

  ConfigPath path(const YamlNode& node, ConfigNode::List items) {
    ConfigPath path{std::string(node.tag.substr(kPathTag.size())), {}, 0};
    for (ConfigNode& item : items) {
      if (auto* text = std::get_if<std::string>(&item.value)) {
        path.arguments.push_back(std::move(*text));
      } else if (const auto* inner = item.get_if<ConfigPath>()) {
        path.arguments.insert(path.arguments.end(), inner->arguments.begin(),
                              inner->arguments.end());
      } else {
        refuse(node.mark, "config.type",
               "a path is made of " + std::string(type_name(item)) + "; expected strings");
      }
    }
    // As the object pickles, which is what to_yaml writes. Of other classes only their own Python
    // knows.
    if (path.class_name == "pathlib.Path" || path.class_name == "pathlib.PosixPath") {
      path.class_name = "pathlib.PosixPath";
      path.arguments = posix_parts(path.arguments);
    }
    // Wherever the node is, there is the same object.
    const auto number = static_cast<std::uint32_t>(paths_.size() + 1);
    path.identity = paths_.emplace(&node, number).first->second;
    return path;
  }

  static ConfigNode scalar(const YamlNode& node) {
    const std::string& text = node.text;
    if (node.tag.empty()) {
      return node.is_implicit ? typed(node, omegaconf_type(text)) : ConfigNode{text};
    }
    if (is_standard(node.tag, "str")) return {text};
    if (is_standard(node.tag, "null")) return {};
    if (is_standard(node.tag, "int")) return typed(node, ScalarType::integer);
    if (is_standard(node.tag, "float")) return typed(node, ScalarType::real);
    if (is_standard(node.tag, "bool")) return typed(node, ScalarType::boolean);
    if (!is_standard(node.tag, "binary")) refuse_tag(node);
    if (auto bytes = decode_base64(text)) return {ConfigBytes{*std::move(bytes)}};
    refuse(node.mark, "config.value", "the value of '!!binary' is not base64");
  }

  [[noreturn]] static void refuse_long_number(const YamlNode& node) {
    refuse(node.mark, "config.value", "the number " + quoted(node.text) + " is too long");
  }

  static ConfigNode typed(const YamlNode& node, ScalarType type) {
    const std::string& text = node.text;
    const bool is_number = type == ScalarType::integer || type == ScalarType::real;
    if (is_number && text.size() > limits::kIntegerDigits) refuse_long_number(node);
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
          const auto& big = std::get<ConfigBigInteger>(*value);
          // Other bases have fewer digits than to_yaml would write.
          if (big.digits.size() > limits::kIntegerDigits) refuse_long_number(node);
          return {big};
        }
        break;
      case ScalarType::merge:
      case ScalarType::value:
        break;
    }
    refuse(node.mark, "config.value", quoted(text) + " has no value in YAML 1.1",
           "put it in quotes if it is meant as text");
  }

  ConfigKey key(const YamlNode& written) {
    if (written.kind != YamlNode::Kind::scalar) {
      refuse(written.mark, "config.type", "a key is a list or mapping; expected a scalar");
    }
    // A key "=" is text.
    const bool is_value = has_type(written, ScalarType::value, "value");
    ConfigNode node = is_value ? ConfigNode{written.text} : scalar(written);
    budget_.spend_key(text_size(node));
    if (auto* text = std::get_if<std::string>(&node.value)) return std::move(*text);
    if (const auto* flag = node.get_if<bool>()) return *flag;
    if (const auto* number = node.get_if<std::int64_t>()) return *number;
    if (const auto* big = node.get_if<ConfigBigInteger>()) return *big;
    if (const auto* real = node.get_if<double>()) return *real;
    if (const auto* bytes = node.get_if<ConfigBytes>()) return *bytes;
    refuse(written.mark, "config.type",
           "a key is " + std::string(type_name(node)) + "; expected a string or a number");
  }

  Budget budget_;
  std::set<const YamlNode*> open_;  // containers that hold the one at hand
  std::map<const YamlNode*, std::uint32_t> paths_;
};

}  // namespace

ConfigNode read_yaml(std::string_view text) {
  if (text.size() > limits::kConfigTextBytes) {
    throw Error(ErrorKind::input, "config.size",
                "the text has " + human_bytes(text.size()) + "; at most " +
                    human_bytes(limits::kConfigTextBytes) + " are read");
  }
  const std::u32string characters = decode(text);
  Composer composer(characters);
  YamlNode* const document = composer.document();
  ConfigNode root;
  if (document != nullptr) {
    Merger().merge_all(*document);
    root = Constructor().construct(*document, 0);
  }
  if (root.is_null()) {
    throw Error(ErrorKind::input, "config.empty", "the configuration text is empty");
  }
  if (root.get_if<ConfigNode::Mapping>() == nullptr) {
    throw Error(ErrorKind::input, "config.type",
                "the configuration is " + std::string(type_name(root)) +
                    "; expected a mapping of keys to values");
  }
  check_interpolations(root);
  return root;
}

}  // namespace craftbundle::omegaconf
