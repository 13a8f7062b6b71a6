#include "yaml_scanner.h"

#include <algorithm>
#include <utility>

#include "budget.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/limits.h"
#include "unicode.h"

using namespace std::string_view_literals;

namespace craftbundle::omegaconf {
namespace {

// A key without "?" is on one line and at most this long.
constexpr std::ptrdiff_t kSimpleKeyLength = 1024;

constexpr std::string_view kSyntax = "config.syntax";

bool contains(std::u32string_view characters, char32_t c) {
  return characters.find(c) != std::u32string_view::npos;
}

bool is_break(char32_t c) { return is_line_break(c) || c == U'\r'; }
bool is_break_or_end(char32_t c) { return is_break(c) || c == 0; }
bool is_space_or_end(char32_t c) { return is_break_or_end(c) || c == U' '; }
bool is_blank_or_end(char32_t c) { return is_space_or_end(c) || c == U'\t'; }

bool is_digit(char32_t c) { return c >= U'0' && c <= U'9'; }

bool is_name_character(char32_t c) {
  return is_digit(c) || (c >= U'A' && c <= U'Z') || (c >= U'a' && c <= U'z') || c == U'-' ||
         c == U'_';
}

std::optional<char32_t> hex_value(char32_t c) {
  if (is_digit(c)) return c - U'0';
  if (c >= U'A' && c <= U'F') return c - U'A' + 10;
  if (c >= U'a' && c <= U'f') return c - U'a' + 10;
  return std::nullopt;
}

std::string shown(char32_t c) {
  if (c == 0) return "the end of the text";
  std::string character;
  append_utf8(character, c);
  return quoted(character);
}

// What the line break `first` and the empty lines `more` after it stand for: a single end of line
// is a space.
std::string folded(const std::string& first, const std::string& more) {
  if (first != "\n") return first + more;
  return more.empty() ? " " : more;
}

}  // namespace

void refuse(const Mark& mark, std::string_view code, const std::string& problem, std::string hint) {
  throw Error(ErrorKind::input, code,
              "line " + std::to_string(mark.line + 1) + ", column " +
                  std::to_string(mark.column + 1) + ": " + problem,
              std::move(hint));
}

const Token& Scanner::peek() {
  while (needs_more_tokens()) fetch();
  return tokens_.front();
}

Token Scanner::take() {
  peek();
  Token token = std::move(tokens_.front());
  tokens_.pop_front();
  ++taken_;
  return token;
}

char32_t Scanner::at(std::size_t ahead) const {
  const std::size_t i = static_cast<std::size_t>(mark_.index) + ahead;
  return i < text_.size() ? text_[i] : U'\0';
}

void Scanner::forward(std::size_t count) {
  for (; count > 0; --count) {
    const char32_t c = at();
    ++mark_.index;
    if (is_line_break(c) || (c == U'\r' && at() != U'\n')) {
      ++mark_.line;
      mark_.column = 0;
    } else if (c != 0xFEFF) {
      ++mark_.column;
    }
  }
}

void Scanner::take(std::size_t count, std::string& text) {
  for (std::size_t i = 0; i < count; ++i) append_utf8(text, at(i));
  forward(count);
}

void Scanner::skip_spaces() {
  while (at() == U' ') forward();
}

void Scanner::skip_comment() {
  if (at() != U'#') return;
  while (!is_break_or_end(at())) forward();
}

bool Scanner::at_document_indicator() const {
  const std::u32string_view rest = text_.substr(static_cast<std::size_t>(mark_.index));
  return (rest.starts_with(U"---") || rest.starts_with(U"...")) && is_blank_or_end(at(3));
}

std::string Scanner::line_break() {
  if (!is_break(at())) return {};
  std::string result;
  if (at() == 0x2028 || at() == 0x2029) {
    take(1, result);
    return result;
  }
  forward(at() == U'\r' && at(1) == U'\n' ? 2 : 1);
  return "\n";
}

bool Scanner::needs_more_tokens() {
  if (is_done_) return false;
  if (tokens_.empty()) return true;
  // A token that may begin a key is not handed out before that is known.
  drop_stale_keys();
  for (const auto& key : simple_keys_) {
    if (key) return key->token == taken_;
  }
  return false;
}

void Scanner::fetch() {
  skip_to_token();
  drop_stale_keys();
  close_blocks(mark_.column);

  const char32_t c = at();
  if (c == 0) return fetch_stream_end();
  if (mark_.column == 0 && c == U'%') return fetch_directive();
  if (mark_.column == 0 && at_document_indicator()) {
    return fetch_document_indicator(c == U'-' ? Kind::document_start : Kind::document_end);
  }
  const bool in_flow = flow_level_ > 0;
  const bool is_indicator = is_blank_or_end(at(1));
  switch (c) {
    case U'[':
      return fetch_flow_start(Kind::flow_sequence_start);
    case U'{':
      return fetch_flow_start(Kind::flow_mapping_start);
    case U']':
      return fetch_flow_end(Kind::flow_sequence_end);
    case U'}':
      return fetch_flow_end(Kind::flow_mapping_end);
    case U',':
      return fetch_flow_entry();
    case U'*':
    case U'&':
      return fetch_inline(&Scanner::scan_anchor);
    case U'!':
      return fetch_inline(&Scanner::scan_tag);
    case U'\'':
    case U'"':
      return fetch_inline(&Scanner::scan_quoted);
    case U'-':
      if (is_indicator) return fetch_block_entry();
      return fetch_inline(&Scanner::scan_plain);
    case U'?':
      if (in_flow || is_indicator) return fetch_key();
      return fetch_inline(&Scanner::scan_plain);
    case U':':
      if (in_flow || is_indicator) return fetch_value();
      return fetch_inline(&Scanner::scan_plain);
    case U'|':
    case U'>':
      if (!in_flow) return fetch_block_scalar();
      break;
    case U'\t':
    case U'#':
    case U'%':
    case U'@':
    case U'`':
      break;
    default:
      return fetch_inline(&Scanner::scan_plain);
  }
  refuse(mark_, kSyntax, "the character " + shown(c) + " cannot begin a value",
         c == U'\t' ? "indent and separate with spaces" : "");
}

void Scanner::skip_to_token() {
  if (mark_.index == 0 && at() == 0xFEFF) forward();
  while (true) {
    skip_spaces();
    skip_comment();
    if (line_break().empty()) return;
    if (flow_level_ == 0) allows_simple_key_ = true;
  }
}

void Scanner::add(Kind kind, std::size_t length) {
  tokens_.push_back({kind, mark_});
  forward(length);
}

void Scanner::save_simple_key() {
  if (!allows_simple_key_) return;
  drop_simple_key();
  const bool is_required = flow_level_ == 0 && indent_ == mark_.column;
  simple_keys_.back() = SimpleKey{taken_ + tokens_.size(), is_required, mark_};
}

void Scanner::drop_simple_key() {
  auto& key = simple_keys_.back();
  if (key && key->is_required) refuse(key->mark, kSyntax, "the key has no ':' on its line");
  key.reset();
}

void Scanner::drop_stale_keys() {
  for (auto& key : simple_keys_) {
    if (!key) continue;
    const bool is_near =
        key->mark.line == mark_.line && mark_.index - key->mark.index <= kSimpleKeyLength;
    if (is_near) continue;
    if (key->is_required) refuse(key->mark, kSyntax, "the key has no ':' on its line");
    key.reset();
  }
}

void Scanner::close_blocks(std::ptrdiff_t column) {
  if (flow_level_ > 0) return;
  while (indent_ > column) {
    indent_ = indents_.back();
    indents_.pop_back();
    add(Kind::block_end, 0);
  }
}

bool Scanner::open_block(std::ptrdiff_t column) {
  if (indent_ >= column) return false;
  indents_.push_back(indent_);
  indent_ = column;
  return true;
}

void Scanner::fetch_stream_end() {
  close_blocks(-1);
  drop_simple_key();
  simple_keys_.assign(1, std::nullopt);
  add(Kind::stream_end, 0);
  is_done_ = true;
}

void Scanner::fetch_directive() {
  close_blocks(-1);
  drop_simple_key();
  allows_simple_key_ = false;

  Token token{Kind::other_directive, mark_};
  forward();
  const std::string kind = name("directive");
  if (!is_space_or_end(at())) unexpected("the name of a directive");
  if (kind == "YAML") {
    skip_spaces();
    token.kind = Kind::yaml_directive;
    token.text = digits();
    if (at() != U'.') unexpected("'.'");
    forward();
    digits();
    if (!is_space_or_end(at())) unexpected("a version");
  } else if (kind == "TAG") {
    skip_spaces();
    token.kind = Kind::tag_directive;
    token.handle = tag_handle();
    if (at() != U' ') unexpected("a space");
    skip_spaces();
    token.text = tag_uri();
    if (!is_space_or_end(at())) unexpected("a space");
  } else {
    while (!is_break_or_end(at())) forward();
  }
  end_line("directive");
  tokens_.push_back(std::move(token));
}

void Scanner::fetch_document_indicator(Kind kind) {
  close_blocks(-1);
  drop_simple_key();
  allows_simple_key_ = false;
  add(kind, 3);
}

void Scanner::fetch_flow_start(Kind kind) {
  save_simple_key();
  allows_simple_key_ = true;
  check_depth(flow_level_);
  ++flow_level_;
  simple_keys_.emplace_back();
  add(kind, 1);
}

void Scanner::fetch_flow_end(Kind kind) {
  if (flow_level_ == 0) refuse(mark_, kSyntax, shown(at()) + " closes nothing");
  --flow_level_;
  simple_keys_.pop_back();
  allows_simple_key_ = false;
  add(kind, 1);
}

void Scanner::fetch_flow_entry() {
  allows_simple_key_ = true;
  drop_simple_key();
  add(Kind::flow_entry, 1);
}

void Scanner::fetch_block_entry() {
  if (flow_level_ == 0) {
    if (!allows_simple_key_) refuse(mark_, kSyntax, "an item of a list is not allowed here");
    if (open_block(mark_.column)) add(Kind::block_sequence_start, 0);
  }
  allows_simple_key_ = true;
  drop_simple_key();
  add(Kind::block_entry, 1);
}

void Scanner::fetch_key() {
  if (flow_level_ == 0) {
    if (!allows_simple_key_) refuse(mark_, kSyntax, "a key is not allowed here");
    if (open_block(mark_.column)) add(Kind::block_mapping_start, 0);
  }
  allows_simple_key_ = flow_level_ == 0;
  drop_simple_key();
  add(Kind::key, 1);
}

void Scanner::fetch_value() {
  if (const auto key = std::exchange(simple_keys_.back(), std::nullopt)) {
    const auto insert = [&](Kind kind) {
      const auto place = static_cast<std::ptrdiff_t>(key->token - taken_);
      tokens_.insert(tokens_.begin() + place, Token{kind, key->mark});
    };
    insert(Kind::key);
    if (flow_level_ == 0 && open_block(key->mark.column)) insert(Kind::block_mapping_start);
    allows_simple_key_ = false;
  } else {
    fetch_value_of_complex_key();
  }
  add(Kind::value, 1);
}

void Scanner::fetch_value_of_complex_key() {
  if (flow_level_ == 0) {
    if (!allows_simple_key_) refuse(mark_, kSyntax, "the value of a key is not allowed here");
    if (open_block(mark_.column)) add(Kind::block_mapping_start, 0);
  }
  allows_simple_key_ = flow_level_ == 0;
}

void Scanner::fetch_inline(Token (Scanner::*scan)()) {
  save_simple_key();
  allows_simple_key_ = false;
  tokens_.push_back((this->*scan)());
}

void Scanner::fetch_block_scalar() {
  allows_simple_key_ = true;
  drop_simple_key();

  Token token{Kind::scalar, mark_};
  const bool is_folded = at() == U'>';
  forward();
  // "+" keeps the line breaks at the end, "-" drops them; a digit is the indentation. In any order.
  char32_t chomping = 0;
  std::ptrdiff_t increment = 0;
  const auto take_chomping = [&] {
    if (at() != U'+' && at() != U'-') return;
    chomping = at();
    forward();
  };
  take_chomping();
  if (at() == U'0') unexpected("an indentation from 1 to 9");
  if (is_digit(at())) {
    increment = static_cast<std::ptrdiff_t>(at() - U'0');
    forward();
    if (chomping == 0) take_chomping();
  }
  if (!is_space_or_end(at())) unexpected("'+', '-' or an indentation");
  end_line("block scalar");

  std::ptrdiff_t indent = std::max<std::ptrdiff_t>(indent_ + 1, 1);
  std::string breaks;
  if (increment > 0) {
    indent += increment - 1;
    breaks = block_breaks(indent);
  } else {
    while (at() == U' ' || is_break(at())) {
      if (at() == U' ') {
        forward();
        indent = std::max(indent, mark_.column);
      } else {
        breaks += line_break();
      }
    }
  }
  std::string ending;
  while (mark_.column == indent && at() != 0) {
    token.text += breaks;
    const bool begins_with_text = at() != U' ' && at() != U'\t';
    while (!is_break_or_end(at())) take(1, token.text);
    ending = line_break();
    breaks = block_breaks(indent);
    if (mark_.column != indent || at() == 0) break;
    if (is_folded && ending == "\n" && begins_with_text && at() != U' ' && at() != U'\t') {
      if (breaks.empty()) token.text += ' ';
    } else {
      token.text += ending;
    }
  }
  if (chomping != U'-') token.text += ending;
  if (chomping == U'+') token.text += breaks;
  tokens_.push_back(std::move(token));
}

Token Scanner::scan_anchor() {
  Token token{at() == U'*' ? Kind::alias : Kind::anchor, mark_};
  forward();
  token.text = name(token.kind == Kind::alias ? "alias" : "anchor");
  if (!is_blank_or_end(at()) && !contains(U"?:,]}%@`", at())) unexpected("the name's end");
  return token;
}

Token Scanner::scan_tag() {
  Token token{Kind::tag, mark_};
  if (at(1) == U'<') {
    forward(2);
    token.text = tag_uri();
    if (at() != U'>') unexpected("'>'");
    forward();
  } else if (is_blank_or_end(at(1))) {
    token.text = "!";
    forward();
  } else {
    std::size_t length = 1;
    while (!is_space_or_end(at(length)) && at(length) != U'!') ++length;
    if (at(length) == U'!') {
      token.handle = tag_handle();
    } else {
      token.handle = "!";
      forward();
    }
    token.text = tag_uri();
  }
  if (!is_space_or_end(at())) unexpected("a space after the tag");
  return token;
}

Token Scanner::scan_plain() {
  Token token{Kind::scalar, mark_};
  token.is_plain = true;
  std::string spaces;
  do {
    std::size_t length = 0;
    while (!ends_plain(length)) ++length;
    if (length == 0) break;
    allows_simple_key_ = false;
    token.text += spaces;
    take(length, token.text);
    spaces = plain_spaces();
  } while (!spaces.empty() && at() != U'#' && (flow_level_ > 0 || mark_.column > indent_));
  return token;
}

bool Scanner::ends_plain(std::size_t ahead) const {
  const char32_t c = at(ahead);
  if (is_blank_or_end(c)) return true;
  const bool in_flow = flow_level_ > 0;
  if (c == U':') {
    const char32_t next = at(ahead + 1);
    return is_blank_or_end(next) || (in_flow && contains(U",[]{}", next));
  }
  return in_flow && contains(U",?[]{}", c);
}

// The spaces or line breaks inside of a plain scalar. Tabs end it.
std::string Scanner::plain_spaces() {
  std::string blanks;
  while (at() == U' ') take(1, blanks);
  if (!is_break(at())) return blanks;
  const std::string first = line_break();
  allows_simple_key_ = true;
  if (at_document_indicator()) return {};
  std::string more;
  while (at() == U' ' || is_break(at())) {
    if (at() == U' ') {
      forward();
    } else {
      more += line_break();
      if (at_document_indicator()) return {};
    }
  }
  return folded(first, more);
}

Token Scanner::scan_quoted() {
  Token token{Kind::scalar, mark_};
  const char32_t quote = at();
  forward();
  quoted_text(token, quote);
  while (at() != quote) {
    quoted_spaces(token);
    quoted_text(token, quote);
  }
  forward();
  return token;
}

// What is between blanks.
void Scanner::quoted_text(Token& token, char32_t quote) {
  while (!is_blank_or_end(at())) {
    if (at() == quote) {
      if (quote == U'"' || at(1) != quote) return;
      forward();
      take(1, token.text);
    } else if (quote == U'"' && at() == U'\\') {
      escape(token);
    } else {
      take(1, token.text);
    }
  }
}

void Scanner::escape(Token& token) {
  constexpr std::u32string_view kNames = U"0abt\tnvfre \"\\/N_LP";
  constexpr std::u32string_view kMeanings =
      U"\x00\x07\x08\x09\x09\x0A\x0B\x0C\x0D\x1B \"\\/\u0085\u00A0\u2028\u2029"sv;
  static_assert(kMeanings.size() == kNames.size());
  const Mark begin = mark_;
  forward();
  const char32_t c = at();
  if (is_break(c)) {
    line_break();
    token.text += quoted_breaks(token.mark);
    return;
  }
  if (const std::size_t known = kNames.find(c); known != std::u32string_view::npos) {
    append_utf8(token.text, kMeanings[known]);
    forward();
    return;
  }
  const int length = c == U'x' ? 2 : c == U'u' ? 4 : c == U'U' ? 8 : 0;
  if (length == 0) refuse(begin, kSyntax, "an escape of " + shown(c) + " is not known");
  forward();
  char32_t value = 0;
  for (int i = 0; i < length; ++i) {
    const std::optional<char32_t> digit = hex_value(at());
    if (!digit) refuse(mark_, kSyntax, "expected a hexadecimal digit, found " + shown(at()));
    value = (value << 4) | *digit;
    forward();
  }
  if (value > 0x10FFFF) refuse(begin, kSyntax, "the escape stands for no character");
  append_utf8(token.text, value);
}

void Scanner::quoted_spaces(Token& token) {
  std::string blanks;
  while (at() == U' ' || at() == U'\t') take(1, blanks);
  if (at() == 0) refuse(token.mark, kSyntax, "the quote is not closed");
  if (is_break(at())) {
    const std::string first = line_break();
    token.text += folded(first, quoted_breaks(token.mark));
  } else {
    token.text += blanks;
  }
}

// Empty lines, from the beginning of a line on.
std::string Scanner::quoted_breaks(const Mark& begin) {
  std::string breaks;
  while (true) {
    if (at_document_indicator()) refuse(begin, kSyntax, "the quote is not closed in its document");
    while (at() == U' ' || at() == U'\t') forward();
    if (!is_break(at())) return breaks;
    breaks += line_break();
  }
}

std::string Scanner::block_breaks(std::ptrdiff_t indent) {
  std::string breaks;
  while (true) {
    while (mark_.column < indent && at() == U' ') forward();
    if (!is_break(at())) return breaks;
    breaks += line_break();
  }
}

std::string Scanner::digits() {
  std::string result;
  while (is_digit(at()) && result.size() < limits::kIntegerDigits) take(1, result);
  if (result.empty()) unexpected("a digit");
  return result;
}

std::string Scanner::name(const char* what) {
  std::string result;
  while (is_name_character(at())) take(1, result);
  if (result.empty()) unexpected((std::string("the name of the ") + what).c_str());
  return result;
}

std::string Scanner::tag_handle() {
  std::string handle;
  if (at() != U'!') unexpected("'!'");
  take(1, handle);
  if (at() == U' ') return handle;
  while (is_name_character(at())) take(1, handle);
  if (at() != U'!') unexpected("'!'");
  take(1, handle);
  return handle;
}

std::string Scanner::tag_uri() {
  std::string uri;
  std::string escaped;
  const auto end_escapes = [&] {
    if (!is_utf8(escaped)) refuse(mark_, kSyntax, "the escapes in the tag are no UTF-8");
    uri += std::exchange(escaped, {});
  };
  while (is_name_character(at()) || contains(U";/?:@&=+$,.!~*'()[]%", at())) {
    if (at() != U'%') {
      end_escapes();
      take(1, uri);
      continue;
    }
    const auto high = hex_value(at(1));
    const auto low = hex_value(at(2));
    if (!high || !low) unexpected("'%' and two hexadecimal digits");
    escaped += static_cast<char>(static_cast<unsigned char>(*high << 4 | *low));
    forward(3);
  }
  end_escapes();
  if (uri.empty()) unexpected("a tag");
  return uri;
}

void Scanner::end_line(const char* what) {
  skip_spaces();
  skip_comment();
  if (!is_break_or_end(at())) {
    refuse(mark_, kSyntax, "found " + shown(at()) + " behind the beginning of a " + what);
  }
  line_break();
}

void Scanner::unexpected(const char* expected) const {
  refuse(mark_, kSyntax, std::string("expected ") + expected + ", found " + shown(at()));
}

}  // namespace craftbundle::omegaconf
