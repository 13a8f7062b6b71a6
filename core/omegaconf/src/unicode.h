// Code points, as Python and YAML 1.1 class them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "craftbundle/detail/base/utf8.h"

namespace craftbundle::omegaconf {

// Code points of `text`. A lone surrogate, written as three bytes as Python's "surrogatepass" does,
// is kept; other malformed bytes become U+FFFD each.
std::u32string decode_utf8(std::string_view text);

// YAML 1.1 line breaks but for the carriage return: LF, NEL, LS, PS.
constexpr bool is_line_break(char32_t c) {
  return c == U'\n' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

// What may stand in YAML text unescaped. Others make a scalar double-quoted.
constexpr bool is_yaml_printable(char32_t c) {
  return c == U'\n' || (c >= 0x20 && c <= 0x7E) || c == 0x85 || (c >= 0xA0 && c <= 0xD7FF) ||
         (c >= 0xE000 && c <= 0xFFFD && c != 0xFEFF) || (c >= 0x10000 && c <= 0x10FFFE);
}

// str.isspace()
bool is_python_space(char32_t c);

// 0 to 9 for a decimal digit of any script (category Nd).
std::optional<int> decimal_digit(char32_t c);

}  // namespace craftbundle::omegaconf
