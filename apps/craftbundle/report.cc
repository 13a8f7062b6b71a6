#include "report.h"

#include <numeric>

#include "craftbundle/base/text.h"
#include "table.h"

namespace craftbundle::app {
namespace {

constexpr std::string_view kLoadWith = "load with";

Table file_table() { return Table({"file", "size", "tensors", "state", "exporter", "source"}); }

std::vector<std::string> file_row(const std::string& file, const ManifestComponent& component,
                                  const WriteSummary& written) {
  return {file,
          human_bytes(written.bytes),
          grouped(written.tensors),
          printable(summary_value(component.summary, "state")),
          component.exporter,
          printable(component.source)};
}

std::string list(std::string_view title, const std::vector<std::string>& lines) {
  if (lines.empty()) return {};
  std::string text = std::string(title) + "\n";
  for (const std::string& line : lines) text += "  " + line + "\n";
  return text;
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

std::string replaced(std::string text, std::string_view what, const std::string& by) {
  const std::size_t place = text.find(what);
  return place == std::string::npos ? text : text.replace(place, what.size(), by);
}

}  // namespace

std::string summary_text(const std::vector<SummaryItem>& summary) {
  Table table;
  for (const SummaryItem& item : summary) {
    if (item.name != kLoadWith) table.add({printable(item.name), printable(item.value)});
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
  if (fit.empty()) return "  no component requires anything of another\n";
  Table table;
  for (const FitCheck& check : fit) {
    const bool agrees = check.outcome == FitCheck::Outcome::agrees;
    table.add({agrees ? "fits" : std::string(to_string(check.outcome)), to_string(check)});
  }
  return table.text();
}

std::string loading_hint(const std::vector<ManifestComponent>& components, const Path& directory) {
  for (const ManifestComponent& component : components) {
    for (const SummaryItem& item : component.summary) {
      if (item.name == kLoadWith) {
        return replaced(printable(item.value), "{bundle}", path_text(directory));
      }
    }
  }
  return {};
}

std::string next_command(const ManifestComponent& component, const std::string& given) {
  const std::string source = shell_word(given);
  if (component.role == kLanguageModelRole) {
    return "craftbundle bundle --lm " + source + " --compression SOURCE -o my_model";
  }
  if (component.role == kCompressionRole) {
    return "craftbundle bundle --lm SOURCE --compression " + source + " -o my_model";
  }
  return "craftbundle bundle --component " + component.role + "=" + source + " -o my_model";
}

std::string export_text(const ManifestComponent& component, const ExportReport& report) {
  Table table = file_table();
  table.add(file_row(path_text(report.file), component, report.written));
  return table.text() + list("checked", clauses({component}, &ManifestComponent::checks)) +
         list("warnings", clauses({component}, &ManifestComponent::warnings)) + "next\n  " +
         next_command(component, report.file.string()) + "\n";
}

std::string program_text(const ManifestComponent& component, const ExportReport& report) {
  Table table({"file", "size", "layout", "exporter", "source"});
  const std::string file = path_text(report.file);
  table.add({file, human_bytes(report.written.bytes), "torchscript", component.exporter,
             printable(component.source)});
  return table.text() + list("checked", clauses({component}, &ManifestComponent::checks)) +
         "next\n  torch.jit.load('" + file + "').encode(wav)\n";
}

Json export_json(const ManifestComponent& component, const ExportReport& report) {
  Json json = component_json(component);
  json["file"] = report.file.string();
  json["size"] = report.written.bytes;
  json["tensors"] = report.written.tensors;
  return json;
}

std::string bundle_text(const BundleReport& report) {
  const auto& components = report.manifest.components;
  Table table = file_table();
  for (std::size_t i = 0; i < components.size(); ++i) {
    table.add(file_row(components[i].file, components[i], report.written[i]));
  }
  const std::uint64_t bytes = std::accumulate(
      report.written.begin(), report.written.end(), std::uint64_t{0},
      [](std::uint64_t sum, const WriteSummary& written) { return sum + written.bytes; });
  std::string text = path_text(report.directory) + ": bundle of " +
                     std::to_string(components.size()) + " components, " + human_bytes(bytes) +
                     "\n" + table.text();
  text += list("checked", clauses(components, &ManifestComponent::checks));
  text += "fit\n" + fit_text(report.manifest.fit);
  std::vector<std::string> warnings = clauses(components, &ManifestComponent::warnings);
  if (report.manifest.mismatch_allowed) {
    warnings.insert(warnings.begin(), "the components do not fit; --allow-mismatch is recorded");
  }
  text += list("warnings", warnings);
  const std::string loading = loading_hint(components, report.directory);
  return text + "next\n  " +
         (loading.empty() ? "craftbundle inspect " + shell_word(report.directory.string())
                          : loading) +
         "\n";
}

Json bundle_json(const BundleReport& report) {
  Json json;
  json["directory"] = report.directory.string();
  json["manifest"] = manifest_json(report.manifest);
  return json;
}

}  // namespace craftbundle::app
