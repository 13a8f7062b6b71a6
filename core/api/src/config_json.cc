#include "config_json.h"

#include <cmath>

#include "craftbundle/detail/io/path.h"
#include "craftbundle/detail/omegaconf/interpolation.h"
#include "craftbundle/detail/omegaconf/node.h"

namespace craftbundle {
namespace {

std::string hexadecimal(const std::string& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4U];
    text += kDigits[static_cast<unsigned char>(byte) & 15U];
  }
  return text;
}

Json scalar_json(std::monostate /*null*/) { return nullptr; }
Json scalar_json(bool value) { return value; }
Json scalar_json(std::int64_t value) { return value; }
Json scalar_json(const std::string& value) { return value; }
Json scalar_json(const ConfigBigInteger& value) { return {{"integer", value.digits}}; }
Json scalar_json(const ConfigBytes& value) { return {{"bytes", hexadecimal(value.data)}}; }
Json scalar_json(double value) {
  if (std::isfinite(value)) return value;
  return {{"float", std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf"}};
}

// What pathlib makes of the arguments: each one that begins at the root starts anew.
Json scalar_json(const ConfigPath& value) {
  Path path;
  for (const std::string& part : value.arguments) {
    path = Path(part).is_absolute() ? Path(part) : path / part;
  }
  return {{"path", path.lexically_normal().string()}};
}

class Writer {
 public:
  explicit Writer(const ConfigNode& root) : root_(root) {}

  // `place`: "${a.b}" is this node; empty for the root and what has no such name.
  Json write(const ConfigNode& node, const std::string& place) const {
    if (!place.empty()) {
      try {
        return plain(interpolate(root_, "${" + place + "}", no_resolver));
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::input) throw;
      }
    }
    return std::visit([&](const auto& value) { return container(value, place); }, node.value);
  }

 private:
  static std::string no_resolver(const std::string& name, const std::vector<std::string>& /*of*/) {
    throw Error(ErrorKind::input, "config.resolver", "resolver " + name + " is not run");
  }

  static Json plain(const ConfigNode& node) {
    return std::visit(
        [](const auto& value) -> Json {
          using Value = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<Value, ConfigNode::List>) {
            return json_list(value, plain);
          } else if constexpr (std::is_same_v<Value, ConfigNode::Mapping>) {
            return {{"mapping", json_list(value, [](const ConfigEntry& entry) {
                       return Json::array({key_json(entry.key), plain(entry.value)});
                     })}};
          } else {
            return scalar_json(value);
          }
        },
        node.value);
  }

  static Json key_json(const ConfigKey& key) {
    return std::visit([](const auto& value) { return scalar_json(value); }, key);
  }

  static std::string below(const std::string& place, const std::string& key) {
    // Other names would be read as several, or as something else.
    const bool is_plain = !key.empty() && key.find_first_of(".[]{}$:\\'\" ") == std::string::npos;
    if (!is_plain) return {};
    return place.empty() ? key : place + "." + key;
  }

  Json container(const ConfigNode::Mapping& mapping, const std::string& place) const {
    return {{"mapping", json_list(mapping, [&](const ConfigEntry& entry) {
               const auto* name = std::get_if<std::string>(&entry.key);
               const bool known = name != nullptr && (!place.empty() || &mapping == root());
               return Json::array(
                   {key_json(entry.key), write(entry.value, known ? below(place, *name) : "")});
             })}};
  }
  Json container(const ConfigNode::List& list, const std::string& place) const {
    Json json = Json::array();
    for (std::size_t i = 0; i < list.size(); ++i) {
      json.push_back(write(list[i], place.empty() ? "" : place + "." + std::to_string(i)));
    }
    return json;
  }
  template <typename Scalar>
  Json container(const Scalar& value, const std::string& /*place*/) const {
    return scalar_json(value);
  }

  const ConfigNode::Mapping* root() const { return root_.get_if<ConfigNode::Mapping>(); }

  const ConfigNode& root_;
};

}  // namespace

Json config_json(const Config& config) { return Writer(config.root()).write(config.root(), {}); }

}  // namespace craftbundle
