#include <algorithm>
#include <array>
#include <cmath>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/pipeline/graph.h"
#include "craftbundle/detail/pipeline/page.h"
#include "craftbundle/detail/pipeline/report.h"

namespace craftbundle {
namespace {

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
  return html_text(text.size() <= limit ? text : text.substr(0, limit - 1)) +
         (text.size() <= limit ? "" : "&#8230;");
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
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"graph of "
      "stages\"><div>"
      "<svg aria-label=\"graph of stages\" width=\"" +
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
            html_text(stage.name) + ": " + html_text(stage.what) +
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

// Not on phones: every stage says what it needs below.
std::string graph_section(const RunReport& report) {
  if (report.stages.empty()) return {};
  return "<div class=\"wide\">" + html_section("Stages and what they need", graph(report)) +
         "</div>\n";
}

// When each stage ran.
std::string timeline(const RunReport& report) {
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
  std::string text = "<div class=\"box bars\">";
  for (const std::size_t row : rows) {
    const StageReport& stage = report.stages[row];
    text += "<div><span class=\"label\">" + html_text(stage.name) +
            "</span><span class=\"track\"><span class=\"bar " +
            std::string(look_of(stage.state).name) +
            "\" style=\"margin-left:" + fixed_text(100 * stage.start / end, 2) +
            "%;width:" + fixed_text(100 * stage.seconds / end, 2) +
            "%\"></span></span><span class=\"value\">" + seconds_text(stage.seconds) +
            "</span></div>\n";
  }
  return text + "</div>\n";
}

// Tables
// ---------------------------------------------------------------------------------------------

std::string list(const std::vector<std::string>& items) {
  std::string text = "<ul class=\"plain\">";
  for (const std::string& item : items) text += "<li>" + html_text(item) + "</li>";
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
  return "<div class=\"off\">" + html_text(reasons.front()) + "</div>";
}

std::string id_of(std::size_t index) { return "stage-" + std::to_string(index); }

std::string link_to(std::size_t index, const std::string& text) {
  return "<a href=\"#" + id_of(index) + "\">" + html_text(text) + "</a>";
}

// The file of a log: beside the page where it can be, so that both can be moved.
std::string log_link(const StageReport& stage, const Path& page_directory) {
  if (stage.log.empty()) return {};
  const Path relative =
      page_directory.empty() ? Path() : stage.log.lexically_relative(page_directory);
  const bool is_below = !relative.empty() && *relative.begin() != "..";
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
  std::string address = is_below ? "" : "file://";
  for (const char c : (is_below ? relative : stage.log).string()) {
    const auto byte = static_cast<std::uint8_t>(c);
    address += kPlain.find(c) != std::string_view::npos ? std::string(1, c)
                                                        : "%" + hex(std::span(&byte, 1));
  }
  return "<a href=\"" + address + "\">log</a>";
}

std::string stage_about(const RunReport& report, std::size_t index, const Path& page_directory) {
  const StageReport& stage = report.stages[index];
  std::string about = html_text(stage.what);
  for (const std::size_t need : stage.needs) {
    about += (need == stage.needs.front() ? "<div class=\"off\">needs " : ", ") +
             link_to(need, report.stages[need].name);
  }
  if (!stage.needs.empty()) about += "</div>";
  if (stage.error) {
    about += "<div><a class=\"bad\" href=\"#failure-" + std::to_string(index) +
             "\">why it failed</a></div>";
  }
  about += why(stage.reasons) + details("checked", stage.result.checks);
  for (const std::string& warning : stage.result.warnings) {
    about += "<div class=\"held\">" + html_text(warning) + "</div>";
  }
  std::vector<std::string> places;
  for (const StageOutput& output : stage.outputs) {
    places.push_back(output.name + ": " + output.path.string());
  }
  return about + details("files", places) + log_link(stage, page_directory);
}

constexpr std::array kStates = {
    StageState::done,    StageState::up_to_date, StageState::failed,  StageState::interrupted,
    StageState::blocked, StageState::not_run,    StageState::left_out};

std::string state_id(StageState state) {
  std::string id(to_string(state));
  std::ranges::replace(id, ' ', '-');
  return id;
}

// Shows the stages of one state: buttons that the style sheet reads, as the page has no scripts.
std::string filter(const RunReport& report) {
  std::string rules;
  std::string buttons =
      "<label><input type=\"radio\" name=\"show\" id=\"show-all\" checked=\"checked\"/> "
      "all</label>";
  std::size_t states = 0;
  for (const StageState state : kStates) {
    const std::uint64_t count = report.count(state);
    if (count == 0) continue;
    ++states;
    const std::string id = state_id(state);
    rules += "main:has(#show-" + id + ":checked) tr[data-state]:not([data-state=" + id +
             "]) { display: none; }\n";
    buttons += "<label><input type=\"radio\" name=\"show\" id=\"show-" + id + "\"/> " +
               std::string(to_string(state)) + " (" + std::to_string(count) + ")</label>";
  }
  if (states < 2) return {};
  return "<style>" + rules + "</style><fieldset class=\"filter\"><legend>show</legend>" + buttons +
         "</fieldset>\n";
}

std::string stages(const RunReport& report, const Path& page_directory) {
  HtmlTable table("every stage", {{"stage"}, {"state"}, {"time", true}, {"bytes", true}, {"what"}});
  for (std::size_t i = 0; i < report.stages.size(); ++i) {
    const StageReport& stage = report.stages[i];
    table.add(
        {"<b>" + html_text(stage.name) + "</b><br/><span class=\"off\">" + html_text(stage.kind) +
             "</span>",
         state_text(stage.state) +
             (stage.may_fail ? "<br/><span class=\"off\">may fail</span>" : ""),
         (ran(stage) ? seconds_text(stage.seconds) : "&#8211;") +
             (stage.attempts > 1 ? "<br/>" + std::to_string(stage.attempts) + " attempts" : ""),
         stage.result.bytes > 0 ? human_bytes(stage.result.bytes) : "&#8211;",
         stage_about(report, i, page_directory)},
        " id=\"" + id_of(i) + "\" data-state=\"" + state_id(stage.state) + "\"");
  }
  return report.stages.empty() ? std::string() : filter(report) + table.text();
}

std::string failures(const RunReport& report, const Path& page_directory) {
  std::string text;
  for (std::size_t i = 0; i < report.stages.size(); ++i) {
    const StageReport& stage = report.stages[i];
    if (!stage.error) continue;
    const std::string log = log_link(stage, page_directory);
    text += "<div class=\"failure\" id=\"failure-" + std::to_string(i) + "\"><b>" +
            link_to(i, stage.name) + "</b>" + (stage.may_fail ? " (allowed to fail)" : "") + "\n" +
            html_lines(stage.error->message()) + " <code>[" + html_text(stage.error->code()) +
            "]</code>" +
            (stage.error->hint().empty() ? "" : "\nhint: " + html_lines(stage.error->hint())) +
            (log.empty() ? "" : "\n" + log) + "</div>\n";
  }
  return text;
}

bool has_bundle(const StageReport& stage) {
  const bool there = stage.state == StageState::done || stage.state == StageState::up_to_date;
  return there && stage.result.manifest && !stage.outputs.empty();
}

// What all components of a bundle say of one thing, each once.
template <typename Get>
std::string all_of(const Manifest& manifest, Get&& get) {
  std::vector<std::string> texts;
  for (const ManifestComponent& component : manifest.components) {
    std::string text = get(component);
    if (std::ranges::count(texts, text) == 0) texts.push_back(std::move(text));
  }
  return html_text(join(texts, ", "));
}

std::string bundle_details(const StageReport& stage) {
  const Manifest& manifest = *stage.result.manifest;
  HtmlTable table("files of the bundle", {{"file"}, {"size", true}, {"made from"}, {"SHA-256"}});
  for (const ManifestFile& file : manifest.files) {
    std::vector<std::string> sources;
    for (const ManifestComponent& component : manifest.components) {
      if (std::ranges::count(file.roles, component.role) != 0) sources.push_back(component.source);
    }
    table.add({"<code>" + html_text(file.name) + "</code>", human_bytes(file.size),
               html_text(join(sources, ", ")),
               "<code>" + html_text(digest_text(file)) + "</code>"});
  }
  std::vector<std::string> fit;
  for (const FitCheck& check : manifest.fit) {
    fit.push_back(std::string(to_string(check.outcome)) + ": " + to_string(check));
  }
  return "<details><summary>" + html_text(stage.name) + ": " +
         counted(manifest.files.size(), "file") + "</summary>" + table.text() +
         details("fit", fit) + details("checked", stage.result.checks) + "</details>\n";
}

// One table of all bundles, and what is in each below it.
std::string bundles(const RunReport& report) {
  HtmlTable table(
      "bundles", {{"bundle"}, {"stage"}, {"size", true}, {"made from"}, {"exporters"}, {"layout"}});
  std::string below;
  for (std::size_t i = 0; i < report.stages.size(); ++i) {
    const StageReport& stage = report.stages[i];
    if (!has_bundle(stage)) continue;
    const Manifest& manifest = *stage.result.manifest;
    std::uint64_t bytes = 0;
    for (const ManifestFile& file : manifest.files) bytes += file.size;
    table.add({"<code>" + html_text(stage.outputs.front().path.string()) + "</code>",
               link_to(i, stage.name), human_bytes(bytes),
               all_of(manifest, [](const auto& component) { return component.source; }),
               all_of(manifest,
                      [](const auto& component) {
                        return component.exporter + " " + component.exporter_version;
                      }),
               html_text(manifest.layout)});
    below += bundle_details(stage);
  }
  return below.empty() ? std::string() : table.text() + below;
}

std::string tiles(const RunReport& report) {
  std::string text = "<ul class=\"tiles\">";
  for (const StageState state : kStates) {
    const std::uint64_t count = report.count(state);
    if (count == 0) continue;
    text += "<li><b class=\"" + std::string(look_of(state).name) + "\">" + std::to_string(count) +
            "</b><span>" + std::string(to_string(state)) + "</span></li>";
  }
  return text + "<li><b>" + human_bytes(report.bytes()) + "</b><span>written</span></li><li><b>" +
         seconds_text(report.seconds) + "</b><span>" +
         (report.jobs == 0
              ? std::string("by another engine")
              : counted(static_cast<std::uint64_t>(report.jobs), "stage") + " at a time") +
         "</span></li></ul>\n";
}

}  // namespace

std::string to_html(const RunReport& report, const Path& page_directory) {
  const std::optional<Error> error = failure(report);
  const bool complete = !error && report.count(StageState::not_run) == 0;
  const std::string verdict = error      ? "<span class=\"state bad\">&#10007; failed</span>"
                              : complete ? "<span class=\"state done\">&#10003; complete</span>"
                                         : "<span class=\"state held\">! not complete</span>";
  return html_page(report.script + ": run",
                   "<header><h1>" + html_text(report.script) + "</h1><p class=\"sub\">" + verdict +
                       " &#183; " + html_text(report.started) + " &#183; " +
                       html_text(report.producer) + "</p></header>\n" + tiles(report) +
                       html_section("Failures", failures(report, page_directory)) +
                       html_section("Bundles", bundles(report)) + graph_section(report) +
                       html_section("Every stage", stages(report, page_directory)) +
                       html_section("Timeline", timeline(report)));
}

}  // namespace craftbundle
