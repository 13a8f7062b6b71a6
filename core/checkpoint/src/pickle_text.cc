#include "pickle_text.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <vector>

#include "craftbundle/detail/base/utf8.h"
#include "craftbundle/detail/checkpoint/limits.h"

namespace craftbundle {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

unsigned byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

std::optional<std::uint32_t> parse_digits(std::string_view text, int base) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

std::string size_of_integer(std::size_t bytes) {
  return "<integer of " + std::to_string(bytes) + " bytes>";
}

}  // namespace

bool is_python_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    std::uint64_t word = 0;
    if (text.size() - i >= sizeof(word)) {
      std::memcpy(&word, text.data() + i, sizeof(word));
      if ((word & 0x8080808080808080U) == 0) {
        i += sizeof(word);
        continue;
      }
    }
    const std::size_t length = first_character(text.substr(i), Surrogates::pass).length;
    if (length == 0) return false;
    i += length;
  }
  return true;
}

std::optional<std::string> utf8_to_latin1(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned lead = byte_at(text, i);
    if (lead < 0x80) {
      bytes += text[i];
    } else if (lead <= 0xC3 && i + 1 < text.size()) {
      bytes += static_cast<char>(((lead & 0x03U) << 6U) | (byte_at(text, i + 1) & 0x3FU));
      ++i;
    } else {
      return {};
    }
  }
  return bytes;
}

std::string decimal_of_twos_complement(std::string_view bytes) {
  constexpr std::size_t kMostBytes = limits::kIntegerDigits * 10 / 24;  // a byte has 2.408 digits
  const bool negative = !bytes.empty() && (bytes.back() & 0x80) != 0;
  const char sign = negative ? '\xFF' : '\0';
  std::string_view significant = bytes;
  while (!significant.empty() && significant.back() == sign) significant.remove_suffix(1);
  if (significant.size() > kMostBytes) return size_of_integer(bytes.size());

  // Magnitude, most significant byte first.
  std::vector<unsigned> number;
  unsigned carry = negative ? 1 : 0;
  for (const char c : significant) {
    const unsigned byte = (static_cast<unsigned char>(c) ^ (negative ? 0xFFU : 0U)) + carry;
    number.push_back(byte & 0xFFU);
    carry = byte >> 8U;
  }
  if (carry != 0) number.push_back(carry);
  std::reverse(number.begin(), number.end());

  std::string digits;
  while (!number.empty()) {
    unsigned rest = 0;
    for (unsigned& byte : number) {
      const unsigned value = (rest << 8U) | byte;
      byte = value / 10;
      rest = value % 10;
    }
    digits += static_cast<char>('0' + rest);
    if (number.front() == 0) number.erase(number.begin());
  }
  if (digits.size() > limits::kIntegerDigits) return size_of_integer(bytes.size());
  if (digits.empty()) digits = "0";
  if (negative) digits += '-';
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::optional<std::string> normal_decimal(std::string_view text) {
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), is_digit)) return {};
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size() - 1));
  if (digits.size() > limits::kIntegerDigits) return size_of_integer(digits.size() * 10 / 24 + 1);
  if (digits == "0") return "0";
  return (negative ? "-" : "") + std::string(digits);
}

std::optional<std::string> unescape_python2_string(std::string_view literal) {
  while (!literal.empty() && (literal.back() == ' ' || literal.back() == '\r'))
    literal.remove_suffix(1);
  if (literal.size() < 2) return {};
  const char quote = literal.front();
  if ((quote != '\'' && quote != '"') || literal.back() != quote) return {};
  const std::string_view body = literal.substr(1, literal.size() - 2);
  std::string out;
  out.reserve(body.size());
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body[i] == quote) return {};
    if (body[i] != '\\') {
      out += body[i];
      continue;
    }
    if (++i == body.size()) return {};
    constexpr std::string_view kNames = "\\'\"abfnrtv";
    constexpr std::string_view kValues = "\\'\"\a\b\f\n\r\t\v";
    if (const std::size_t simple = kNames.find(body[i]); simple != std::string_view::npos) {
      out += kValues[simple];
    } else if (body[i] == 'x') {
      const std::optional<std::uint32_t> byte = parse_digits(body.substr(i + 1, 2), 16);
      if (!byte || i + 2 >= body.size()) return {};
      out += static_cast<char>(*byte);
      i += 2;
    } else if (body[i] >= '0' && body[i] <= '7') {
      std::size_t count = 1;
      while (count < 3 && i + count < body.size() && body[i + count] >= '0' &&
             body[i + count] <= '7') {
        ++count;
      }
      out += static_cast<char>(*parse_digits(body.substr(i, count), 8) & 0xFFU);
      i += count - 1;
    } else {
      out += '\\';
      out += body[i];
    }
  }
  return out;
}

std::optional<std::string> unescape_raw_unicode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::size_t i = 0;
  while (i < text.size()) {
    if (text[i] != '\\') {
      append_utf8(out, byte_at(text, i++));
      continue;
    }
    // Only an odd backslash of a run begins an escape.
    std::size_t end = text.find_first_not_of('\\', i);
    if (end == std::string_view::npos) end = text.size();
    const bool escape =
        (end - i) % 2 == 1 && end < text.size() && (text[end] == 'u' || text[end] == 'U');
    out.append(text.substr(i, end - i - (escape ? 1 : 0)));
    i = end;
    if (!escape) continue;
    const std::size_t width = text[end] == 'u' ? 4 : 8;
    const std::string_view digits = text.substr(end + 1, width);
    const std::optional<std::uint32_t> code = parse_digits(digits, 16);
    if (!code || digits.size() != width || *code > 0x10FFFF) return {};
    append_utf8(out, *code);
    i = end + 1 + width;
  }
  return out;
}

}  // namespace craftbundle
