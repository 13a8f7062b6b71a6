#include <algorithm>
#include <optional>

#include "craftbundle/base/text.h"
#include "craftbundle/bundle/bundle.h"
#include "craftbundle/bundle/read.h"
#include "craftbundle/io/input_file.h"
#include "inspect.h"
#include "report.h"
#include "table.h"

namespace craftbundle::app {
namespace {

struct SizedFile {
  BundleListing::Entry component;
  std::uint64_t size = 0;
};

struct Findings {
  Path directory;
  std::optional<Manifest> manifest;  // as read
  std::string layout;
  std::vector<SizedFile> files;
  Manifest described;  // of what is really there
  std::vector<std::string> problems;
};

// Of the last file, with what the manifest says.
void compare_size(Findings& findings) {
  if (!findings.manifest) return;
  const SizedFile& file = findings.files.back();
  for (const ManifestFile& stated : findings.manifest->files) {
    if (stated.name != file.component.file || stated.size == file.size) continue;
    findings.problems.push_back(stated.name + " has " + grouped(file.size) +
                                " bytes, the manifest says " + grouped(stated.size));
  }
}

Findings find_out(const Path& directory, const Host& host) {
  Findings findings;
  findings.directory = directory;
  findings.manifest = read_manifest(directory);
  const BundleListing bundle = list_bundle(directory, findings.manifest, host);
  findings.layout = bundle.layout.name;
  std::vector<PreparedComponent> components;
  for (const BundleListing::Entry& entry : bundle.entries) {
    const RoleSource found = find_source(bundle, entry.role, host);
    components.push_back(prepare_component({found.source, entry.role, {}, {}, {}}, host));
    findings.files.push_back({entry, InputFile(directory / entry.file).size()});
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
    const ManifestFile* file = file_of(manifest, component.role);
    table.add({printable(component.role), printable(component.source),
               printable(component.exporter), std::to_string(component.exporter_revision),
               file == nullptr ? "-" : printable(file->sha256)});
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
  // How an exporter's model is loaded holds for the layout that is the usual one.
  if (!loading.empty() && findings.layout == kDefaultLayout) text += "next\n  " + loading + "\n";
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
