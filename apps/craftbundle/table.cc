#include "table.h"

#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "craftbundle/detail/base/text.h"
#include "style.h"

namespace craftbundle::app {
namespace {

constexpr std::size_t kIndent = 2;
constexpr std::size_t kGap = 2;
// Columns are not made narrower.
constexpr std::size_t kNarrowest = 10;

// Shrinks the widest columns to the same width until all fit into `available`.
void shrink(std::vector<std::size_t>& widths, std::size_t available) {
  std::size_t total = std::accumulate(widths.begin(), widths.end(), std::size_t{0});
  while (total > available) {
    const std::size_t widest = *std::ranges::max_element(widths);
    if (widest <= kNarrowest) return;
    std::size_t next = kNarrowest;
    for (const std::size_t width : widths) {
      if (width < widest) next = std::max(next, width);
    }
    const auto count = static_cast<std::size_t>(std::ranges::count(widths, widest));
    const std::size_t share = (total - available + count - 1) / count;
    const std::size_t narrower = std::max(next, widest - std::min(widest, share));
    std::ranges::replace(widths, widest, narrower);
    total -= count * (widest - narrower);
  }
}

// Bytes of the first `width` characters.
std::size_t bytes_of_width(std::string_view text, std::size_t width) {
  std::size_t end = 0;
  while (end < text.size() && shown_width(text.substr(0, end + 1)) <= width) ++end;
  return end;
}

// Where to break a text that is wider than `width`: behind the last space, or a mark at which
// paths and names can be taken apart.
std::size_t break_of(std::string_view text, std::size_t width) {
  const std::size_t most = bytes_of_width(text, width);
  // A space may be the first character that does not fit.
  const std::size_t space = text.substr(0, most + 1).rfind(' ');
  if (space != std::string_view::npos && space > 0) return space;
  const std::size_t mark = text.substr(0, most).find_last_of("/._-,:=");
  return mark == std::string_view::npos || mark == 0 ? std::max<std::size_t>(most, 1) : mark + 1;
}

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  while (shown_width(text) > width) {
    const std::size_t end = break_of(text, width);
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  }
  if (!text.empty() || lines.empty()) lines.emplace_back(text);
  return lines;
}

}  // namespace

std::string Table::text() const { return text(columns_of(STDOUT_FILENO)); }

std::string Table::text(std::size_t width) const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], shown_width(row[i]));
    }
  }
  const std::size_t between = widths.empty() ? 0 : kIndent + kGap * (widths.size() - 1);
  if (width > 0) shrink(widths, width > between ? width - between : 0);
  std::string text;
  for (std::size_t number = 0; number < rows_.size(); ++number) {
    const auto& row = rows_[number];
    std::vector<std::vector<std::string>> cells;
    std::size_t lines = 1;
    for (std::size_t i = 0; i < row.size(); ++i) {
      cells.push_back(wrap(row[i], widths[i]));
      lines = std::max(lines, cells.back().size());
    }
    for (std::size_t n = 0; n < lines; ++n) {
      std::string line(kIndent, ' ');
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::string cell = n < cells[i].size() ? cells[i][n] : std::string();
        const bool is_heading = has_header_ && number == 0;
        line += is_heading ? paint(Tone::heading, cell) : cell;
        line.append(widths[i] - std::min(widths[i], shown_width(cell)) + kGap, ' ');
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
  }
  return text;
}

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, 1, ',');
  return text;
}

std::string shell_word(const std::string& path) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@+,%";
  constexpr std::size_t kLongestPath = 4096;
  const std::string shown = printable(path, kLongestPath);
  if (!shown.empty() && shown.find_first_not_of(kPlain) == std::string::npos) return shown;
  std::string text = "'";
  for (const char c : shown) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace craftbundle::app
