#include "craftbundle/detail/base/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <numeric>

#include "craftbundle/detail/base/utf8.h"

namespace craftbundle {
namespace {

// Characters that change how a terminal shows what stands around them.
bool is_hidden(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || (c >= 0x200B && c <= 0x200F) ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF ||
         (c >= 0xFFF9 && c <= 0xFFFB) || (c >= 0xE0000 && c <= 0xE007F);
}

std::string format_hex(const char* format, unsigned value) {
  std::array<char, 16> buffer{};
  const int length = std::snprintf(buffer.data(), buffer.size(), format, value);
  return {buffer.data(), static_cast<std::size_t>(length)};
}

// Whatever the locale.
template <typename... Format>
std::string number_as(double number, Format... format) {
  std::array<char, 400> buffer{};  // the longest double has 309 digits
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, format...);
  return {buffer.data(), end.ptr};
}

// Takes the first character of `text`.
void append_printable(std::string& result, std::string_view& text) {
  const Utf8Character character = first_character(text);
  if (character.length == 0) {
    result += format_hex("\\x%02X", static_cast<unsigned char>(text[0]));
  } else if (text.front() == '\n') {
    result += "\\n";
  } else if (text.front() == '\t') {
    result += "\\t";
  } else if (is_hidden(character.code_point)) {
    const char* format = character.code_point < 0x100 ? "\\x%02X" : "\\u{%04X}";
    result += format_hex(format, static_cast<unsigned>(character.code_point));
  } else {
    result += text.substr(0, character.length);
  }
  text.remove_prefix(std::max<std::size_t>(character.length, 1));
}

// Number of single-character edits (insert, remove, replace, swap of neighbours) between two names.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> previous(b.size() + 1);
  std::vector<std::size_t> current(b.size() + 1);
  std::iota(previous.begin(), previous.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u);
      current[j] = std::min({replace, previous[j] + 1, current[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], before[j - 2] + 1);
      }
    }
    before.swap(previous);
    previous.swap(current);
  }
  return previous[b.size()];
}

}  // namespace

std::string printable(std::string_view text, std::size_t limit) {
  std::string result;
  result.reserve(std::min(text.size(), limit));
  for (std::size_t shown = 0; !text.empty(); ++shown) {
    if (shown == limit) return result + "...";
    append_printable(result, text);
  }
  return result;
}

std::string printable_lines(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    if (text.front() == '\n' || text.front() == '\t') {
      result += text.front();
      text.remove_prefix(1);
    } else {
      append_printable(result, text);
    }
  }
  return result;
}

std::string Quoted::operator()(std::string_view text, std::size_t limit) const {
  std::string result = "'";
  result += printable(text, limit);
  result += '\'';
  return result;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = first_character(text).length;
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // 1023.95 would print as 1024.0.
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fixed_text(value, 1) + " " + kUnits[unit];
}

std::string number_text(double number) { return number_as(number); }

std::string fixed_text(double number, int digits) {
  return number_as(number, std::chars_format::fixed, digits);
}

std::string error_text(double error) {
  return error == 0 ? "0" : number_as(error, std::chars_format::scientific, 2);
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<long long>(seconds);
  const std::string rest = std::to_string(whole % 60);
  return std::to_string(whole / 60) + (rest.size() < 2 ? ":0" : ":") + rest;
}

std::string seconds_text(double seconds) {
  if (seconds < 0.95) return std::to_string(std::llround(seconds * 1000)) + " ms";
  return seconds < 100 ? fixed_text(seconds, 1) + " s" : clock_text(seconds) + " min";
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm time{};
  ::gmtime_r(&now, &time);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &time)};
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string result = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) result += ", ";
    result += std::to_string(shape[i]);
  }
  return result + "]";
}

std::string list_text(std::span<const std::string> items, std::size_t limit) {
  if (items.size() > limit) {
    std::string result;
    for (std::size_t i = 0; i < limit; ++i) result += quoted(items[i]) + ", ";
    return result + "... and " + std::to_string(items.size() - limit) + " more";
  }
  std::string result;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) result += i + 1 == items.size() ? " and " : ", ";
    result += quoted(items[i]);
  }
  return result;
}

std::optional<std::string> nearest(std::string_view name, std::span<const std::string> candidates) {
  // One slip in three characters is a typing error, more is another word.
  const std::size_t allowed = std::max<std::size_t>(1, name.size() / 3);
  std::optional<std::string> best;
  std::size_t best_distance = allowed + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > name.size() + allowed || name.size() > candidate.size() + allowed)
      continue;
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view name, std::span<const std::string> candidates) {
  const std::optional<std::string> near = nearest(name, candidates);
  return near ? "did you mean " + quoted(*near) + "?" : std::string();
}

std::string join(std::span<const std::string> items, std::string_view separator) {
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) text += separator;
    text += items[i];
  }
  return text;
}

std::string counted(std::uint64_t count, std::string_view noun) {
  return std::to_string(count) + ' ' + std::string(noun) + (count == 1 ? "" : "s");
}

std::string hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string result;
  result.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    result += kDigits[byte >> 4];
    result += kDigits[byte & 0x0Fu];
  }
  return result;
}

}  // namespace craftbundle
