#include "variables.h"

#include <algorithm>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "foreign_hints.h"

namespace craftbundle {
namespace {

ConfigNode to_config(const YamlNode& node) {
  ConfigNode config;
  switch (node.type) {
    case YamlNode::Type::text:
      config.value = node.text;
      break;
    case YamlNode::Type::list: {
      ConfigNode::List items;
      for (const YamlNode& item : node.items) items.push_back(to_config(item));
      config.value = std::move(items);
      break;
    }
    case YamlNode::Type::map: {
      ConfigNode::Mapping entries;
      for (const YamlNode::Entry& entry : node.entries) {
        entries.push_back({entry.key.text, to_config(entry.value)});
      }
      config.value = std::move(entries);
      break;
    }
  }
  return config;
}

YamlNode from_config(const ConfigNode& config, const YamlMark& mark, bool from_environment) {
  YamlNode node;
  node.mark = mark;
  node.from_environment = from_environment;
  if (const auto* text = config.get_if<std::string>()) {
    node.text = *text;
  } else if (const auto* list = config.get_if<ConfigNode::List>()) {
    node.type = YamlNode::Type::list;
    for (const ConfigNode& item : *list)
      node.items.push_back(from_config(item, mark, from_environment));
  } else if (const auto* mapping = config.get_if<ConfigNode::Mapping>()) {
    node.type = YamlNode::Type::map;
    for (const ConfigEntry& entry : *mapping) {
      YamlNode key;
      key.mark = mark;
      key.text = key_text(entry.key);
      node.entries.push_back({std::move(key), from_config(entry.value, mark, from_environment)});
    }
  }
  return node;
}

void list_paths(const ConfigNode& node, const std::string& prefix,
                std::vector<std::string>& paths) {
  const auto* mapping = node.get_if<ConfigNode::Mapping>();
  if (mapping == nullptr) return;
  for (const ConfigEntry& entry : *mapping) {
    paths.push_back(prefix + key_text(entry.key));
    list_paths(entry.value, paths.back() + ".", paths);
  }
}

}  // namespace

Variables::Variables(const YamlNode& vars, Resolver resolver, const std::size_t& environment_reads)
    : root_(to_config(vars)),
      resolver_(std::move(resolver)),
      environment_reads_(&environment_reads) {}

void Variables::set(const std::string& name, const YamlNode& value) {
  auto& entries = std::get<ConfigNode::Mapping>(root_.value);
  std::erase_if(entries, [&](const ConfigEntry& entry) { return key_text(entry.key) == name; });
  entries.push_back({name, to_config(value)});
}

YamlNode Variables::resolve_text(const YamlNode& node) const {
  if (!has_interpolation(node.text)) return node;
  try {
    const std::size_t reads_before = *environment_reads_;
    const ConfigNode value = interpolate(root_, node.text, resolver_);
    return from_config(value, node.mark, *environment_reads_ != reads_before);
  } catch (const Error& error) {
    if (error.code() != "config.interpolation") throw;
    std::string message = error.message();
    std::string hint;
    constexpr std::string_view kKey = "key:";
    if (error.subject().starts_with(kKey)) {
      const std::string key = error.subject().substr(kKey.size());
      std::vector<std::string> paths;
      list_paths(root_, {}, paths);
      message = quoted(node.text) + " uses the variable " + quoted(key) + ", which does not exist";
      hint = did_you_mean(key, paths);
      if (hint.empty()) hint = hint_for_variable(key);
      if (hint.empty()) hint = "add it to 'vars', or as an axis of the stage's 'matrix'";
    }
    if (hint.empty()) hint = hint_for_double_braces(node.text);
    throw Error(ErrorKind::usage, "script.variable", std::move(message), std::move(hint));
  }
}

YamlNode Variables::resolve(const YamlNode& node) const {
  if (node.type == YamlNode::Type::text) return resolve_text(node);
  YamlNode result;
  result.type = node.type;
  result.mark = node.mark;
  for (const YamlNode& item : node.items) result.items.push_back(resolve(item));
  for (const YamlNode::Entry& entry : node.entries) {
    result.entries.push_back({resolve_text(entry.key), resolve(entry.value)});
  }
  return result;
}

Resolver environment_resolver(const Environment& environment, std::size_t& reads, Resolver other) {
  return [environment, &reads, other = std::move(other)](
             const std::string& name, const std::vector<std::string>& arguments) -> std::string {
    if (name != "oc.env") return other(name, arguments);
    if (arguments.empty() || arguments.size() > 2 || arguments[0].empty()) {
      throw Error(ErrorKind::usage, "script.variable",
                  "oc.env takes the name of an environment variable and a default");
    }
    if (auto value = environment(arguments[0])) {
      ++reads;
      return *std::move(value);
    }
    if (arguments.size() == 2) return arguments[1];
    throw Error(ErrorKind::usage, "script.variable",
                "the environment variable " + quoted(arguments[0]) + " is not set",
                "set it, or give a default: ${oc.env:" + printable(arguments[0]) + ",DEFAULT}");
  };
}

}  // namespace craftbundle
