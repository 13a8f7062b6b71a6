// Columns of text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace craftbundle::app {

// Rows of cells, padded to columns, each line indented by two spaces. Cells are shown as they are:
// text from a file must have gone through printable().
class Table {
 public:
  explicit Table(std::vector<std::string> header = {}) : has_header_(!header.empty()) {
    if (has_header_) rows_.push_back(std::move(header));
  }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // As wide as the terminal that is the standard output.
  std::string text() const;
  // At most `width` wide: columns shrink, the widest first, and what does not fit into one goes on
  // below; 0: as wide as it is. Very narrow terminals get more than fits.
  std::string text(std::size_t width) const;

 private:
  bool has_header_;
  std::vector<std::vector<std::string>> rows_;
};

// "1,234,567"
std::string grouped(std::uint64_t number);

// `path` as one word of a shell command.
std::string shell_word(const std::string& path);

}  // namespace craftbundle::app
