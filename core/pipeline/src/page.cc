#include "craftbundle/detail/pipeline/page.h"

#include <algorithm>

#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

constexpr std::size_t kLongText = 4000;

// Colours have a contrast of 4.5 to 1 at least on both backgrounds (WCAG 2, AA).
constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --bg: #fbfaf7; --card: #fff; --ink: #1d1d1b; --soft: #62615c;
  --line: #dedbd2; --done: #1a7f4b; --same: #41659b; --bad: #c0322b; --held: #8a5900; --off: #6b6962;
  --link: #2a5bb0; --tile: #dce6f4; }
@media (prefers-color-scheme: dark) { :root { --bg: #16171a; --card: #1f2125; --ink: #ecebe7;
  --soft: #a3a29b; --line: #34363c; --done: #4fc088; --same: #86a9e0; --bad: #ff7b72;
  --held: #e0a84a; --off: #a09e96; --link: #8ab4f8; --tile: #2b3a52; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 1.6rem; margin: 0 0 2px; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 34px 0 10px; } h3 { font-size: 1rem; margin: 18px 0 6px; }
h3 { overflow-wrap: anywhere; }
a { color: var(--link); }
p.sub { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: 10px; margin: 20px 0 0; padding: 0; list-style: none; }
.tiles li { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 8px 16px; min-width: 96px; }
.tiles b { display: block; font-size: 1.35rem; line-height: 1.3; }
.tiles span { color: var(--soft); font-size: .85rem; }
.box { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; }
.scroll > div { padding: 14px; width: max-content; }
.scroll svg { display: block; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption, .hidden { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
th { text-align: left; color: var(--soft); font-weight: 500; white-space: nowrap; }
th, td { padding: 7px 12px; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
tr:last-child > td { border-bottom: 0; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
code, .mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .88em;
  overflow-wrap: anywhere; }
.state { font-weight: 600; white-space: nowrap; }
.done { color: var(--done); } .same { color: var(--same); } .bad { color: var(--bad); }
.held { color: var(--held); } .off { color: var(--off); }
.failure { border-left: 4px solid var(--bad); background: var(--card); border-radius: 4px;
  padding: 10px 16px; margin: 10px 0; overflow-wrap: anywhere; white-space: pre-line; }
details { margin: 6px 0; } summary { cursor: pointer; color: var(--soft); }
ul.plain { margin: 4px 0; padding-left: 20px; overflow-wrap: anywhere; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; } svg .dim { fill: var(--soft); }
svg rect.box { fill: var(--bg); stroke: var(--line); } svg a:hover rect.box { stroke: var(--ink); }
svg path { fill: none; stroke: var(--off); stroke-width: 1.3; }
svg .fill-done { fill: var(--done); } svg .fill-same { fill: var(--same); }
svg .fill-bad { fill: var(--bad); } svg .fill-held { fill: var(--held); }
svg .fill-off { fill: var(--off); }
.filter { border: 0; padding: 0; margin: 0 0 10px; display: flex; flex-wrap: wrap; gap: 4px 14px; }
.filter legend { float: left; padding: 0; margin-right: 14px; color: var(--soft); }
.bars { padding: 8px 14px; } .bars > div { display: grid; gap: 0 10px; align-items: center;
  grid-template-columns: minmax(0, 15em) minmax(0, 1fr) max-content; padding: 2px 0; }
.bars .label { overflow-wrap: anywhere; } .bars .value { color: var(--soft); }
.bars .track { display: block; height: 12px; }
.bars .bar { display: block; height: 12px; min-width: 2px; border-radius: 3px; background: var(--same); }
.bars .bar.done { background: var(--done); } .bars .bar.bad { background: var(--bad); }
.bars .bar.held { background: var(--held); }
.map { width: 100%; height: auto; display: block; } .map rect { fill: var(--tile); stroke: var(--card); }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); gap: 14px; }
.pair { margin-bottom: 14px; } .pair > figure { margin: 0; padding: 12px; min-width: 0; } figcaption { font-weight: 600; }
.pair audio, .pair img, .pair svg { width: 100%; display: block; margin-top: 8px; }
.pair img { height: 128px; image-rendering: pixelated; border-radius: 4px; }
svg .wave { fill: var(--same); stroke: none; }
@media (max-width: 700px) {
  main { padding: 18px 12px 40px; }
  .wide { display: none; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, tr, td { display: block; }
  tr { border-bottom: 1px solid var(--line); padding: 6px 0; } tr:last-child { border-bottom: 0; }
  td, td.number { border-bottom: 0; padding: 2px 12px; text-align: left; white-space: normal; }
  td::before { content: attr(data-label); display: block; color: var(--soft); font-size: .8rem; }
  .bars > div { grid-template-columns: minmax(0, 1fr) max-content; }
  .bars .label { grid-column: 1 / 3; }
}
)";

}  // namespace

std::string html_text(std::string_view text) {
  std::string result;
  for (const char c : printable(text, kLongText)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string html_lines(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    result += (at == 0 ? "" : "\n") + html_text(text.substr(at, end - at));
    at = end + 1;
  }
  return result;
}

std::string html_page(std::string_view title, const std::string& body) {
  return "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\"><head>"
         "<meta charset=\"utf-8\"/><meta name=\"viewport\" content=\"width=device-width, "
         "initial-scale=1\"/><title>" +
         html_text(title) + "</title><style>" + std::string(kStyle) +
         "</style></head><body><main>\n" + body + "</main></body></html>\n";
}

std::string html_section(std::string_view title, const std::string& body) {
  return body.empty() ? std::string()
                      : "<section><h2>" + html_text(title) + "</h2>\n" + body + "</section>\n";
}

HtmlTable::HtmlTable(std::string caption, std::vector<Column> columns)
    : caption_(std::move(caption)), columns_(std::move(columns)) {}

void HtmlTable::add(const std::vector<std::string>& cells, std::string_view attributes) {
  rows_ += "<tr" + std::string(attributes) + ">";
  for (std::size_t i = 0; i < cells.size(); ++i) {
    rows_ += "<td data-label=\"" + html_text(columns_.at(i).title) + "\"" +
             (columns_.at(i).is_number ? " class=\"number\"" : "") + ">" + cells[i] + "</td>";
  }
  rows_ += "</tr>\n";
}

std::string HtmlTable::text() const {
  std::string text =
      "<div class=\"box\"><table><caption>" + html_text(caption_) + "</caption><thead><tr>";
  for (const Column& column : columns_) {
    text += "<th scope=\"col\">" + html_text(column.title) + "</th>";
  }
  return text + "</tr></thead><tbody>\n" + rows_ + "</tbody></table></div>\n";
}

std::string html_bars(const std::vector<HtmlBar>& bars) {
  if (bars.empty()) return {};
  std::string text = "<div class=\"box bars\">";
  for (const HtmlBar& bar : bars) {
    text += "<div><span class=\"label\">" + html_text(bar.label) +
            "</span><span class=\"track\"><span class=\"bar\" style=\"width:" +
            fixed_text(100 * std::clamp(bar.share, 0.0, 1.0), 1) +
            "%\"></span></span><span class=\"value\">" + html_text(bar.value) + "</span></div>\n";
  }
  return text + "</div>\n";
}

namespace {

struct Area {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;
};

// How far from a square the worst of the tiles [begin, end) is in a row along the shorter side.
double worst_ratio(const std::vector<double>& areas, std::size_t begin, std::size_t end,
                   double side) {
  double sum = 0;
  for (std::size_t i = begin; i < end; ++i) sum += areas[i];
  double worst = 0;
  for (std::size_t i = begin; i < end; ++i) {
    const double ratio = side * side * areas[i] / (sum * sum);
    worst = std::max(worst, std::max(ratio, 1 / ratio));
  }
  return worst;
}

// Squarified treemap (Bruls, Huizing, van Wijk 2000) of areas in falling order, which fill `free`.
std::vector<Area> squarify(const std::vector<double>& areas, Area free) {
  std::vector<Area> tiles;
  for (std::size_t begin = 0; begin < areas.size();) {
    const double side = std::min(free.width, free.height);
    std::size_t end = begin + 1;
    while (end < areas.size() &&
           worst_ratio(areas, begin, end + 1, side) <= worst_ratio(areas, begin, end, side)) {
      ++end;
    }
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += areas[i];
    const double depth = side > 0 ? sum / side : 0;
    const bool in_column = free.width >= free.height;
    double along = in_column ? free.y : free.x;
    for (std::size_t i = begin; i < end; ++i) {
      const double length = depth > 0 ? areas[i] / depth : 0;
      tiles.push_back(in_column ? Area{free.x, along, depth, length}
                                : Area{along, free.y, length, depth});
      along += length;
    }
    if (in_column) {
      free.x += depth;
      free.width = std::max(0.0, free.width - depth);
    } else {
      free.y += depth;
      free.height = std::max(0.0, free.height - depth);
    }
    begin = end;
  }
  return tiles;
}

}  // namespace

std::string html_treemap(std::string_view title, std::vector<HtmlTile> tiles) {
  constexpr double kWidth = 1000;
  constexpr double kHeight = 420;
  constexpr double kCharacter = 7;  // width of a letter
  std::erase_if(tiles, [](const HtmlTile& tile) { return !(tile.size > 0); });
  std::ranges::stable_sort(tiles, std::ranges::greater(), &HtmlTile::size);
  double sum = 0;
  for (const HtmlTile& tile : tiles) sum += tile.size;
  if (tiles.empty()) return {};
  std::vector<double> areas;
  for (const HtmlTile& tile : tiles) areas.push_back(tile.size / sum * kWidth * kHeight);
  const std::vector<Area> places = squarify(areas, {0, 0, kWidth, kHeight});
  HtmlTable table(std::string(title), {{"part"}, {"size", true}, {"share", true}});
  std::string text = "<div class=\"box wide\"><svg class=\"map\" role=\"img\" aria-label=\"" +
                     html_text(title) + "\" viewBox=\"0 0 " + fixed_text(kWidth, 0) + " " +
                     fixed_text(kHeight, 0) + "\">\n";
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    const Area& place = places[i];
    const HtmlTile& tile = tiles[i];
    const double share = 100 * tile.size / sum;
    text += "<g transform=\"translate(" + fixed_text(place.x, 1) + " " + fixed_text(place.y, 1) +
            ")\"><title>" + html_text(tile.label + ": " + tile.value) + "</title><rect width=\"" +
            fixed_text(place.width, 1) + "\" height=\"" + fixed_text(place.height, 1) + "\"/>";
    const auto fits = static_cast<std::size_t>(std::max(0.0, (place.width - 10) / kCharacter));
    if (place.height > 18 && tile.label.size() <= fits) {
      text += "<text x=\"5\" y=\"15\">" + html_text(tile.label) + "</text>";
    }
    if (place.height > 34 && tile.value.size() <= fits) {
      text += "<text class=\"dim\" x=\"5\" y=\"30\">" + html_text(tile.value) + "</text>";
    }
    text += "</g>\n";
    table.add({"<code>" + html_text(tile.label) + "</code>", html_text(tile.value),
               fixed_text(share, 1) + " %"});
  }
  return text + "</svg></div>\n<details><summary>as a table (" + std::to_string(tiles.size()) +
         ")</summary>" + table.text() + "</details>\n";
}

}  // namespace craftbundle
