// UTF-8 as code points.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// What a decoder makes of a lone surrogate in three bytes.
enum class Surrogates {
  refuse,  // malformed (RFC 3629)
  pass,    // a character, as Python's "surrogatepass" has it
};

struct Utf8Character {
  char32_t code_point = 0;
  std::size_t length = 0;  // in bytes; 0: malformed, which is no overlong form either
};

// The character that `text` begins with. REQUIRES: text is not empty.
Utf8Character first_character(std::string_view text, Surrogates surrogates = Surrogates::refuse);

void append_utf8(std::string& text, char32_t c);

}  // namespace craftbundle
