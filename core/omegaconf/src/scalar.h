// What plain scalars mean in YAML 1.1, and what Python makes of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "craftbundle/detail/omegaconf/node.h"

namespace craftbundle::omegaconf {

enum class ScalarType { string, null, boolean, integer, real, merge, value, timestamp };

// The type that PyYAML's resolver gives to the plain scalar `text`.
ScalarType yaml_type(std::string_view text);

// The type that OmegaConf's loader gives: no timestamps, and "1e5" and the like are floats.
ScalarType omegaconf_type(std::string_view text);

// Whether to_yaml quotes `text` because it would read as a boolean in some YAML, or because
// Python's int() or float() accept it.
bool looks_like_bool(std::string_view text);
bool looks_like_number(std::u32string_view text);

using Integer = std::variant<std::int64_t, ConfigBigInteger>;

// The number that OmegaConf's loader makes of a scalar of this type; nullopt where Python raises
// an exception ("0b_").
std::optional<Integer> parse_integer(std::string_view text);
std::optional<double> parse_real(std::string_view text);
std::optional<bool> parse_boolean(std::string_view text);

// repr(value) in Python: "1e-05", "100.0", "inf".
std::string python_repr(double value);

// How to_yaml writes a float: "1.0e-05", ".inf".
std::string real_text(double value);

std::string integer_text(const Integer& value);

std::string encode_base64(std::string_view bytes);

// Leaves out white space and other foreign characters, as Python does; nullopt for wrong padding
// and for what is not ASCII.
std::optional<std::string> decode_base64(std::string_view text);

// Equal for keys that are equal in Python (1, 1.0 and True; not 1 and "1").
std::string key_identity(const ConfigKey& key);

}  // namespace craftbundle::omegaconf
