#include <algorithm>
#include <optional>

#include "craftbundle/base/text.h"
#include "craftbundle/bundle/verify.h"
#include "craftbundle/io/input_file.h"
#include "inspect.h"
#include "report.h"
#include "table.h"

namespace craftbundle::app {
namespace {

struct SizedFile {
  ComponentFile component;
  std::uint64_t size = 0;
};

struct Findings {
  Path directory;
  std::optional<Manifest> manifest;  // as read
  std::vector<SizedFile> files;
  Manifest described;  // of what is really there
  std::vector<std::string> problems;
};

// Of the last file, with what the manifest says.
void compare_size(Findings& findings) {
  if (!findings.manifest) return;
  const SizedFile& file = findings.files.back();
  for (const ManifestComponent& stated : findings.manifest->components) {
    if (stated.file != file.component.file || stated.size == file.size) continue;
    findings.problems.push_back(stated.file + " has " + grouped(file.size) +
                                " bytes, the manifest says " + grouped(stated.size));
  }
}

Findings find_out(const Path& directory, const Host& host) {
  Findings findings;
  findings.directory = directory;
  findings.manifest = read_manifest(directory);
  std::vector<PreparedComponent> components;
  for (const ComponentFile& file : component_files(directory, findings.manifest)) {
    const std::string path = (directory / file.file).string();
    components.push_back(
        host.prepare({Source::of_checkpoint(path, host.open(path)), file.role, std::nullopt, {}}));
    findings.files.push_back({file, InputFile(path).size()});
    compare_size(findings);
  }
  findings.described = describe_bundle(components);
  for (const FitCheck& check : findings.described.fit) {
    if (check.outcome == FitCheck::Outcome::differs) {
      findings.problems.push_back("does not fit: " + to_string(check));
    }
  }
  return findings;
}

std::string manifest_text(const Findings& findings) {
  if (!findings.manifest) {
    return "  no " + std::string(kManifestFile) +
           ": not written by craftbundle, nothing to compare\n";
  }
  const Manifest& manifest = *findings.manifest;
  std::string text =
      "  " + std::string(kManifestFile) + " by " + printable(manifest.producer) + "\n";
  Table table({"role", "made from", "exporter", "revision", "sha256"});
  for (const ManifestComponent& component : manifest.components) {
    table.add({printable(component.role), printable(component.source),
               printable(component.exporter), std::to_string(component.exporter_revision),
               printable(component.sha256)});
  }
  text += table.text();
  if (manifest.mismatch_allowed) text += "  was written with --allow-mismatch\n";
  return text;
}

std::string to_text(const Findings& findings) {
  Table files({"file", "role", "size"});
  for (const SizedFile& file : findings.files) {
    files.add(
        {printable(file.component.file), printable(file.component.role), human_bytes(file.size)});
  }
  std::string text = path_text(findings.directory) + ": bundle of " +
                     std::to_string(findings.files.size()) + " components\n" + files.text();
  for (const ManifestComponent& component : findings.described.components) {
    text += component.role + "\n" + summary_text(component.summary);
    for (const std::string& warning : component.warnings) text += "  warning: " + warning + "\n";
  }
  text += "fit\n" + fit_text(findings.described.fit) + "manifest\n" + manifest_text(findings);
  if (!findings.problems.empty()) text += "problems\n";
  for (const std::string& problem : findings.problems) text += "  " + problem + "\n";
  const std::string loading = loading_hint(findings.described.components, findings.directory);
  if (!loading.empty()) text += "next\n  " + loading + "\n";
  return text;
}

Json to_json(const Findings& findings) {
  Json json;
  json["directory"] = findings.directory.string();
  json["files"] = Json::array();
  for (const SizedFile& file : findings.files) {
    json["files"].push_back(
        {{"file", file.component.file}, {"role", file.component.role}, {"size", file.size}});
  }
  const Json described = manifest_json(findings.described);
  json["components"] = described["components"];
  json["fit"] = described["fit"];
  json["manifest"] = findings.manifest ? manifest_json(*findings.manifest) : Json();
  json["problems"] = findings.problems;
  return json;
}

}  // namespace

Json bundle_findings(const Path& directory, const Host& host) {
  return to_json(find_out(directory, host));
}

int inspect_bundle(const InspectArguments& arguments, Session& session) {
  const Findings findings = find_out(arguments.source, session.host());
  session.print(arguments.json ? dump_pretty(to_json(findings)) : to_text(findings));
  return findings.problems.empty() ? kExitDone : kExitMismatch;
}

}  // namespace craftbundle::app
