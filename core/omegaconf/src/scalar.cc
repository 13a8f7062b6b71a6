#include "scalar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "unicode.h"

namespace craftbundle::omegaconf {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_digit_or_bar(char c) { return is_digit(c) || c == '_'; }

// Reads a text from left to right; the takers say whether there was what they take.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  bool done() const { return rest_.empty(); }
  char peek() const { return rest_.empty() ? '\0' : rest_.front(); }

  bool take(char c) {
    if (peek() != c || rest_.empty()) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  bool take_sign() { return take('-') || take('+'); }

  template <typename Predicate>
  std::size_t take_while(Predicate predicate, std::size_t most = SIZE_MAX) {
    std::size_t count = 0;
    while (count < most && !rest_.empty() && predicate(rest_.front())) {
      rest_.remove_prefix(1);
      ++count;
    }
    return count;
  }

  // A digit, then digits and underscores.
  bool take_number() {
    if (!is_digit(peek())) return false;
    take_while(is_digit_or_bar);
    return true;
  }

  // Groups of sexagesimal numbers: ":5", ":59".
  bool take_sixties() {
    bool any = false;
    while (take(':')) {
      const bool may_be_two = peek() <= '5';
      const std::size_t digits = take_while(is_digit, 2);
      if (digits == 0 || (digits == 2 && !may_be_two)) return false;
      any = true;
    }
    return any;
  }

  bool take_exponent(bool needs_sign) {
    if (!take('e') && !take('E')) return false;
    if (!take_sign() && needs_sign) return false;
    return take_while(is_digit) > 0;
  }

 private:
  std::string_view rest_;
};

bool is_any_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool is_null(std::string_view text) { return is_any_of(text, {"", "~", "null", "Null", "NULL"}); }

bool is_boolean(std::string_view text) {
  return is_any_of(text, {"yes", "Yes", "YES", "no", "No", "NO", "true", "True", "TRUE", "on", "On",
                          "ON", "false", "False", "FALSE", "off", "Off", "OFF"});
}

bool is_special_real(Cursor cursor) {
  Cursor nan = cursor;
  if (nan.take(".nan") || nan.take(".NaN") || nan.take(".NAN")) return nan.done();
  cursor.take_sign();
  return (cursor.take(".inf") || cursor.take(".Inf") || cursor.take(".INF")) && cursor.done();
}

// A float as PyYAML resolves it, or, when `relaxed`, one that OmegaConf adds.
bool is_real(std::string_view text, bool relaxed) {
  Cursor cursor(text);
  if (is_special_real(cursor)) return true;
  if (cursor.take('.')) {
    const bool digits = relaxed ? cursor.take_while(is_digit_or_bar) > 0 : cursor.take_number();
    return digits && (cursor.done() || (cursor.take_exponent(true) && cursor.done()));
  }
  cursor.take_sign();
  if (!cursor.take_number()) return false;
  if (cursor.peek() == ':') {
    if (!cursor.take_sixties() || !cursor.take('.')) return false;
    cursor.take_while(is_digit_or_bar);
    return cursor.done();
  }
  if (cursor.take('.')) {
    cursor.take_while(is_digit_or_bar);
    return cursor.done() || (cursor.take_exponent(!relaxed) && cursor.done());
  }
  return relaxed && cursor.take_exponent(false) && cursor.done();
}

bool is_integer(std::string_view text) {
  Cursor cursor(text);
  cursor.take_sign();
  const bool starts_with_zero = cursor.take('0');
  if (starts_with_zero && cursor.take('b')) {
    return cursor.take_while([](char c) { return c == '0' || c == '1' || c == '_'; }) > 0 &&
           cursor.done();
  }
  if (starts_with_zero && cursor.take('x')) {
    const auto is_hex = [](char c) {
      return is_digit_or_bar(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    };
    return cursor.take_while(is_hex) > 0 && cursor.done();
  }
  if (starts_with_zero) {
    cursor.take_while([](char c) { return (c >= '0' && c <= '7') || c == '_'; });
    return cursor.done();
  }
  if (!cursor.take_number()) return false;
  return cursor.done() || (cursor.take_sixties() && cursor.done());
}

// "2020-01-01", or a date and a time: "2020-1-1 10:00:00.5 +01:00".
bool is_timestamp(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  Cursor cursor(text);
  if (cursor.take_while(is_digit, 4) != 4 || !cursor.take('-')) return false;
  const std::size_t month = cursor.take_while(is_digit, 2);
  if (month == 0 || !cursor.take('-')) return false;
  const std::size_t day = cursor.take_while(is_digit, 2);
  if (day == 0) return false;
  if (cursor.done()) return month == 2 && day == 2;

  if (!cursor.take('T') && !cursor.take('t') && cursor.take_while(is_blank) == 0) return false;
  if (cursor.take_while(is_digit, 2) == 0 || !cursor.take(':')) return false;
  if (cursor.take_while(is_digit, 2) != 2 || !cursor.take(':')) return false;
  if (cursor.take_while(is_digit, 2) != 2) return false;
  if (cursor.take('.')) cursor.take_while(is_digit);
  if (cursor.done()) return true;

  cursor.take_while(is_blank);
  if (cursor.take('Z')) return cursor.done();
  if (!cursor.take_sign() || cursor.take_while(is_digit, 2) == 0) return false;
  return cursor.done() ||
         (cursor.take(':') && cursor.take_while(is_digit, 2) == 2 && cursor.done());
}

ScalarType scalar_type(std::string_view text) {
  if (is_null(text)) return ScalarType::null;
  if (is_boolean(text)) return ScalarType::boolean;
  if (is_real(text, false)) return ScalarType::real;
  if (is_integer(text)) return ScalarType::integer;
  if (text == "<<") return ScalarType::merge;
  if (text == "=") return ScalarType::value;
  return ScalarType::string;
}

// Digits with single underscores between them, as Python's int() and float() read them.
bool take_python_digits(Cursor& cursor) {
  if (cursor.take_while(is_digit) == 0) return false;
  while (cursor.take('_')) {
    if (cursor.take_while(is_digit) == 0) return false;
  }
  return true;
}

// What float() accepts; int() accepts nothing else. `text` is lower-case.
bool is_python_number(std::string_view text) {
  Cursor cursor(text);
  cursor.take_sign();
  Cursor word = cursor;
  if ((word.take("infinity") || word.take("inf") || word.take("nan")) && word.done()) return true;

  const bool whole = is_digit(cursor.peek());
  if (whole && !take_python_digits(cursor)) return false;
  if (cursor.take('.')) {
    const bool fraction = is_digit(cursor.peek());
    if (!whole && !fraction) return false;
    if (fraction && !take_python_digits(cursor)) return false;
  } else if (!whole) {
    return false;
  }
  if (cursor.done()) return true;
  if (!cursor.take('e')) return false;
  cursor.take_sign();
  return take_python_digits(cursor) && cursor.done();
}

// A non-negative integer of any size.
class BigDecimal {
 public:
  void multiply_add(std::uint32_t factor, std::uint32_t addend) {
    std::uint64_t carry = addend;
    for (std::uint32_t& limb : limbs_) {
      carry += std::uint64_t{limb} * factor;
      limb = static_cast<std::uint32_t>(carry % kBase);
      carry /= kBase;
    }
    if (carry > 0) limbs_.push_back(static_cast<std::uint32_t>(carry));
  }

  std::string text() const {
    if (limbs_.empty()) return "0";
    std::string result = std::to_string(limbs_.back());
    for (std::size_t i = limbs_.size() - 1; i-- > 0;) {
      const std::string digits = std::to_string(limbs_[i]);
      result.append(kLimbDigits - digits.size(), '0').append(digits);
    }
    return result;
  }

 private:
  static constexpr std::uint32_t kBase = 1'000'000'000;
  static constexpr std::size_t kLimbDigits = 9;
  std::vector<std::uint32_t> limbs_;  // least first
};

int digit_value(char c) {
  if (is_digit(c)) return c - '0';
  return c - 'a' + 10;
}

Integer make_integer(bool negative, const std::string& magnitude) {
  std::string digits = negative && magnitude != "0" ? "-" + magnitude : magnitude;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc{}) return value;
  return ConfigBigInteger{std::move(digits)};
}

std::string without_underscores(std::string_view text) {
  std::string result(text);
  std::erase(result, '_');
  return result;
}

// Takes the sign off `text`.
bool take_minus(std::string_view& text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  return negative;
}

// Decimal digits with at most a point and an exponent, of any magnitude.
std::optional<double> parse_decimal(std::string_view text) {
  Cursor cursor(text);
  const std::size_t before = cursor.take_while(is_digit);
  const std::size_t after = cursor.take('.') ? cursor.take_while(is_digit) : 0;
  if (before + after == 0) return std::nullopt;
  if (!cursor.done() && (!cursor.take_exponent(false) || !cursor.done())) return std::nullopt;

  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc{}) return value;

  // Out of range: which side? The exponent decides, or, without one, the place of the first digit.
  const std::size_t exponent = text.find_first_of("eE");
  const bool large = exponent != std::string_view::npos
                         ? text.find('-', exponent) == std::string_view::npos
                         : text.substr(0, before).find_first_not_of('0') != std::string_view::npos;
  return large ? std::numeric_limits<double>::infinity() : 0.0;
}

// `text` as Python's int() and float() look at it: without white space around it, the digits of all
// scripts as ASCII's, in lower case. nullopt for characters that are in no number.
std::optional<std::string> number_text(std::u32string_view text) {
  while (!text.empty() && is_python_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_python_space(text.back())) text.remove_suffix(1);
  std::string ascii;
  ascii.reserve(text.size());
  for (const char32_t c : text) {
    if (const std::optional<int> digit = decimal_digit(c)) {
      ascii += static_cast<char>('0' + *digit);
    } else if (c < 0x80) {
      ascii += static_cast<char>(c >= U'A' && c <= U'Z' ? c - U'A' + U'a' : c);
    } else {
      return std::nullopt;
    }
  }
  return ascii;
}

// float(text)
std::optional<double> python_float(std::string_view text) {
  const std::optional<std::string> number = number_text(decode_utf8(text));
  if (!number) return std::nullopt;
  std::string_view rest = *number;
  const double sign = take_minus(rest) ? -1.0 : 1.0;
  if (rest == "inf" || rest == "infinity") return sign * std::numeric_limits<double>::infinity();
  if (rest == "nan") return std::numeric_limits<double>::quiet_NaN();
  const std::optional<double> value = parse_decimal(rest);
  return value ? std::optional(sign * *value) : std::nullopt;
}

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

ScalarType yaml_type(std::string_view text) {
  const ScalarType type = scalar_type(text);
  return type == ScalarType::string && is_timestamp(text) ? ScalarType::timestamp : type;
}

ScalarType omegaconf_type(std::string_view text) {
  const ScalarType type = scalar_type(text);
  return type == ScalarType::string && is_real(text, true) ? ScalarType::real : type;
}

bool looks_like_bool(std::string_view text) {
  return is_boolean(text) || is_any_of(text, {"y", "Y", "n", "N"});
}

bool looks_like_number(std::u32string_view text) {
  const std::optional<std::string> number = number_text(text);
  return number && is_python_number(*number);
}

std::optional<Integer> parse_integer(std::string_view text) {
  const std::string plain = without_underscores(text);
  std::string_view rest = plain;
  bool negative = take_minus(rest);
  BigDecimal magnitude;
  // int(digits, base)
  const auto read = [&](std::string_view digits, int base, std::string_view prefix) {
    const std::optional<std::string> number = number_text(decode_utf8(digits));
    if (!number) return false;
    digits = *number;
    if (take_minus(digits)) negative = !negative;
    if (!prefix.empty() && digits.starts_with(prefix)) digits.remove_prefix(prefix.size());
    for (const char c : digits) {
      const bool is_alphanumeric = is_digit(c) || (c >= 'a' && c <= 'f');
      if (!is_alphanumeric || digit_value(c) >= base) return false;
      magnitude.multiply_add(static_cast<std::uint32_t>(base),
                             static_cast<std::uint32_t>(digit_value(c)));
    }
    return !digits.empty();
  };

  bool sound = false;
  if (rest.starts_with("0b")) {
    sound = read(rest.substr(2), 2, "0b");
  } else if (rest.starts_with("0x")) {
    sound = read(rest.substr(2), 16, "0x");
  } else if (rest.starts_with('0')) {
    sound = read(rest, 8, "0o");
  } else {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    sound = read(rest.substr(0, colon), 10, "");
    rest.remove_prefix(colon);
    // Of a sexagesimal number.
    while (sound && !rest.empty()) {
      rest.remove_prefix(1);
      const std::string_view group = rest.substr(0, rest.find(':'));
      const std::string number = number_text(decode_utf8(group)).value_or("");
      std::uint32_t value = 0;
      const auto [end, error] =
          std::from_chars(number.data(), number.data() + number.size(), value);
      sound = error == std::errc{} && end == number.data() + number.size();
      magnitude.multiply_add(60, value);
      rest.remove_prefix(group.size());
    }
  }
  if (!sound) return std::nullopt;
  return make_integer(negative, magnitude.text());
}

std::optional<double> parse_real(std::string_view text) {
  std::string plain = without_underscores(text);
  std::transform(plain.begin(), plain.end(), plain.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  std::string_view rest = plain;
  const double sign = take_minus(rest) ? -1.0 : 1.0;
  if (rest == ".inf") return sign * std::numeric_limits<double>::infinity();
  if (rest == ".nan") return std::numeric_limits<double>::quiet_NaN();

  // The last group of a sexagesimal number counts 1, the one before 60. Summed from the right, as
  // PyYAML does, so that rounding agrees.
  double value = 0;
  double base = 1;
  while (true) {
    const std::size_t colon = rest.rfind(':');
    const bool last = colon == std::string_view::npos;
    const std::optional<double> group = python_float(last ? rest : rest.substr(colon + 1));
    if (!group) return std::nullopt;
    value += *group * base;
    if (last) return sign * value;
    base *= 60;
    rest = rest.substr(0, colon);
  }
}

std::optional<bool> parse_boolean(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (is_any_of(lower, {"yes", "true", "on"})) return true;
  if (is_any_of(lower, {"no", "false", "off"})) return false;
  return std::nullopt;
}

std::string python_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 32> buffer{};
  const auto written = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                     std::chars_format::scientific);
  const std::string_view text(buffer.data(), static_cast<std::size_t>(written.ptr - buffer.data()));
  const std::size_t e = text.find('e');
  int exponent = 0;  // of the first digit
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), written.ptr, exponent);

  // Python writes exponents from -4 to 15 out.
  if (exponent < -4 || exponent > 15) {
    std::string result(text.substr(0, e));
    std::array<char, 8> tail{};
    std::snprintf(tail.data(), tail.size(), "e%+03d", exponent);
    return result + tail.data();
  }
  std::string result = std::signbit(value) ? "-" : "";
  std::string digits(text.substr(result.size(), e - result.size()));
  std::erase(digits, '.');
  if (exponent < 0) {
    result += "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
    return result;
  }
  const std::size_t whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) digits.append(whole - digits.size() + 1, '0');
  return result + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::string real_text(double value) {
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  std::string text = python_repr(value);
  const std::size_t e = text.find('e');
  if (e != std::string::npos && text.find('.') == std::string::npos) text.insert(e, ".0");
  return text;
}

std::string integer_text(const Integer& value) {
  if (const auto* big = std::get_if<ConfigBigInteger>(&value)) return big->digits;
  return std::to_string(std::get<std::int64_t>(value));
}

std::string encode_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = (group << 8) | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      text += j <= count ? kBase64[(group >> (18 - 6 * j)) & 0x3Fu] : '=';
    }
  }
  return text;
}

std::optional<std::string> decode_base64(std::string_view text) {
  const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  if (!std::all_of(text.begin(), text.end(), is_ascii)) return std::nullopt;
  std::string bytes;
  std::uint32_t group = 0;
  std::size_t left = 0;  // characters of the group
  std::size_t padding = 0;
  for (const char c : text) {
    const std::size_t value = kBase64.find(c);
    // Padding that completes a group is the end, whatever follows.
    if (c == '=' && left >= 2 && left + ++padding == 4) {
      group <<= 6 * padding;
      for (std::size_t i = 0; i + 1 < left; ++i) {
        bytes += static_cast<char>(static_cast<unsigned char>(group >> (16 - 8 * i)));
      }
      return bytes;
    }
    if (value == std::string_view::npos) continue;
    padding = 0;
    group = (group << 6) | static_cast<std::uint32_t>(value);
    if (++left < 4) continue;
    for (int shift = 16; shift >= 0; shift -= 8) {
      bytes += static_cast<char>(static_cast<unsigned char>(group >> shift));
    }
    group = 0;
    left = 0;
  }
  return left == 0 ? std::optional(bytes) : std::nullopt;
}

std::string key_identity(const ConfigKey& key) {
  if (const auto* text = std::get_if<std::string>(&key)) return "s" + *text;
  if (const auto* bytes = std::get_if<ConfigBytes>(&key)) return "b" + bytes->data;
  if (const auto* flag = std::get_if<bool>(&key)) return *flag ? "n1" : "n0";
  if (const auto* number = std::get_if<std::int64_t>(&key)) return "n" + std::to_string(*number);
  if (const auto* big = std::get_if<ConfigBigInteger>(&key)) return "n" + big->digits;
  const double real = std::get<double>(key);
  if (std::isfinite(real) && real == std::trunc(real)) {
    // The longest double has 309 digits.
    std::array<char, 400> buffer{};
    const int length = std::snprintf(buffer.data(), buffer.size(), "%.0f", real == 0 ? 0.0 : real);
    return "n" + std::string(buffer.data(), static_cast<std::size_t>(length));
  }
  return "n" + python_repr(real);
}

}  // namespace craftbundle::omegaconf
