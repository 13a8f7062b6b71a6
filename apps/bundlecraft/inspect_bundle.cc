#include <algorithm>
#include <boost/filesystem.hpp>
#include <optional>

#include "bundlecraft/base/text.h"
#include "bundlecraft/io/input_file.h"
#include "inspect.h"
#include "report.h"
#include "table.h"

namespace bundlecraft::app {
namespace {

namespace fs = boost::filesystem;

struct ComponentFile {
  std::string role;
  std::string file;
  std::uint64_t size = 0;
  std::optional<std::uint64_t> stated_size;  // by the manifest
};

struct Findings {
  Path directory;
  std::optional<Manifest> manifest;  // as read
  std::vector<ComponentFile> files;
  Manifest described;  // of what is really there
  std::vector<std::string> problems;
};

std::vector<ComponentFile> find_components(const Path& directory,
                                           const std::optional<Manifest>& manifest) {
  std::vector<ComponentFile> files;
  const auto add = [&](const std::string& role, const std::string& file,
                       std::optional<std::uint64_t> stated) {
    files.push_back({role, file, InputFile(directory / file).size(), stated});
  };
  if (manifest) {
    for (const ManifestComponent& component : manifest->components) {
      add(component.role, component.file, component.size);
    }
    return files;
  }
  boost::system::error_code ignored;
  for (const Layout::File& file : audiocraft_layout().files) {
    if (fs::exists(directory / file.file, ignored)) add(file.role, file.file, std::nullopt);
  }
  if (files.empty()) {
    throw Error(ErrorKind::input, "bundle.none",
                path_text(directory) + ": no bundle: neither " + std::string(kManifestFile) +
                    " nor " + audiocraft_layout().files[0].file + " nor " +
                    audiocraft_layout().files[1].file + " nor checkpoint.th is there",
                "name the directory of a bundle, or a checkpoint file");
  }
  return files;
}

Findings find_out(const InspectArguments& arguments, Session& session) {
  Findings findings;
  findings.directory = arguments.source;
  findings.manifest = read_manifest(findings.directory);
  findings.files = find_components(findings.directory, findings.manifest);
  std::vector<PreparedComponent> components;
  for (const ComponentFile& file : findings.files) {
    const std::string path = (findings.directory / file.file).string();
    components.push_back(session.host().prepare(
        {Source::of_checkpoint(path, session.host().open(path)), file.role, std::nullopt, {}}));
    if (file.stated_size && *file.stated_size != file.size) {
      findings.problems.push_back(file.file + " has " + grouped(file.size) +
                                  " bytes, the manifest says " + grouped(*file.stated_size));
    }
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
           ": not written by bundlecraft, nothing to compare\n";
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
  for (const ComponentFile& file : findings.files) {
    files.add({printable(file.file), printable(file.role), human_bytes(file.size)});
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
  for (const ComponentFile& file : findings.files) {
    json["files"].push_back({{"file", file.file}, {"role", file.role}, {"size", file.size}});
  }
  const Json described = manifest_json(findings.described);
  json["components"] = described["components"];
  json["fit"] = described["fit"];
  json["manifest"] = findings.manifest ? manifest_json(*findings.manifest) : Json();
  json["problems"] = findings.problems;
  return json;
}

}  // namespace

int inspect_bundle(const InspectArguments& arguments, Session& session) {
  const Findings findings = find_out(arguments, session);
  session.print(arguments.json ? dump_pretty(to_json(findings)) : to_text(findings));
  return findings.problems.empty() ? kExitDone : kExitMismatch;
}

}  // namespace bundlecraft::app
