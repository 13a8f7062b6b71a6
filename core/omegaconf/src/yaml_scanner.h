// Tokens of YAML text.
//
// They are those of PyYAML's scanner in Python, the one that OmegaConf reads with, to the last
// corner: where tabs may stand, what a "?" in a flow collection means, how long a key on one line
// may be. libyaml, its twin in C, differs in these, and refuses the lone surrogates that
// OmegaConf.to_yaml writes; yaml-cpp reads YAML 1.2.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace craftbundle::omegaconf {

// A place in the text, in characters from 0. A byte order mark takes no column.
struct Mark {
  std::ptrdiff_t index = 0;
  std::ptrdiff_t line = 0;
  std::ptrdiff_t column = 0;
};

// Throws Error(input, code) with the place before `problem`.
[[noreturn]] void refuse(const Mark& mark, std::string_view code, const std::string& problem,
                         std::string hint = {});

struct Token {
  enum class Kind {
    stream_end,
    yaml_directive,   // text: the major version
    tag_directive,    // handle, and the prefix it stands for as text
    other_directive,  // without a meaning
    document_start,
    document_end,
    block_sequence_start,
    block_mapping_start,
    block_end,
    flow_sequence_start,
    flow_sequence_end,
    flow_mapping_start,
    flow_mapping_end,
    block_entry,
    flow_entry,
    key,
    value,
    alias,  // text: its name, as for an anchor
    anchor,
    tag,     // handle ("!!"; empty for none) and suffix as text
    scalar,  // text: the value
  };

  Kind kind;
  Mark mark;
  std::string text = {};
  std::string handle = {};
  bool is_plain = false;  // of a scalar: neither quoted nor a block
};

class Scanner {
 public:
  // `text` holds characters that may stand in YAML, see read_yaml.
  explicit Scanner(std::u32string_view text) : text_(text) {}

  // The next token; valid until it is taken. Throws Error(input), "config.syntax" or, for flow
  // collections in each other beyond the limit, "config.depth".
  const Token& peek();
  Token take();

 private:
  using Kind = Token::Kind;

  // Where a key without "?" may have begun. Whether it did shows at the ":" only.
  struct SimpleKey {
    std::size_t token = 0;  // number of its first token
    bool is_required = false;
    Mark mark;
  };

  // 0 behind the end of the text.
  char32_t at(std::size_t ahead = 0) const;
  void forward(std::size_t count = 1);
  // Moves `count` characters to `text`.
  void take(std::size_t count, std::string& text);
  void skip_spaces();
  void skip_comment();
  bool at_document_indicator() const;
  // Takes a line break: "\n" for any kind but LS and PS, "" when there is none.
  std::string line_break();

  bool needs_more_tokens();
  void fetch();
  void skip_to_token();
  void add(Kind kind, std::size_t length);

  void save_simple_key();
  void drop_simple_key();
  void drop_stale_keys();
  void close_blocks(std::ptrdiff_t column);
  bool open_block(std::ptrdiff_t column);

  void fetch_stream_end();
  void fetch_directive();
  void fetch_document_indicator(Kind kind);
  void fetch_flow_start(Kind kind);
  void fetch_flow_end(Kind kind);
  void fetch_flow_entry();
  void fetch_block_entry();
  void fetch_key();
  void fetch_value();
  void fetch_value_of_complex_key();
  // What may be a simple key or begin one.
  void fetch_inline(Token (Scanner::*scan)());
  void fetch_block_scalar();

  Token scan_anchor();
  Token scan_tag();
  Token scan_plain();
  Token scan_quoted();

  bool ends_plain(std::size_t ahead) const;
  std::string plain_spaces();
  void quoted_text(Token& token, char32_t quote);
  void escape(Token& token);
  void quoted_spaces(Token& token);
  std::string quoted_breaks(const Mark& begin);
  std::string block_breaks(std::ptrdiff_t indent);
  std::string digits();
  std::string name(const char* what);
  std::string tag_handle();
  std::string tag_uri();
  void end_line(const char* what);
  [[noreturn]] void unexpected(const char* expected) const;

  std::u32string_view text_;
  Mark mark_;
  bool is_done_ = false;

  std::deque<Token> tokens_;
  std::size_t taken_ = 0;

  std::size_t flow_level_ = 0;
  std::ptrdiff_t indent_ = -1;
  std::vector<std::ptrdiff_t> indents_;  // around indent_
  bool allows_simple_key_ = true;
  std::vector<std::optional<SimpleKey>> simple_keys_ =
      std::vector<std::optional<SimpleKey>>(1);  // by flow level
};

}  // namespace craftbundle::omegaconf
