#include "condition.h"

#include <algorithm>
#include <array>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

struct Token {
  enum class Type { operand, symbol, end };
  Type type = Type::end;
  std::string text;
  bool in_quotes = false;
};

constexpr int kDeepest = 64;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

class Parser {
 public:
  Parser(std::string_view text, const OperandReader& read) : text_(text), read_(read) { next(); }

  bool value() {
    const bool result = any_of();
    if (token_.type != Token::Type::end) fail("does not go on with " + quoted(token_.text));
    return result;
  }

 private:
  bool any_of() {
    if (++depth_ > kDeepest) fail("is nested too deeply");
    bool result = all_of();
    while (take_word("or")) {
      const bool right = all_of();
      result = result || right;
    }
    --depth_;
    return result;
  }

  bool all_of() {
    bool result = negation();
    while (take_word("and")) {
      const bool right = negation();
      result = result && right;
    }
    return result;
  }

  bool negation() {
    bool negative = false;
    while (take_word("not")) negative = !negative;
    return comparison() != negative;
  }

  bool comparison() {
    if (take_symbol("(")) {
      const bool result = any_of();
      if (!take_symbol(")")) fail("has a '(' without a ')'");
      return result;
    }
    const std::string written = token_.text;
    const std::vector<std::string> left = operand();
    if (take_symbol("==")) return single(left, written) == single(operand(), "what follows ==");
    if (take_symbol("!=")) return single(left, written) != single(operand(), "what follows !=");
    if (take_word("in")) return is_in(single(left, written), list());
    if (is_word("not")) {
      next();
      if (!take_word("in")) fail("has a 'not' behind an operand without 'in'");
      return !is_in(single(left, written), list());
    }
    return truth(single(left, written));
  }

  static bool is_in(const std::string& item, const std::vector<std::string>& items) {
    return std::find(items.begin(), items.end(), item) != items.end();
  }

  std::vector<std::string> operand() {
    if (token_.type != Token::Type::operand) fail("lacks an operand");
    const Token token = token_;
    next();
    if (token.in_quotes) return {token.text};
    return read_(token.text);
  }

  std::vector<std::string> list() {
    if (!take_symbol("[")) return operand();
    std::vector<std::string> items;
    while (!take_symbol("]")) {
      for (std::string& item : operand()) items.push_back(std::move(item));
      if (!take_symbol(",") && !is_symbol("]")) fail("has a '[' without a ']'");
    }
    return items;
  }

  std::string single(const std::vector<std::string>& values, const std::string& written) const {
    if (values.size() != 1) fail("compares " + quoted(written) + ", which is a list");
    return values.front();
  }

  bool truth(const std::string& value) const {
    constexpr std::array<std::string_view, 4> kTrue = {"true", "yes", "on", "1"};
    constexpr std::array<std::string_view, 4> kFalse = {"false", "no", "off", "0"};
    std::string lower = value;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (std::find(kTrue.begin(), kTrue.end(), lower) != kTrue.end()) return true;
    if (std::find(kFalse.begin(), kFalse.end(), lower) != kFalse.end()) return false;
    fail("asks whether " + quoted(value) + " holds; expected true or false, or a comparison");
  }

  bool is_symbol(std::string_view symbol) const {
    return token_.type == Token::Type::symbol && token_.text == symbol;
  }
  bool take_symbol(std::string_view symbol) {
    if (!is_symbol(symbol)) return false;
    next();
    return true;
  }
  bool is_word(std::string_view word) const {
    return token_.type == Token::Type::operand && !token_.in_quotes && token_.text == word;
  }
  bool take_word(std::string_view word) {
    if (!is_word(word)) return false;
    next();
    return true;
  }

  void next() {
    while (i_ < text_.size() && is_blank(text_[i_])) ++i_;
    token_ = Token();
    if (i_ == text_.size()) return;
    const char c = text_[i_];
    if (c == '\'' || c == '"') {
      const std::size_t close = text_.find(c, i_ + 1);
      if (close == std::string_view::npos) fail("has a quote without an end");
      token_ = {Token::Type::operand, std::string(text_.substr(i_ + 1, close - i_ - 1)), true};
      i_ = close + 1;
    } else if (text_.substr(i_, 2) == "==" || text_.substr(i_, 2) == "!=") {
      token_ = {Token::Type::symbol, std::string(text_.substr(i_, 2)), false};
      i_ += 2;
    } else if (std::string_view("()[],").find(c) != std::string_view::npos) {
      token_ = {Token::Type::symbol, std::string(1, c), false};
      ++i_;
    } else {
      read_word();
    }
  }

  // Up to a blank or symbol that is in no "${...}".
  void read_word() {
    const std::size_t begin = i_;
    int braces = 0;
    while (i_ < text_.size()) {
      const char c = text_[i_];
      if (text_.substr(i_, 2) == "${") ++braces;
      if (c == '}' && braces > 0) --braces;
      const bool ends = is_blank(c) ||
                        std::string_view("()[],'\"").find(c) != std::string_view::npos ||
                        text_.substr(i_, 2) == "==" || text_.substr(i_, 2) == "!=";
      if (braces == 0 && ends) break;
      ++i_;
    }
    token_ = {Token::Type::operand, std::string(text_.substr(begin, i_ - begin)), false};
  }

  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ErrorKind::usage, "script.condition",
                "the condition " + quoted(text_) + " " + problem);
  }

  std::string_view text_;
  const OperandReader& read_;
  std::size_t i_ = 0;
  Token token_;
  int depth_ = 0;
};

}  // namespace

bool evaluate_condition(std::string_view text, const OperandReader& read) {
  return Parser(text, read).value();
}

}  // namespace craftbundle
