// OmegaConf.to_yaml: PyYAML's block style as OmegaConf configures it (width 80, indent 2, Unicode
// kept), for the few kinds of node a configuration has.

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "craftbundle/detail/omegaconf/node.h"
#include "scalar.h"
#include "unicode.h"

namespace craftbundle {
namespace {

using namespace omegaconf;

constexpr std::size_t kWidth = 80;
constexpr std::size_t kIndent = 2;
// A key is written before its colon when tag and text are shorter than this, as PyYAML counts.
constexpr std::size_t kSimpleKeyLength = 128;
constexpr std::size_t kBase64Line = 76;

enum class Style { plain, single_quoted, double_quoted };

bool is_blank_or_break(char32_t c) {
  return is_line_break(c) || c == U'\0' || c == U' ' || c == U'\t' || c == U'\r';
}

bool has_line_break(std::u32string_view text) {
  return std::any_of(text.begin(), text.end(), is_line_break);
}

// Whether a reader could take the unquoted text for structure.
bool has_indicator(std::u32string_view text) {
  const auto ends_or_blank = [&](std::size_t i) {
    return i >= text.size() || is_blank_or_break(text[i]);
  };
  if (text.starts_with(U"---") || text.starts_with(U"...")) return true;
  const char32_t first = text.front();
  if (std::u32string_view(U"#,[]{}&*!|>'\"%@`").find(first) != std::u32string_view::npos) {
    return true;
  }
  if ((first == U'?' || first == U':' || first == U'-') && ends_or_blank(1)) return true;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == U':' && ends_or_blank(i + 1)) return true;
    if (text[i] == U'#' && is_blank_or_break(text[i - 1])) return true;
  }
  return false;
}

bool can_be_plain(std::u32string_view text) {
  return !text.empty() && text.front() != U' ' && text.back() != U' ' && !has_line_break(text) &&
         std::all_of(text.begin(), text.end(), is_yaml_printable) && !has_indicator(text);
}

bool needs_escapes(std::u32string_view text) {
  if (!std::all_of(text.begin(), text.end(), is_yaml_printable)) return true;
  // Folding would lose a space beside a line break.
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i - 1] == U' ' && is_line_break(text[i])) return true;
    if (is_line_break(text[i - 1]) && text[i] == U' ') return true;
  }
  return false;
}

Style choose_style(std::string_view utf8, std::u32string_view text) {
  if (can_be_plain(text)) {
    const bool ambiguous =
        looks_like_bool(utf8) || looks_like_number(text) || yaml_type(utf8) != ScalarType::string;
    return ambiguous ? Style::single_quoted : Style::plain;
  }
  return needs_escapes(text) ? Style::double_quoted : Style::single_quoted;
}

// How `c` is written in double quotes when it cannot stand for itself; empty when it can.
std::string escape(char32_t c) {
  switch (c) {
    case U'\0':
      return "\\0";
    case U'\a':
      return "\\a";
    case U'\b':
      return "\\b";
    case U'\t':
      return "\\t";
    case U'\n':
      return "\\n";
    case U'\v':
      return "\\v";
    case U'\f':
      return "\\f";
    case U'\r':
      return "\\r";
    case 0x1B:
      return "\\e";
    case U'"':
      return "\\\"";
    case U'\\':
      return "\\\\";
    case 0x85:
      return "\\N";
    case 0x2028:
      return "\\L";
    case 0x2029:
      return "\\P";
    default:
      break;
  }
  const bool literal =
      (c >= 0x20 && c <= 0x7E) || (c >= 0xA0 && c < 0xFFFE && is_yaml_printable(c));
  if (literal) return {};
  std::array<char, 16> buffer{};
  const char* format = c <= 0xFF ? "\\x%02X" : c <= 0xFFFF ? "\\u%04X" : "\\U%08X";
  const int length = std::snprintf(buffer.data(), buffer.size(), format, static_cast<unsigned>(c));
  return {buffer.data(), static_cast<std::size_t>(length)};
}

// Length of the tag that PyYAML counts with a key.
std::size_t tag_length(const ConfigKey& key) {
  if (std::holds_alternative<bool>(key)) return std::string_view("!!bool").size();
  if (std::holds_alternative<double>(key)) return std::string_view("!!float").size();
  return std::string_view("!!str").size();  // and "!!int"
}

class Emitter {
 public:
  explicit Emitter(const ConfigNode& root) { number_paths(root); }

  std::string document(const ConfigNode& root) {
    if (const auto* mapping = nonempty<ConfigNode::Mapping>(root)) {
      write_mapping(*mapping, 0);
    } else if (const auto* list = nonempty<ConfigNode::List>(root)) {
      write_list(*list, 0);
    } else {
      const bool open = write_leaf(root, kIndent, kIndent);
      return text_ + (open ? "\n...\n" : "\n");
    }
    return text_ + '\n';
  }

 private:
  struct Alias {
    int uses = 0;
    int number = 0;
    bool written = false;
  };

  template <typename Container>
  static const Container* nonempty(const ConfigNode& node) {
    const auto* container = node.get_if<Container>();
    return container != nullptr && !container->empty() ? container : nullptr;
  }

  // PyYAML numbers anchors in the order in which second uses are met.
  void number_paths(const ConfigNode& node) {
    if (const auto* path = node.get_if<ConfigPath>(); path != nullptr && path->identity != 0) {
      Alias& alias = aliases_[path->identity];
      if (++alias.uses == 2) alias.number = ++last_alias_;
    } else if (const auto* list = node.get_if<ConfigNode::List>()) {
      for (const ConfigNode& item : *list) number_paths(item);
    } else if (const auto* mapping = node.get_if<ConfigNode::Mapping>()) {
      for (const ConfigEntry& entry : *mapping) number_paths(entry.value);
    }
  }

  void write(std::string_view ascii) {
    text_ += ascii;
    column_ += ascii.size();
  }
  void write(char32_t c) {
    append_utf8(text_, c);
    ++column_;
  }
  void write(std::u32string_view text) {
    for (const char32_t c : text) write(c);
  }
  void new_line(std::size_t indent) {
    text_ += '\n';
    text_.append(indent, ' ');
    column_ = indent;
  }

  // The first entry stands where the text is, the others on lines of their own.
  void write_mapping(const ConfigNode::Mapping& mapping, std::size_t indent) {
    for (std::size_t i = 0; i < mapping.size(); ++i) {
      if (i > 0) new_line(indent);
      const ConfigEntry& entry = mapping[i];
      if (write_simple_key(entry.key)) {
        write(":");
        write_value(entry.value, indent);
      } else {
        write("? ");
        write_complex_key(entry.key, indent + kIndent);
        new_line(indent);
        write(": ");
        write_complex_value(entry.value, indent);
      }
    }
  }

  void write_list(const ConfigNode::List& list, std::size_t indent) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (i > 0) new_line(indent);
      write("- ");
      write_inline(list[i], indent + kIndent, indent + kIndent);
    }
  }

  // After "key:".
  void write_value(const ConfigNode& value, std::size_t indent) {
    if (const auto* mapping = nonempty<ConfigNode::Mapping>(value)) {
      new_line(indent + kIndent);
      write_mapping(*mapping, indent + kIndent);
    } else if (const auto* list = nonempty<ConfigNode::List>(value)) {
      new_line(indent);
      write_list(*list, indent);
    } else {
      write(" ");
      write_leaf(value, indent + kIndent, indent);
    }
  }

  // After the ": " of a complex key.
  void write_complex_value(const ConfigNode& value, std::size_t indent) {
    write_inline(value, indent + kIndent, indent);
  }

  // A node that begins on this line; a path's arguments go to `path_indent`.
  void write_inline(const ConfigNode& node, std::size_t indent, std::size_t path_indent) {
    if (const auto* mapping = nonempty<ConfigNode::Mapping>(node)) {
      write_mapping(*mapping, indent);
    } else if (const auto* list = nonempty<ConfigNode::List>(node)) {
      write_list(*list, indent);
    } else {
      write_leaf(node, indent, path_indent);
    }
  }

  // Returns whether it was written unquoted.
  bool write_leaf(const ConfigNode& node, std::size_t indent, std::size_t path_indent) {
    if (const auto* text = node.get_if<std::string>()) return write_string(*text, indent);
    if (const auto* bytes = node.get_if<ConfigBytes>()) {
      write_bytes(bytes->data, indent);
    } else if (const auto* path = node.get_if<ConfigPath>()) {
      write_path(*path, path_indent);
    } else if (node.get_if<ConfigNode::List>() != nullptr) {
      write("[]");
    } else if (node.get_if<ConfigNode::Mapping>() != nullptr) {
      write("{}");
    } else {
      write(plain_text(node));
      return true;
    }
    return false;
  }

  static std::string plain_text(const ConfigNode& node) {
    if (const auto* flag = node.get_if<bool>()) return *flag ? "true" : "false";
    if (const auto* number = node.get_if<std::int64_t>()) return std::to_string(*number);
    if (const auto* big = node.get_if<ConfigBigInteger>()) return big->digits;
    if (const auto* real = node.get_if<double>()) return real_text(*real);
    return "null";
  }

  bool write_simple_key(const ConfigKey& key) {
    if (std::holds_alternative<ConfigBytes>(key)) return false;
    const std::string utf8 = key_text(key);
    const std::u32string text = decode_utf8(utf8);
    if (text.empty() || has_line_break(text)) return false;
    if (tag_length(key) + text.size() >= kSimpleKeyLength) return false;
    if (std::holds_alternative<std::string>(key)) {
      write_styled(choose_style(utf8, text), text, std::nullopt);
    } else {
      write(utf8);
    }
    return true;
  }

  void write_complex_key(const ConfigKey& key, std::size_t indent) {
    if (const auto* bytes = std::get_if<ConfigBytes>(&key)) {
      write_bytes(bytes->data, indent);
    } else if (const auto* text = std::get_if<std::string>(&key)) {
      write_string(*text, indent);
    } else {
      write(key_text(key));
    }
  }

  void write_bytes(std::string_view data, std::size_t indent) {
    if (data.empty()) return write("!!binary \"\"");
    write("!!binary |");
    const std::string base64 = encode_base64(data);
    for (std::size_t i = 0; i < base64.size(); i += kBase64Line) {
      new_line(indent);
      write(std::string_view(base64).substr(i, kBase64Line));
    }
  }

  void write_path(const ConfigPath& path, std::size_t indent) {
    if (path.identity != 0 && aliases_[path.identity].number != 0) {
      Alias& alias = aliases_[path.identity];
      std::array<char, 24> name{};
      std::snprintf(name.data(), name.size(), "id%03d", alias.number);
      if (alias.written) return write(std::string("*") + name.data());
      alias.written = true;
      write(std::string("&") + name.data() + " ");
    }
    write("!!python/object/apply:" + path.class_name);
    if (path.arguments.empty()) write(" []");
    for (const std::string& argument : path.arguments) {
      new_line(indent);
      write("- ");
      write_string(argument, indent + kIndent);
    }
  }

  bool write_string(std::string_view utf8, std::size_t indent) {
    const std::u32string text = decode_utf8(utf8);
    const Style style = choose_style(utf8, text);
    write_styled(style, text, indent);
    return style == Style::plain;
  }

  // Lines go on at `fold` when there is one; a simple key is never folded.
  void write_styled(Style style, std::u32string_view text, std::optional<std::size_t> fold) {
    switch (style) {
      case Style::plain:
        return write_plain(text, fold);
      case Style::single_quoted:
        return write_single_quoted(text, fold);
      case Style::double_quoted:
        return write_double_quoted(text, fold);
    }
  }

  // Writes text[begin, end), a run of spaces; a single one beyond the width becomes a line end.
  void write_spaces(std::u32string_view text, std::size_t begin, std::size_t end,
                    std::optional<std::size_t> fold) {
    if (end - begin == 1 && column_ > kWidth && fold) {
      new_line(*fold);
    } else {
      write(text.substr(begin, end - begin));
    }
  }

  void write_plain(std::u32string_view text, std::optional<std::size_t> fold) {
    for (std::size_t i = 0; i < text.size();) {
      std::size_t end = std::min(text.find(U' ', i), text.size());
      write(text.substr(i, end - i));
      i = end;
      end = std::min(text.find_first_not_of(U' ', i), text.size());
      if (i < end) write_spaces(text, i, end, fold);
      i = end;
    }
  }

  void write_single_quoted(std::u32string_view text, std::optional<std::size_t> fold) {
    write("'");
    for (std::size_t i = 0; i < text.size();) {
      std::size_t end = i + 1;
      if (text[i] == U' ') {
        end = std::min(text.find_first_not_of(U' ', i), text.size());
        const bool inside = i > 0 && end < text.size();
        write_spaces(text, i, end, inside ? fold : std::nullopt);
      } else if (is_line_break(text[i])) {
        while (end < text.size() && is_line_break(text[end])) ++end;
        if (text[i] == U'\n') text_ += '\n';
        for (const char32_t c : text.substr(i, end - i)) append_utf8(text_, c);
        // Breaks make a key complex, so that there is always an indent to go on at.
        column_ = fold.value_or(0);
        text_.append(column_, ' ');
      } else if (text[i] == U'\'') {
        write("''");
      } else {
        write(text[i]);
      }
      i = end;
    }
    write("'");
  }

  // Follows PyYAML's loop, in which the pending run text[start, i) is one short just after an
  // escape: its line lengths depend on it.
  void write_double_quoted(std::u32string_view text, std::optional<std::size_t> fold) {
    write("\"");
    std::size_t start = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
      const std::string escaped = i < text.size() ? escape(text[i]) : std::string();
      if (i == text.size() || !escaped.empty()) {
        if (start < i) write(text.substr(start, i - start));
        start = i;
        if (!escaped.empty()) {
          write(escaped);
          start = i + 1;
        }
      }
      const bool inside = i > 0 && i + 1 < text.size();
      if (!fold || !inside || !(text[i] == U' ' || start >= i)) continue;
      if (column_ + i <= kWidth + start) continue;
      if (start < i) {
        write(text.substr(start, i - start));
        start = i;
      }
      write("\\");
      new_line(*fold);
      if (text[start] == U' ') write("\\");
    }
    write("\"");
  }

  std::string text_;
  std::size_t column_ = 0;  // in code points
  std::map<std::uint32_t, Alias> aliases_;
  int last_alias_ = 0;
};

}  // namespace

std::string_view type_name(const ConfigNode& node) {
  constexpr std::array<std::string_view, std::variant_size_v<ConfigNode::Value>> kNames = {
      "None", "bool", "int", "int", "float", "str", "bytes", "path", "list", "dict"};
  return kNames[node.value.index()];
}

std::string key_text(const ConfigKey& key) {
  if (const auto* text = std::get_if<std::string>(&key)) return *text;
  if (const auto* flag = std::get_if<bool>(&key)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<std::int64_t>(&key)) return std::to_string(*number);
  if (const auto* big = std::get_if<ConfigBigInteger>(&key)) return big->digits;
  if (const auto* real = std::get_if<double>(&key)) return real_text(*real);
  return std::get<ConfigBytes>(key).data;
}

std::string to_yaml(const ConfigNode& root) { return Emitter(root).document(root); }

}  // namespace craftbundle
