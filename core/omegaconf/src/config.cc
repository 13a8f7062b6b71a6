#include "craftbundle/detail/omegaconf/config.h"

#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/omegaconf/node.h"
#include "grammar.h"
#include "lookup.h"
#include "pickled.h"
#include "yaml_reader.h"

namespace craftbundle {
namespace {

using omegaconf::Lookup;
using omegaconf::Trail;

constexpr std::string_view kInt = "an int of at most 64 bits";
constexpr std::string_view kString = "a str";

[[noreturn]] void throw_type(std::string_view key, const ConfigNode& found,
                             std::string_view expected) {
  const std::string_view name = omegaconf::is_missing(found) ? "missing" : type_name(found);
  throw Error(ErrorKind::input, "config.type",
              "config key " + quoted(key) + " is " + std::string(name) + "; expected " +
                  std::string(expected));
}

// What an error in a reference is about, for the user, is the key that was asked for.
template <typename Action>
auto about_key(std::string_view key, Action&& action) {
  return with_context([&] { return "config key " + quoted(key); }, std::forward<Action>(action));
}

// Where the value of `key` is, resolved; empty when there is none.
Trail trail_of(Lookup& lookup, std::string_view key) {
  return about_key(key, [&]() -> Trail {
    Trail trail = lookup.find(key);
    if (trail.empty() || omegaconf::is_missing(*trail.back())) return {};
    trail = lookup.resolve(std::move(trail));
    return trail.back()->is_null() ? Trail() : trail;
  });
}

// Calls `convert` with the value of `key` if it has one; `convert` returns nullopt for a wrong
// type.
template <typename T, typename Convert>
std::optional<T> get(const ConfigNode& root, std::string_view key, std::string_view expected,
                     Convert&& convert) {
  Lookup lookup(root);
  const Trail trail = trail_of(lookup, key);
  if (trail.empty()) return std::nullopt;
  std::optional<T> value = convert(*trail.back());
  if (!value) throw_type(key, *trail.back(), expected);
  return value;
}

template <typename T>
std::optional<T> as(const ConfigNode& node) {
  const T* value = node.get_if<T>();
  return value != nullptr ? std::optional<T>(*value) : std::nullopt;
}

template <typename T>
std::optional<std::vector<T>> get_list(const ConfigNode& root, std::string_view key,
                                       std::string_view expected_item) {
  Lookup lookup(root);
  Trail trail = trail_of(lookup, key);
  if (trail.empty()) return std::nullopt;
  const auto* list = trail.back()->get_if<ConfigNode::List>();
  if (list == nullptr) throw_type(key, *trail.back(), "a list");
  std::vector<T> result;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string item_key = std::string(key) + "[" + std::to_string(i) + "]";
    trail.push_back(&(*list)[i]);
    const Trail item = about_key(item_key, [&] { return lookup.resolve(trail); });
    trail.pop_back();
    const T* value = item.back()->get_if<T>();
    if (value == nullptr || omegaconf::is_missing((*list)[i])) {
      throw_type(item_key, *item.back(), expected_item);
    }
    result.push_back(*value);
  }
  return result;
}

std::vector<std::string> keys_of(const ConfigNode::Mapping& mapping) {
  std::vector<std::string> keys;
  for (const ConfigEntry& entry : mapping) keys.push_back(key_text(entry.key));
  return keys;
}

// The existing key that `key` may have been meant to be: its first part that does not exist,
// replaced by the nearest one there.
std::optional<std::string> nearest_key(const Config& config, std::string_view key) {
  std::string prefix;
  for (const std::string& part : omegaconf::split_key(key)) {
    const std::string path = prefix.empty() ? part : prefix + "." + part;
    if (!config.contains(path)) {
      const auto keys = config.keys(prefix);
      const auto near = keys ? nearest(part, *keys) : std::nullopt;
      if (!near) return std::nullopt;
      return prefix.empty() ? *near : prefix + "." + *near;
    }
    prefix = path;
  }
  return std::nullopt;
}

[[noreturn]] void throw_missing(const Config& config, std::string_view key) {
  std::string state = " is not in the configuration";
  if (config.contains(key)) state = " has no value (it is null or missing)";
  std::string hint;
  if (const auto near = nearest_key(config, key)) hint = "did you mean " + quoted(*near) + "?";
  throw Error(ErrorKind::input, "config.missing", "config key " + quoted(key) + state,
              std::move(hint));
}

template <typename T>
T require(const Config& config, std::string_view key, std::optional<T> value) {
  if (!value) throw_missing(config, key);
  return *std::move(value);
}

}  // namespace

Config::Config(std::shared_ptr<const ConfigNode> root, std::string text)
    : root_(std::move(root)), text_(std::make_shared<const std::string>(std::move(text))) {}

Config::Config() {
  static const Config empty = from_yaml("{}\n");
  *this = empty;
}

bool Config::is_config(Object object) { return omegaconf::is_omegaconf(object); }

Config Config::from_object(Object object, std::optional<Object> whole) {
  auto root = std::make_shared<const ConfigNode>(omegaconf::read_pickled(object, whole));
  omegaconf::check_interpolations(*root);
  std::string text = to_yaml(*root);
  if (text.size() > limits::kConfigTextBytes) {
    throw Error(ErrorKind::input, "config.size",
                "the text of the configuration would have " + human_bytes(text.size()) +
                    "; at most " + human_bytes(limits::kConfigTextBytes) + " are allowed");
  }
  return Config(std::move(root), std::move(text));
}

Config Config::from_yaml(std::string text) {
  auto root = std::make_shared<const ConfigNode>(omegaconf::read_yaml(text));
  return Config(std::move(root), std::move(text));
}

const std::string& Config::text() const { return *text_; }

Config Config::with(std::string_view key, std::string value) const {
  auto root = std::make_shared<ConfigNode>(*root_);
  ConfigNode* node = root.get();
  for (const std::string& part : omegaconf::split_key(key)) {
    auto* mapping = std::get_if<ConfigNode::Mapping>(&node->value);
    node = nullptr;
    if (mapping == nullptr) break;
    for (ConfigEntry& entry : *mapping) {
      if (key_text(entry.key) == part) node = &entry.value;
    }
    if (node == nullptr) break;
  }
  if (node == nullptr || node == root.get()) {
    if (!contains(key)) throw_missing(*this, key);
    throw Error(ErrorKind::input, "config.missing",
                "config key " + quoted(key) + " lies in a list or behind an interpolation");
  }
  node->value = std::move(value);
  std::string text = to_yaml(*root);
  return Config(std::move(root), std::move(text));
}

bool Config::contains(std::string_view key) const {
  Lookup lookup(*root_);
  return about_key(key, [&] { return !lookup.find(key).empty(); });
}

std::optional<bool> Config::get_bool(std::string_view key) const {
  return get<bool>(*root_, key, "a bool", as<bool>);
}

std::optional<std::int64_t> Config::get_int(std::string_view key) const {
  return get<std::int64_t>(*root_, key, kInt, as<std::int64_t>);
}

std::optional<double> Config::get_real(std::string_view key) const {
  return get<double>(*root_, key, "a number", [](const ConfigNode& node) -> std::optional<double> {
    if (const auto* number = node.get_if<std::int64_t>()) return static_cast<double>(*number);
    return as<double>(node);
  });
}

std::optional<std::string> Config::get_string(std::string_view key) const {
  return get<std::string>(*root_, key, kString, as<std::string>);
}

std::optional<std::vector<std::int64_t>> Config::get_int_list(std::string_view key) const {
  return get_list<std::int64_t>(*root_, key, kInt);
}

std::optional<std::vector<std::string>> Config::get_string_list(std::string_view key) const {
  return get_list<std::string>(*root_, key, kString);
}

std::optional<std::vector<std::string>> Config::keys(std::string_view key) const {
  Lookup lookup(*root_);
  const Trail trail = trail_of(lookup, key);
  if (trail.empty()) return std::nullopt;
  const auto* mapping = trail.back()->get_if<ConfigNode::Mapping>();
  return mapping != nullptr ? std::optional(keys_of(*mapping)) : std::nullopt;
}

std::int64_t Config::require_int(std::string_view key) const {
  return require(*this, key, get_int(key));
}

double Config::require_real(std::string_view key) const {
  return require(*this, key, get_real(key));
}

std::string Config::require_string(std::string_view key) const {
  return require(*this, key, get_string(key));
}

std::vector<std::int64_t> Config::require_int_list(std::string_view key) const {
  return require(*this, key, get_int_list(key));
}

}  // namespace craftbundle
