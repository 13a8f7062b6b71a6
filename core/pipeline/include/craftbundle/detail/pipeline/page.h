// Pages for people: one file of XHTML that needs nothing beside itself, no scripts and no network,
// readable on a phone, in light and dark.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// Text as it is, in an element or an attribute in quotes; control characters become visible.
std::string html_text(std::string_view text);
// The same of a message: its lines stay lines.
std::string html_lines(std::string_view text);

// A whole page. `body`: XHTML in <main>, its heading included.
std::string html_page(std::string_view title, const std::string& body);
// A part of it with a heading; empty when `body` is.
std::string html_section(std::string_view title, const std::string& body);

// A table whose rows become blocks with labels where the window is narrow.
class HtmlTable {
 public:
  struct Column {
    std::string title;
    bool is_number = false;
  };
  // `caption` is what it shows, for those who do not see it.
  HtmlTable(std::string caption, std::vector<Column> columns);
  // Cells are XHTML; `attributes` of the row: " id=\"x\"".
  void add(const std::vector<std::string>& cells, std::string_view attributes = {});
  std::string text() const;

 private:
  std::string caption_;
  std::vector<Column> columns_;
  std::string rows_;
};

// A horizontal bar for each row.
struct HtmlBar {
  std::string label;
  double share = 0;   // of the longest bar, 0 to 1
  std::string value;  // shown behind it
};
std::string html_bars(const std::vector<HtmlBar>& bars);

// Rectangles whose areas are in proportion to sizes; too small ones have no text.
struct HtmlTile {
  std::string label;
  std::string value;
  double size = 0;
};
std::string html_treemap(std::string_view title, std::vector<HtmlTile> tiles);

}  // namespace craftbundle
