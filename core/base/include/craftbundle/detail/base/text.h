// Text for people: escaping of untrusted bytes, sizes, numbers, near names.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// Longest piece of file-controlled text that a message shows, in characters.
inline constexpr std::size_t kShownTextLimit = 200;

// `text` made safe for a terminal, a log and JSON: control characters, bidirectional overrides and
// invalid UTF-8 become \xNN or \u{NNNN}; longer than `limit` code points is cut with "...".
std::string printable(std::string_view text, std::size_t limit = kShownTextLimit);

// printable() of any length, in which line breaks and tabs stay.
std::string printable_lines(std::string_view text);

// printable() in single quotes: 'data/3'. No function, so that a std::string as its argument does
// not bring std::quoted, which fits better, wherever a header of the library has it.
struct Quoted {
  std::string operator()(std::string_view text, std::size_t limit = kShownTextLimit) const;
};
inline constexpr Quoted quoted;

// Whether `text` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool is_utf8(std::string_view text);

// Binary units with one decimal: "0 B", "999 B", "1.5 KiB", "6.7 GiB".
std::string human_bytes(std::uint64_t bytes);

// The shortest text that reads back as the same number, whatever the locale.
std::string number_text(double number);
// "3.14" with two digits; of an error, "0" or "3.76e-04".
std::string fixed_text(double number, int digits);
std::string error_text(double error);

// "12:05", in minutes and seconds.
std::string clock_text(double seconds);
// "350 ms", "12.3 s", "12:05 min".
std::string seconds_text(double seconds);
// "2026-11-23T19:10:00Z"
std::string utc_now();

// "[2, 3, 4]"; "[]" for a scalar.
std::string shape_text(std::span<const std::int64_t> shape);

// "a, b and c" of quoted items; at most `limit` are shown ("... and 7 more").
std::string list_text(std::span<const std::string> items, std::size_t limit = 8);

// "a, b" for the separator ", ".
std::string join(std::span<const std::string> items, std::string_view separator);

// "1 tensor", "2 tensors".
std::string counted(std::uint64_t count, std::string_view noun);

// The candidate nearest to `name` by edit distance, if it is near enough to be meant.
std::optional<std::string> nearest(std::string_view name, std::span<const std::string> candidates);
// As a hint: "did you mean 'x'?"; empty when none is near enough.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

// Lower-case hexadecimal of `bytes`.
std::string hex(std::span<const std::uint8_t> bytes);

}  // namespace craftbundle
