#include "grammar.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/omegaconf/config.h"

namespace craftbundle::omegaconf {
namespace {

constexpr std::string_view kOpen = "${";

bool is_any_of(std::string_view characters, char c) {
  return characters.find(c) != std::string_view::npos;
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_word(char c) { return is_letter(c) || (c >= '0' && c <= '9'); }
bool is_blank(char c) { return c == ' ' || c == '\t'; }

// A name of a resolver, or a part of one.
bool is_identifier(std::string_view text) {
  return !text.empty() && is_letter(text.front()) && std::all_of(text.begin(), text.end(), is_word);
}

class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool done() const { return i_ == text_.size(); }
  char peek() const { return done() ? '\0' : text_[i_]; }
  bool take(char c) { return !done() && peek() == c && (++i_, true); }
  bool take(std::string_view word) {
    if (!text_.substr(i_).starts_with(word)) return false;
    i_ += word.size();
    return true;
  }
  template <typename Predicate>
  std::string_view take_while(Predicate predicate) {
    const std::size_t begin = i_;
    while (!done() && predicate(text_[i_])) ++i_;
    return text_.substr(begin, i_ - begin);
  }
  bool skip_to(std::string_view word) {
    i_ = std::min(text_.find(word, i_), text_.size());
    return !done();
  }

 private:
  std::string_view text_;
  std::size_t i_ = 0;
};

// The pattern that OmegaConf tries first. It takes a little that its grammar does not: line breaks
// as blanks, and calls without a name.
class SimplePattern {
 public:
  explicit SimplePattern(std::string_view text) : cursor_(text) {}

  bool matches() {
    while (cursor_.skip_to(kOpen)) {
      cursor_.take(kOpen);
      Cursor begin = cursor_;
      if (reference()) continue;
      cursor_ = begin;
      if (!call()) return false;
    }
    return true;
  }

 private:
  void skip_space() {
    cursor_.take_while([](char c) { return is_any_of(" \t\n\r\f\v", c); });
  }

  bool key() {
    return !cursor_.take_while([](char c) { return is_word(c) || c == '$'; }).empty();
  }
  bool key_in_brackets() { return cursor_.take('[') && key() && cursor_.take(']'); }

  // "a.b[c] }"
  bool reference() {
    skip_space();
    cursor_.take_while([](char c) { return c == '.'; });
    if (!(cursor_.peek() == '[' ? key_in_brackets() : key())) return false;
    while (cursor_.peek() == '[' || cursor_.peek() == '.') {
      if (!(cursor_.take('.') ? key() : key_in_brackets())) return false;
    }
    skip_space();
    return cursor_.take('}');
  }

  // "a.b:1, x }"
  bool call() {
    skip_space();
    if (is_letter(cursor_.peek())) {
      do {
        if (!is_identifier(cursor_.take_while(is_word))) return false;
      } while (cursor_.take('.'));
    }
    skip_space();
    if (!cursor_.take(':')) return false;
    do {
      skip_space();
      const auto argument =
          cursor_.take_while([](char c) { return is_word(c) || is_any_of("/-+.$%*@?|", c); });
      if (argument.empty()) return false;
      skip_space();
    } while (cursor_.take(','));
    return cursor_.take('}');
  }

  Cursor cursor_;
};

// The grammar, by recursive descent. Every function takes what it is named for, and says whether
// it was there.
class Grammar {
 public:
  explicit Grammar(std::string_view text) : cursor_(text) {}

  bool matches() { return text('\0'); }

 private:
  // Counts how deep the functions nest.
  class Level {
   public:
    explicit Level(std::size_t& depth) : depth_(depth) { ++depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    ~Level() { --depth_; }
    bool is_too_deep() const { return depth_ > limits::kConfigDepth; }

   private:
    std::size_t& depth_;
  };

  void skip_blanks() { cursor_.take_while(is_blank); }

  // Text with interpolations in it, up to and with an unescaped `quote`; to the end of all for 0.
  // An odd number of backslashes escapes what follows them.
  bool text(char quote) {
    while (!cursor_.done()) {
      const std::size_t slashes = cursor_.take_while([](char c) { return c == '\\'; }).size();
      const bool is_escaped = slashes % 2 == 1;
      if (cursor_.take(kOpen)) {
        if (!is_escaped && !interpolation()) return false;
      } else if (quote != '\0' && cursor_.take(quote)) {
        if (!is_escaped) return true;
      } else if (!cursor_.done()) {
        cursor_.take(cursor_.peek());
      }
    }
    return quote == '\0';
  }

  // Behind "${", up to and with "}".
  bool interpolation() {
    const Level level(depth_);
    if (level.is_too_deep()) return false;
    skip_blanks();
    // So far it may be the name of a resolver.
    bool is_name = cursor_.take_while([](char c) { return c == '.'; }).empty();
    if (!(cursor_.peek() == '[' ? key_in_brackets(is_name) : key(is_name))) return false;
    while (cursor_.peek() == '[' || cursor_.peek() == '.') {
      if (!(cursor_.take('.') ? key(is_name) : key_in_brackets(is_name))) return false;
    }
    skip_blanks();
    if (cursor_.take('}')) return true;
    return is_name && cursor_.take(':') && elements() && cursor_.take('}');
  }

  bool key(bool& is_name) {
    if (cursor_.take(kOpen)) return interpolation();
    const std::string_view key =
        cursor_.take_while([](char c) { return !is_any_of("\\{}()[]:. \t'\"", c); });
    is_name = is_name && is_identifier(key);
    return !key.empty();
  }

  bool key_in_brackets(bool& is_name) {
    cursor_.take('[');
    const bool has_key = key(is_name);
    is_name = false;
    return has_key && cursor_.take(']');
  }

  // What commas separate; any may be left out.
  bool elements() {
    do {
      skip_blanks();
      const bool is_left_out = is_any_of(",]}", cursor_.peek());
      if (!is_left_out && !element()) return false;
      skip_blanks();
    } while (cursor_.take(','));
    return true;
  }

  bool element() {
    const Level level(depth_);
    if (level.is_too_deep()) return false;
    const char first = cursor_.peek();
    if (first == '\'' || first == '"') return cursor_.take(first) && text(first);
    if (cursor_.take('[')) return elements() && cursor_.take(']');
    if (cursor_.take('{')) return entries() && cursor_.take('}');
    return unquoted(false);
  }

  // Of a dictionary.
  bool entries() {
    skip_blanks();
    if (cursor_.peek() == '}') return true;
    do {
      skip_blanks();
      if (!unquoted(true) || !cursor_.take(':')) return false;
      skip_blanks();
      if (!element()) return false;
      skip_blanks();
    } while (cursor_.take(','));
    return true;
  }

  // Keys of a dictionary hold no ":" and no interpolation.
  bool unquoted(bool is_key) {
    for (bool any = false;; any = true) {
      const char c = cursor_.peek();
      if (cursor_.take(kOpen)) {
        if (is_key || !interpolation()) return false;
      } else if (cursor_.take('\\')) {
        if (is_any_of("\\()[]{}:=, \t", cursor_.peek())) cursor_.take(cursor_.peek());
      } else if (is_word(c) || is_any_of("/-+.$%*@?| \t", c) || (c == ':' && !is_key)) {
        cursor_.take(c);
      } else {
        return any;
      }
    }
  }

  Cursor cursor_;
  std::size_t depth_ = 0;
};

struct Malformed {
  std::string key;  // "a.b[0]"
  std::string text;
};

std::optional<Malformed> find_malformed(const ConfigNode& node) {
  if (const auto* list = node.get_if<ConfigNode::List>()) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      auto found = find_malformed((*list)[i]);
      if (found) return Malformed{"[" + std::to_string(i) + "]" + found->key, found->text};
    }
  } else if (const auto* mapping = node.get_if<ConfigNode::Mapping>()) {
    for (const ConfigEntry& entry : *mapping) {
      auto found = find_malformed(entry.value);
      if (!found) continue;
      const bool has_dot = !found->key.empty() && !found->key.starts_with('[');
      return Malformed{key_text(entry.key) + (has_dot ? "." : "") + found->key, found->text};
    }
  } else if (const auto* text = node.get_if<std::string>()) {
    const bool is_sound = text->find(kOpen) == std::string::npos || is_well_formed(*text);
    if (!is_sound) return Malformed{"", *text};
  }
  return std::nullopt;
}

}  // namespace

bool is_well_formed(std::string_view text) {
  return SimplePattern(text).matches() || Grammar(text).matches();
}

void check_interpolations(const ConfigNode& root) {
  const auto found = find_malformed(root);
  if (!found) return;
  throw Error(ErrorKind::input, "config.interpolation",
              "config key " + quoted(found->key) + ": the interpolation " + quoted(found->text) +
                  " is malformed",
              "a \"${\" that is meant as text is written \"\\${\"");
}

}  // namespace craftbundle::omegaconf
