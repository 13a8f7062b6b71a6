// Text as pickles write it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace craftbundle {

// Whether `text` is UTF-8 as Python's "surrogatepass" writes it: lone surrogates are allowed.
bool is_python_utf8(std::string_view text);

// One byte per code point; nullopt when a code point is above U+00FF. REQUIRES:
// is_python_utf8(text).
std::optional<std::string> utf8_to_latin1(std::string_view text);

// Decimal digits of a little-endian two's complement number, or "<integer of N bytes>" beyond
// limits::kIntegerDigits.
std::string decimal_of_twos_complement(std::string_view bytes);

// Decimal text of an integer literal without a plus sign, white space and leading zeros; the same
// bound. nullopt when it is no integer.
std::optional<std::string> normal_decimal(std::string_view text);

// The value of a str literal of Python 2, with its quotes. nullopt when quotes or escapes are
// wrong.
std::optional<std::string> unescape_python2_string(std::string_view literal);

// Decodes the codec "raw-unicode-escape" to UTF-8. nullopt when an escape is wrong.
std::optional<std::string> unescape_raw_unicode(std::string_view text);

}  // namespace craftbundle
