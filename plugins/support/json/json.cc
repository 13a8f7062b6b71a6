#include "craftbundle/layout_json.h"

#include <cmath>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/omegaconf/node.h"

namespace craftbundle::layout_json {
namespace {

constexpr int kDepth = 100;

Json to_json(const ConfigNode& node);

struct ConfigVisitor {
  Json operator()(std::monostate) const { return nullptr; }
  Json operator()(bool value) const { return value; }
  Json operator()(std::int64_t value) const { return value; }
  Json operator()(const ConfigBigInteger& value) const { return value.digits; }
  Json operator()(double value) const {
    // JSON has no NaN or infinity.
    return std::isfinite(value) ? Json(value) : Json(std::to_string(value));
  }
  Json operator()(const std::string& value) const { return value; }
  Json operator()(const ConfigBytes& value) const { return value.data; }
  Json operator()(const ConfigPath& value) const {
    std::string path;
    for (const std::string& part : value.arguments) {
      path += (path.empty() || path.ends_with('/') ? "" : "/") + part;
    }
    return path;
  }
  Json operator()(const ConfigNode::List& list) const {
    Json json = Json::array();
    for (const ConfigNode& item : list) json.push_back(to_json(item));
    return json;
  }
  Json operator()(const ConfigNode::Mapping& mapping) const {
    Json json = Json::object();
    for (const ConfigEntry& entry : mapping) json[key_text(entry.key)] = to_json(entry.value);
    return json;
  }
};

Json to_json(const ConfigNode& node) { return std::visit(ConfigVisitor{}, node.value); }

Error no_word(const std::string& where, const std::string& what) {
  return Error(ErrorKind::mismatch, "layout.value",
               where + " is " + what + ", which this layout has no place for",
               "choose another layout, or take it out of the source");
}

Json to_json(const Value& value, const std::string& where) {
  return value.visit([&](const auto& held) -> Json {
    using T = std::decay_t<decltype(held)>;
    if constexpr (std::is_same_v<T, std::monostate>) {
      return nullptr;
    } else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::int64_t>) {
      return held;
    } else if constexpr (std::is_same_v<T, double>) {
      if (!std::isfinite(held)) throw no_word(where, "a number that is not finite");
      return held;
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (!is_utf8(held)) throw no_word(where, "text that is no UTF-8");
      return held;
    } else if constexpr (std::is_same_v<T, Value::List>) {
      Json json = Json::array();
      for (std::size_t i = 0; i < held.size(); ++i) {
        json.push_back(to_json(held[i], where + "[" + std::to_string(i) + "]"));
      }
      return json;
    } else if constexpr (std::is_same_v<T, Value::Dict>) {
      Json json = Json::object();
      for (const auto& [key, item] : held) {
        const std::string place = where + "[" + craftbundle::quoted(key) + "]";
        if (!is_utf8(key)) throw no_word(place, "under a key that is no UTF-8");
        json[key] = to_json(item, place);
      }
      return json;
    } else {
      throw no_word(where, "a tensor");
    }
  });
}

Error bad_json(const std::string& what) {
  return Error(ErrorKind::input, "layout.json", what,
               "get the file again from where the bundle was made");
}

Value from_json(const Json& json) {
  switch (json.type()) {
    case Json::value_t::null:
      return {};
    case Json::value_t::boolean:
      return json.get<bool>();
    case Json::value_t::number_integer:
      return json.get<std::int64_t>();
    case Json::value_t::number_unsigned: {
      const auto number = json.get<std::uint64_t>();
      if (number > INT64_MAX) throw bad_json("has the number " + std::to_string(number));
      return static_cast<std::int64_t>(number);
    }
    case Json::value_t::number_float:
      return json.get<double>();
    case Json::value_t::string:
      return json.get<std::string>();
    case Json::value_t::array: {
      Value::List list;
      for (const Json& item : json) list.push_back(from_json(item));
      return list;
    }
    case Json::value_t::object: {
      Value::Dict dict;
      for (const auto& [key, item] : json.items()) dict.emplace_back(key, from_json(item));
      return dict;
    }
    default:
      throw bad_json("holds something else than plain values");
  }
}

}  // namespace

Json config_value(const Config& config) { return to_json(config.root()); }

std::string config_json(const Config& config) {
  return config_value(config).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json parse(const std::string& text) {
  // Nesting is bounded before a tree is built of it.
  const auto bound = [](int depth, Json::parse_event_t event, Json& /*parsed*/) {
    const bool opens =
        event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    if (opens && depth > kDepth) throw bad_json("nests deeper than " + std::to_string(kDepth));
    return true;
  };
  try {
    return Json::parse(text, bound);
  } catch (const nlohmann::json::exception& error) {
    throw bad_json("is no JSON: " + printable(error.what(), 200));
  }
}

Config config_from(const Json& json) {
  // JSON on one line is YAML.
  return Config::from_yaml(json.dump() + "\n");
}

std::string value_json(const Value::Dict& dict, const std::string& where) {
  return to_json(Value(dict), where).dump();
}

Value::Dict read_value(const std::string& text) {
  const Json json = parse(text);
  if (!json.is_object()) throw bad_json("is no object");
  return *from_json(json).get_if<Value::Dict>();
}

}  // namespace craftbundle::layout_json
