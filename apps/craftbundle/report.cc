#include "report.h"

#include <algorithm>
#include <numeric>

#include "craftbundle/detail/api/json.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/transform.h"
#include "style.h"
#include "table.h"

namespace craftbundle::app {
namespace {

Table file_table() { return Table({"file", "size", "tensors", "state", "exporter", "source"}); }

// A row for a file of a bundle or export, called `name`.
std::vector<std::string> file_row(const std::string& name, const WrittenFile& file,
                                  const std::vector<ManifestComponent>& components) {
  std::vector<std::string> row = {name,
                                  human_bytes(file.written.bytes),
                                  file.written.tensors == 0 ? "-" : grouped(file.written.tensors),
                                  "-",
                                  "-",
                                  "-"};
  for (const ManifestComponent& component : components) {
    if (std::ranges::count(file.roles, component.role) == 0) continue;
    const std::vector<std::string> cells = {printable(summary_value(component.summary, "state")),
                                            component.exporter, printable(component.source)};
    for (std::size_t i = 0; i < cells.size(); ++i) {
      std::string& cell = row[3 + i];
      cell = cell == "-" ? cells[i] : cell + ", " + cells[i];
    }
  }
  return row;
}

std::uint64_t bytes_of(const std::vector<WrittenFile>& files) {
  return std::accumulate(
      files.begin(), files.end(), std::uint64_t{0},
      [](std::uint64_t sum, const WrittenFile& file) { return sum + file.written.bytes; });
}

std::string list(std::string_view title, const std::vector<std::string>& lines) {
  if (lines.empty()) return {};
  std::string text = std::string(title) + "\n";
  for (const std::string& line : lines) text += "  " + line + "\n";
  return text;
}

std::string shared_text(const std::vector<WrittenFile>& files) {
  const std::uint64_t shared = shared_bytes(files);
  if (shared == 0) return {};
  return list("shared on the disk",
              {human_bytes(shared) + " of " + human_bytes(bytes_of(files)) + ", with the sources"});
}

// Every clause of the components, each with its role in front.
std::vector<std::string> clauses(const std::vector<ManifestComponent>& components,
                                 std::vector<std::string> ManifestComponent::*member) {
  std::vector<std::string> lines;
  for (const ManifestComponent& component : components) {
    for (const std::string& clause : component.*member) {
      lines.push_back(component.role + ": " + clause);
    }
  }
  return lines;
}

}  // namespace

std::string summary_text(const std::vector<SummaryItem>& summary) {
  Table table;
  for (const SummaryItem& item : summary) {
    table.add({printable(item.name), printable(item.value)});
  }
  return table.text();
}

std::string summary_value(const std::vector<SummaryItem>& summary, std::string_view name) {
  for (const SummaryItem& item : summary) {
    if (item.name == name) return item.value;
  }
  return "-";
}

std::string fit_text(const std::vector<FitCheck>& fit) {
  // What no other component states is in the manifest: here it would stand in every bundle whose
  // text encoder is fetched.
  const auto is_compared = [](const FitCheck& check) {
    return check.outcome != FitCheck::Outcome::unstated;
  };
  if (std::ranges::none_of(fit, is_compared)) {
    return fit.empty() ? "  no component requires anything of another\n"
                       : "  no other component states what is required\n";
  }
  Table table;
  for (const FitCheck& check : fit) {
    if (!is_compared(check)) continue;
    const bool agrees = check.outcome == FitCheck::Outcome::agrees;
    table.add({agrees ? paint(Tone::good, "fits")
                      : paint(Tone::error, std::string(to_string(check.outcome))),
               to_string(check)});
  }
  return table.text();
}

std::string loading_hint(const std::vector<ManifestComponent>& components, const Path& directory) {
  for (const ManifestComponent& component : components) {
    if (!component.load_with.empty()) return loading_code(component.load_with, directory);
  }
  return {};
}

std::string next_command(const ManifestComponent& component, const std::string& given) {
  const std::string own =
      is_as_is(component.options) ? " --for " + component.role + ":as-is=true" : std::string();
  const std::string source = shell_word(given) + own;
  if (component.role == kLanguageModelRole) {
    return "craftbundle bundle --lm " + source + " --compression SOURCE -o my_model";
  }
  if (component.role == kCompressionRole) {
    return "craftbundle bundle --lm SOURCE --compression " + source + " -o my_model";
  }
  if (component.role == kTextEncoderRole) {
    return "craftbundle bundle --lm SOURCE --compression SOURCE --text-encoder " + source +
           " -o my_model";
  }
  return "craftbundle bundle --component " + component.role + "=" + source + " -o my_model";
}

namespace {

// The lines of code that load what was written, `first` before those of the files.
std::string use_text(std::string first, const std::vector<WrittenFile>& files, const Path& place) {
  std::vector<std::string> lines;
  if (!first.empty()) lines.push_back(std::move(first));
  for (const WrittenFile& file : files) {
    if (file.use.empty()) continue;
    std::string line = loading_code(file.use, place);
    if (std::ranges::count(lines, line) == 0) lines.push_back(std::move(line));
  }
  return list("next", lines);
}

}  // namespace

std::string export_text(const ExportReport& report, const std::string& layout) {
  const ManifestComponent& component = report.component;
  const std::string target = path_text(report.target);
  const WrittenFile& first = report.files.front();
  const std::string shared = shared_text(report.files);
  const std::string checked = list("checked", clauses({component}, &ManifestComponent::checks));
  std::vector<std::string> all = clauses({component}, &ManifestComponent::warnings);
  for (const WrittenFile& file : report.files) {
    all.insert(all.end(), file.warnings.begin(), file.warnings.end());
  }
  if (report.check == ContentCheck::structure) all.push_back(unchecked_text());
  const std::string warnings = list(paint(Tone::warning, "warnings"), all);
  if (!first.use.empty() && report.files.size() == 1) {
    Table table({"file", "size", "layout", "exporter", "source"});
    table.add({target, human_bytes(first.written.bytes), layout, component.exporter,
               printable(component.source)});
    return table.text() + shared + checked + warnings + "next\n  " +
           loading_code(first.use, report.target) + "\n";
  }
  Table table = file_table();
  if (report.files.size() == 1) {
    table.add(file_row(target, first, {component}));
    return table.text() + shared + checked + warnings + "next\n  " +
           next_command(component, report.target.string()) + "\n";
  }
  for (const WrittenFile& file : report.files) table.add(file_row(file.name, file, {component}));
  const std::string use = use_text({}, report.files, report.target);
  return target + ": " + component.role + " in layout " + layout + ", " +
         human_bytes(bytes_of(report.files)) + "\n" + table.text() + shared + checked + warnings +
         (use.empty() ? "next\n  craftbundle verify " + shell_word(report.target.string()) + "\n"
                      : use);
}

namespace {

std::string bundle_text(const BundleReport& report) {
  const auto& components = report.manifest.components;
  Table table = file_table();
  for (const WrittenFile& file : report.files) {
    table.add(file_row(file.name, file, components));
  }
  std::string text = path_text(report.directory) + ": bundle of " +
                     std::to_string(components.size()) + " components, " +
                     human_bytes(bytes_of(report.files)) + "\n" + table.text();
  text += shared_text(report.files);
  text += list("checked", clauses(components, &ManifestComponent::checks));
  text += "fit\n" + fit_text(report.manifest.fit);
  std::vector<std::string> warnings = clauses(components, &ManifestComponent::warnings);
  if (report.manifest.mismatch_allowed) {
    warnings.insert(warnings.begin(), "the components do not fit; --allow-mismatch is recorded");
  }
  if (report.manifest.check == ContentCheck::structure) warnings.push_back(unchecked_text());
  warnings.insert(warnings.end(), report.warnings.begin(), report.warnings.end());
  text += list(paint(Tone::warning, "warnings"), warnings);
  const std::string use =
      use_text(loading_hint(components, report.directory), report.files, report.directory);
  if (!use.empty()) return text + use;
  const bool usual = report.manifest.layout == kDefaultLayout;
  return text + "next\n  " + (usual ? "craftbundle inspect " : "craftbundle verify ") +
         shell_word(report.directory.string()) + "\n";
}

}  // namespace

void print_bundle(const BundleReport& report, bool json, Session& session) {
  if (json) {
    session.print(json_document(bundle_json(report)));
  } else if (!session.quiet()) {
    session.print(bundle_text(report));
  }
}

}  // namespace craftbundle::app
