// The tree behind Config, for code that walks or builds configurations.
//
// Trees made by Config nest at most limits::kConfigDepth deep, so that walking, copying and freeing
// them may recurse.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// An integer that does not fit 64 bits, as Python prints it.
struct ConfigBigInteger {
  std::string digits;  // "-" at most, then decimal digits without leading zeros
  friend bool operator==(const ConfigBigInteger&, const ConfigBigInteger&) = default;
};

struct ConfigBytes {
  std::string data;
  friend bool operator==(const ConfigBytes&, const ConfigBytes&) = default;
};

// A pathlib path, as the call that builds it.
struct ConfigPath {
  std::string class_name;              // "pathlib.PosixPath"
  std::vector<std::string> arguments;  // as written: {"/", "data", "x"} or {"/data/x"}
  // Paths with the same number other than 0 are one Python object: to_yaml writes the second as an
  // alias of the first. Numbers have no other meaning.
  std::uint32_t identity = 0;

  friend bool operator==(const ConfigPath& a, const ConfigPath& b) {
    return a.class_name == b.class_name && a.arguments == b.arguments;
  }
};

// Enums are their names, as strings.
using ConfigKey =
    std::variant<std::string, bool, std::int64_t, ConfigBigInteger, double, ConfigBytes>;

struct ConfigEntry;

// Missing values (???) and interpolations (${a.b}) are strings, in the place of scalars and of
// containers alike.
struct ConfigNode {
  using List = std::vector<ConfigNode>;
  using Mapping = std::vector<ConfigEntry>;  // in order; keys are distinct as in Python: 1 == 1.0
  using Value = std::variant<std::monostate, bool, std::int64_t, ConfigBigInteger, double,
                             std::string, ConfigBytes, ConfigPath, List, Mapping>;

  Value value;

  bool is_null() const { return std::holds_alternative<std::monostate>(value); }
  template <typename T>
  const T* get_if() const {
    return std::get_if<T>(&value);
  }
};

struct ConfigEntry {
  ConfigKey key;
  ConfigNode value;
};

// Python's word for what the node holds: "dict", "list", "str", "int", "float", "bool", "None", ...
std::string_view type_name(const ConfigNode& node);

// The key as OmegaConf.to_yaml writes a plain one: "a", "1", "0.5", "true"; bytes as they are.
std::string key_text(const ConfigKey& key);

// The text that OmegaConf.to_yaml gives for the tree, see Config::text().
std::string to_yaml(const ConfigNode& root);

}  // namespace craftbundle
