#include <algorithm>
#include <array>
#include <cmath>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/pipeline/graph.h"
#include "craftbundle/detail/pipeline/report.h"

namespace craftbundle {
namespace {

constexpr std::size_t kLongText = 4000;

constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --bg: #fbfaf7; --card: #fff; --ink: #1d1d1b; --soft: #6b6a65;
  --line: #dedbd2; --done: #1a7f4b; --same: #4a6fa5; --bad: #c0322b; --held: #a56b00; --off: #8a8880; }
@media (prefers-color-scheme: dark) { :root { --bg: #16171a; --card: #1f2125; --ink: #ecebe7;
  --soft: #a3a29b; --line: #34363c; --done: #4fc088; --same: #86a9e0; --bad: #ff7b72;
  --held: #e0a84a; --off: #85837b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 1.6rem; margin: 0 0 2px; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 34px 0 10px; }
p.sub { margin: 0; color: var(--soft); }
.tiles { display: flex; flex-wrap: wrap; gap: 10px; margin: 20px 0 0; padding: 0; list-style: none; }
.tiles li { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 8px 16px; min-width: 96px; }
.tiles b { display: block; font-size: 1.35rem; line-height: 1.3; }
.tiles span { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; }
.scroll > div { padding: 14px; width: max-content; }
.scroll svg { display: block; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th { text-align: left; color: var(--soft); font-weight: 500; white-space: nowrap; }
th, td { padding: 7px 12px; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child > td { border-bottom: 0; }
td.name { white-space: nowrap; } td.hash { min-width: 18em; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
code, .mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .88em;
  overflow-wrap: anywhere; }
.state { font-weight: 600; white-space: nowrap; }
.done { color: var(--done); } .same { color: var(--same); } .bad { color: var(--bad); }
.held { color: var(--held); } .off { color: var(--off); }
.failure { border-left: 4px solid var(--bad); background: var(--card); border-radius: 4px;
  padding: 10px 16px; margin: 10px 0; overflow-wrap: anywhere; white-space: pre-line; }
details { margin: 6px 0; } summary { cursor: pointer; color: var(--soft); }
ul.plain { margin: 4px 0; padding-left: 20px; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; } svg .dim { fill: var(--soft); }
svg rect.box { fill: var(--bg); stroke: var(--line); } svg a:hover rect.box { stroke: var(--ink); }
svg path { fill: none; stroke: var(--off); stroke-width: 1.3; opacity: .7; }
svg .fill-done { fill: var(--done); } svg .fill-same { fill: var(--same); }
svg .fill-bad { fill: var(--bad); } svg .fill-held { fill: var(--held); }
svg .fill-off { fill: var(--off); }
)";

std::string escaped(std::string_view text, std::size_t limit = kLongText) {
  std::string result;
  for (const char c : printable(text, limit)) {
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

// Lines of a message stay lines.
std::string escaped_lines(const std::string& text) {
  std::string result;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    result += (at == 0 ? "" : "\n") + escaped(std::string_view(text).substr(at, end - at));
    at = end + 1;
  }
  return result;
}

// Colour is never the only sign.
struct Look {
  std::string_view name;  // of the CSS class
  std::string_view symbol;
};
Look look_of(StageState state) {
  switch (state) {
    case StageState::done:
      return {"done", "&#10003;"};
    case StageState::up_to_date:
      return {"same", "="};
    case StageState::failed:
      return {"bad", "&#10007;"};
    case StageState::interrupted:
      return {"held", "!"};
    case StageState::blocked:
      return {"held", "&#8856;"};
    case StageState::not_run:
    case StageState::left_out:
      return {"off", "&#8211;"};
  }
  return {"off", "&#8211;"};
}

std::string state_text(StageState state) {
  const Look look = look_of(state);
  return "<span class=\"state " + std::string(look.name) + "\">" + std::string(look.symbol) + " " +
         std::string(to_string(state)) + "</span>";
}

bool ran(const StageReport& stage) {
  return stage.state == StageState::done || stage.state == StageState::failed ||
         stage.state == StageState::interrupted;
}

std::string shortened(const std::string& text, std::size_t limit) {
  return escaped(text.size() <= limit ? text : text.substr(0, limit - 1), limit) +
         (text.size() <= limit ? "" : "&#8230;");
}

std::string section(std::string_view title, const std::string& body) {
  return body.empty() ? std::string()
                      : "<section><h2>" + std::string(title) + "</h2>\n" + body + "</section>\n";
}

// The graph
// ------------------------------------------------------------------------------------------

// What is drawn of the graph: stages in columns, each right of all it needs, and the needs that no
// longer path implies.
struct Drawing {
  std::vector<std::vector<std::size_t>> columns;
  std::vector<std::vector<std::size_t>> needs;
};

Drawing drawing_of(const RunReport& report) {
  const std::size_t count = report.stages.size();
  std::vector<GraphNode> nodes(count);
  for (std::size_t i = 0; i < count; ++i) {
    for (const std::size_t need : report.stages[i].needs) nodes[i].needs.push_back({need, true});
  }
  Drawing drawing;
  drawing.needs.resize(count);
  std::vector<std::vector<bool>> before(count, std::vector<bool>(count));
  std::vector<std::size_t> column(count);
  std::vector<double> place(count);
  for (const std::size_t i : run_order(nodes)) {
    const std::vector<std::size_t>& needs = report.stages[i].needs;
    for (const std::size_t need : needs) {
      column[i] = std::max(column[i], column[need] + 1);
      for (std::size_t k = 0; k < count; ++k) before[i][k] = before[i][k] || before[need][k];
    }
    for (const std::size_t need : needs) {
      if (!before[i][need]) drawing.needs[i].push_back(need);
    }
    for (const std::size_t need : needs) before[i][need] = true;
    if (drawing.columns.size() <= column[i]) drawing.columns.resize(column[i] + 1);
  }
  for (std::size_t i = 0; i < count; ++i) drawing.columns[column[i]].push_back(i);
  // Stages stand near what they need, so that lines cross less.
  for (std::vector<std::size_t>& stages : drawing.columns) {
    for (const std::size_t stage : stages) {
      for (const std::size_t need : drawing.needs[stage]) {
        place[stage] += place[need] / static_cast<double>(drawing.needs[stage].size());
      }
    }
    std::stable_sort(stages.begin(), stages.end(),
                     [&](std::size_t a, std::size_t b) { return place[a] < place[b]; });
    for (std::size_t i = 0; i < stages.size(); ++i) {
      place[stages[i]] = (static_cast<double>(i) + 0.5) / static_cast<double>(stages.size());
    }
  }
  return drawing;
}

std::string graph(const RunReport& report) {
  constexpr int kWidth = 164;
  constexpr int kHeight = 40;
  constexpr int kGapX = 48;
  constexpr int kGapY = 14;
  const Drawing drawing = drawing_of(report);
  const std::vector<std::vector<std::size_t>>& columns = drawing.columns;
  std::size_t tallest = 0;
  for (const auto& column : columns) tallest = std::max(tallest, column.size());
  std::vector<std::array<int, 2>> places(report.stages.size());
  for (std::size_t x = 0; x < columns.size(); ++x) {
    // Shorter columns stand in the middle.
    const int top = static_cast<int>(tallest - columns[x].size()) * (kHeight + kGapY) / 2;
    for (std::size_t y = 0; y < columns[x].size(); ++y) {
      places[columns[x][y]] = {static_cast<int>(x) * (kWidth + kGapX),
                               top + static_cast<int>(y) * (kHeight + kGapY)};
    }
  }
  const std::string width =
      std::to_string(static_cast<int>(columns.size()) * (kWidth + kGapX) - kGapX + 2);
  const std::string height =
      std::to_string(static_cast<int>(tallest) * (kHeight + kGapY) - kGapY + 2);
  std::string text =
      "<div class=\"scroll\"><div><svg role=\"img\" aria-label=\"graph of stages\" width=\"" +
      width + "\" height=\"" + height + "\" viewBox=\"-1 -1 " + width + " " + height + "\">\n";
  for (std::size_t i = 0; i < report.stages.size(); ++i) {
    for (const std::size_t need : drawing.needs[i]) {
      const int x1 = places[need][0] + kWidth;
      const int y1 = places[need][1] + kHeight / 2;
      const int x2 = places[i][0];
      const int y2 = places[i][1] + kHeight / 2;
      const std::string bend = std::to_string((x1 + x2) / 2);
      text += "<path d=\"M" + std::to_string(x1) + " " + std::to_string(y1) + " C" + bend + " " +
              std::to_string(y1) + " " + bend + " " + std::to_string(y2) + " " +
              std::to_string(x2) + " " + std::to_string(y2) + "\"/>\n";
    }
  }
  for (std::size_t i = 0; i < report.stages.size(); ++i) {
    const StageReport& stage = report.stages[i];
    const Look look = look_of(stage.state);
    text += "<a href=\"#stage-" + std::to_string(i) + "\"><g transform=\"translate(" +
            std::to_string(places[i][0]) + " " + std::to_string(places[i][1]) + ")\"><title>" +
            escaped(stage.name) + ": " + escaped(stage.what) +
            "</title><rect class=\"box\" width=\"" + std::to_string(kWidth) + "\" height=\"" +
            std::to_string(kHeight) + "\" rx=\"6\"/><rect class=\"fill-" + std::string(look.name) +
            "\" width=\"5\" height=\"" + std::to_string(kHeight) +
            "\" rx=\"2\"/><text x=\"14\" y=\"17\">" + shortened(stage.name, 22) +
            "</text><text class=\"dim\" x=\"14\" y=\"32\">" + std::string(look.symbol) + " " +
            std::string(to_string(stage.state)) +
            (ran(stage) ? ", " + seconds_text(stage.seconds) : std::string()) + "</text></g></a>\n";
  }
  return text + "</svg></div></div>\n";
}

// When each stage ran.
std::string timeline(const RunReport& report) {
  constexpr int kRow = 24;
  constexpr int kLabel = 190;
  constexpr int kBar = 700;
  double end = 0;
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < report.stages.size(); ++i) {
    if (!ran(report.stages[i])) continue;
    rows.push_back(i);
    end = std::max(end, report.stages[i].start + report.stages[i].seconds);
  }
  if (rows.empty()) return {};
  std::stable_sort(rows.begin(), rows.end(), [&](std::size_t a, std::size_t b) {
    return report.stages[a].start < report.stages[b].start;
  });
  end = std::max(end, 1e-3);
  const std::string width = std::to_string(kLabel + kBar + 80);
  const std::string height = std::to_string(static_cast<int>(rows.size()) * kRow);
  std::string text =
      "<div class=\"scroll\"><div><svg role=\"img\" aria-label=\"when each stage ran\" "
      "width=\"" +
      width + "\" height=\"" + height + "\" viewBox=\"0 0 " + width + " " + height + "\">\n";
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const StageReport& stage = report.stages[rows[row]];
    const double x = kLabel + kBar * stage.start / end;
    const double length = std::max(2.0, kBar * stage.seconds / end);
    const std::string y = std::to_string(static_cast<int>(row) * kRow);
    text += "<g transform=\"translate(0 " + y + ")\"><text x=\"0\" y=\"16\">" +
            shortened(stage.name, 26) + "</text><rect class=\"fill-" +
            std::string(look_of(stage.state).name) + "\" x=\"" + fixed_text(x, 1) +
            "\" y=\"5\" height=\"14\" rx=\"2\" width=\"" + fixed_text(length, 1) +
            "\"/><text class=\"dim\" x=\"" + fixed_text(x + length + 6, 1) + "\" y=\"16\">" +
            seconds_text(stage.seconds) + "</text></g>\n";
  }
  return text + "</svg></div></div>\n";
}

// Tables
// ---------------------------------------------------------------------------------------------

std::string list(const std::vector<std::string>& items) {
  std::string text = "<ul class=\"plain\">";
  for (const std::string& item : items) text += "<li>" + escaped(item) + "</li>";
  return text + "</ul>";
}

std::string details(std::string_view title, const std::vector<std::string>& items) {
  if (items.empty()) return {};
  return "<details><summary>" + std::string(title) + " (" + std::to_string(items.size()) +
         ")</summary>" + list(items) + "</details>";
}

// One reason needs no unfolding.
std::string why(const std::vector<std::string>& reasons) {
  if (reasons.size() != 1) return details("why", reasons);
  return "<div class=\"off\">" + escaped(reasons.front()) + "</div>";
}

std::string stage_row(const StageReport& stage, std::size_t index) {
  std::string about =
      escaped(stage.what) + why(stage.reasons) + details("checked", stage.result.checks);
  for (const std::string& warning : stage.result.warnings) {
    about += "<div class=\"held\">" + escaped(warning) + "</div>";
  }
  std::vector<std::string> places;
  for (const StageOutput& output : stage.outputs) {
    places.push_back(output.name + ": " + output.path.string());
  }
  about += details("files", places);
  return "<tr id=\"stage-" + std::to_string(index) + "\"><td><b>" + escaped(stage.name) +
         "</b><br/><span class=\"off\">" + escaped(stage.kind) + "</span></td><td>" +
         state_text(stage.state) +
         (stage.may_fail ? "<br/><span class=\"off\">may fail</span>" : "") +
         "</td><td class=\"number\">" + (ran(stage) ? seconds_text(stage.seconds) : "&#8211;") +
         (stage.attempts > 1 ? "<br/>" + std::to_string(stage.attempts) + " attempts" : "") +
         "</td><td class=\"number\">" +
         (stage.result.bytes > 0 ? human_bytes(stage.result.bytes) : "&#8211;") + "</td><td>" +
         about + "</td></tr>\n";
}

std::string stages(const RunReport& report) {
  std::string text =
      "<div class=\"scroll\"><table><thead><tr><th>stage</th><th>state</th>"
      "<th>time</th><th>bytes</th><th>what</th></tr></thead><tbody>\n";
  for (std::size_t i = 0; i < report.stages.size(); ++i) text += stage_row(report.stages[i], i);
  return text + "</tbody></table></div>\n";
}

std::string failures(const RunReport& report) {
  std::string text;
  for (const StageReport& stage : report.stages) {
    if (!stage.error) continue;
    text += "<div class=\"failure\"><b>" + escaped(stage.name) + "</b>" +
            (stage.may_fail ? " (allowed to fail)" : "") + "\n" +
            escaped_lines(stage.error->message()) + " <code>[" + escaped(stage.error->code()) +
            "]</code>" +
            (stage.error->hint().empty() ? "" : "\nhint: " + escaped_lines(stage.error->hint())) +
            "</div>\n";
  }
  return text;
}

std::string bundle(const StageReport& stage) {
  const Manifest& manifest = *stage.result.manifest;
  std::string text = "<h3 class=\"mono\">" + escaped(stage.outputs.front().path.string()) +
                     "</h3><div class=\"scroll\"><table><thead><tr><th>file</th><th>size</th>"
                     "<th>made from</th><th>exporter</th><th>SHA-256</th></tr></thead><tbody>\n";
  for (const ManifestFile& file : manifest.files) {
    std::string sources;
    std::string exporters;
    for (const ManifestComponent& component : manifest.components) {
      if (std::ranges::count(file.roles, component.role) == 0) continue;
      sources += (sources.empty() ? "" : ", ") + escaped(component.source);
      exporters += (exporters.empty() ? "" : ", ") + escaped(component.exporter) + " " +
                   escaped(component.exporter_version);
    }
    text += "<tr><td class=\"name\"><code>" + escaped(file.name) +
            "</code></td><td class=\"number\">" + human_bytes(file.size) + "</td><td>" + sources +
            "</td><td>" + exporters + "</td><td class=\"hash\"><code>" + escaped(file.sha256) +
            "</code></td></tr>\n";
  }
  text += "</tbody></table></div>";
  std::vector<std::string> fit;
  for (const FitCheck& check : manifest.fit) {
    fit.push_back(std::string(to_string(check.outcome)) + ": " + to_string(check));
  }
  return text + details("fit", fit) + details("checked", stage.result.checks) + "\n";
}

std::string bundles(const RunReport& report) {
  std::string text;
  for (const StageReport& stage : report.stages) {
    const bool there = stage.state == StageState::done || stage.state == StageState::up_to_date;
    if (there && stage.result.manifest && !stage.outputs.empty()) text += bundle(stage);
  }
  return text;
}

std::string tiles(const RunReport& report) {
  std::string text = "<ul class=\"tiles\">";
  for (const StageState state :
       {StageState::done, StageState::up_to_date, StageState::failed, StageState::interrupted,
        StageState::blocked, StageState::not_run, StageState::left_out}) {
    const std::uint64_t count = report.count(state);
    if (count == 0) continue;
    text += "<li><b class=\"" + std::string(look_of(state).name) + "\">" + std::to_string(count) +
            "</b><span>" + std::string(to_string(state)) + "</span></li>";
  }
  return text + "<li><b>" + human_bytes(report.bytes()) + "</b><span>written</span></li><li><b>" +
         seconds_text(report.seconds) + "</b><span>" + std::to_string(report.jobs) +
         (report.jobs == 1 ? " stage" : " stages") + " at a time</span></li></ul>\n";
}

}  // namespace

std::string to_html(const RunReport& report) {
  const std::optional<Error> error = failure(report);
  const bool complete = !error && report.count(StageState::not_run) == 0;
  const std::string verdict = error      ? "<span class=\"state bad\">&#10007; failed</span>"
                              : complete ? "<span class=\"state done\">&#10003; complete</span>"
                                         : "<span class=\"state held\">! not complete</span>";
  return "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\"><head>"
         "<meta charset=\"utf-8\"/><meta name=\"viewport\" content=\"width=device-width, "
         "initial-scale=1\"/><title>" +
         escaped(report.script) + ": run</title><style>" + std::string(kStyle) +
         "</style></head><body><main>\n<header><h1>" + escaped(report.script) +
         "</h1><p class=\"sub\">" + verdict + " &#183; " + escaped(report.started) + " &#183; " +
         escaped(report.producer) + "</p></header>\n" + tiles(report) +
         section("Failures", failures(report)) +
         section("Stages and what they need", report.stages.empty() ? "" : graph(report)) +
         section("Bundles", bundles(report)) + section("Every stage", stages(report)) +
         section("Timeline", timeline(report)) + "</main></body></html>\n";
}

}  // namespace craftbundle
