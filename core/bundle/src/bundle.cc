#include "craftbundle/bundle/bundle.h"

#include <algorithm>

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"
#include "craftbundle/io/output_directory.h"
#include "target.h"

namespace craftbundle {
namespace {

void add_file(const Checkpoint& checkpoint, SourceFiles& files) {
  if (std::ranges::count(files, &checkpoint.file()) == 0) files.push_back(&checkpoint.file());
}

// The files whose bytes `value` is made from.
void add_source_files(const Value& value, SourceFiles& files) {
  if (const auto* tensor = value.get_if<Tensor>()) {
    add_file(*tensor->storage.checkpoint, files);
  } else if (const auto* computed = value.get_if<ComputedTensor>()) {
    for (const Storage& storage : computed->elements->sources()) {
      add_file(*storage.checkpoint, files);
    }
  } else if (const auto* list = value.get_if<Value::List>()) {
    for (const Value& item : *list) add_source_files(item, files);
  } else if (const auto* dict = value.get_if<Value::Dict>()) {
    for (const auto& [key, item] : *dict) add_source_files(item, files);
  }
}

void add_source_files(const PreparedComponent& component, SourceFiles& files) {
  const Source& source = component.source;
  if (source.kind() == AcceptedSource::Kind::checkpoint) add_file(source.checkpoint(), files);
  add_source_files(component.component.package, files);
}

// Roles become file names.
bool is_role(std::string_view role) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789_-";
  return !role.empty() && role.front() >= 'a' && role.front() <= 'z' &&
         role.find_first_not_of(kAllowed) == std::string_view::npos;
}

void check_roles(const std::vector<PreparedComponent>& components) {
  if (components.empty()) {
    throw Error(ErrorKind::usage, "bundle.empty", "a bundle needs at least one component");
  }
  std::vector<std::string> seen;
  for (const PreparedComponent& prepared : components) {
    const std::string& role = prepared.component.role;
    if (!is_role(role)) {
      throw Error(ErrorKind::plugin, "bundle.role",
                  "exporter " + quoted(prepared.exporter.name) + " made a component of the role " +
                      quoted(role) + ", expected a lower-case word");
    }
    if (std::find(seen.begin(), seen.end(), role) != seen.end()) {
      throw Error(ErrorKind::usage, "bundle.role", "two components have the role " + quoted(role),
                  "give each role one source");
    }
    seen.push_back(role);
  }
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : "; ") + part;
  return text;
}

WriteSummary write(const PreparedComponent& prepared, OutputFile& file, std::string task,
                   const PublishOptions& options) {
  return write_package(prepared.component.package, file,
                       {std::move(task), options.sink, options.cancellation});
}

// Writes a file with `fill`, which is given its name; it appears at `target` complete.
template <typename Fill>
void publish_file(const PreparedComponent& component, const Path& target,
                  const PublishOptions& options, Fill&& fill) {
  const Place place = place_of(target);
  if (target.string().back() == '/') {
    throw Error(ErrorKind::usage, "target.directory",
                quoted_path(place.given) + " names a directory, a component is a file",
                "name a file in it");
  }
  SourceFiles sources;
  add_source_files(component, sources);
  check_file_target(place, sources, options.force, audiocraft_layout().files.front().file);
  ParentDirectories parents(place, options.durability);
  OutputFile file(place.parent, options.durability);
  fill(file, place.name);
  options.cancellation->check();
  file.publish(place.path(), options.force);
  parents.keep();
}

// Files by their names: where they lie decides nothing.
std::vector<OptionValue> recorded_options(const PreparedComponent& prepared) {
  std::vector<OptionValue> options = prepared.options;
  for (OptionValue& option : options) {
    for (const OptionSpec& spec : prepared.exporter.options) {
      if (spec.name != option.name || spec.type != OptionSpec::Type::files) continue;
      std::string names;
      for (const Path& file : files_of(option.value)) {
        names += (names.empty() ? "" : ",") + file.filename().string();
      }
      option.value = names;
    }
  }
  return options;
}

}  // namespace

std::optional<Error> find_misfit(const Manifest& manifest) {
  std::vector<std::string> differing;
  for (const FitCheck& check : manifest.fit) {
    if (check.outcome == FitCheck::Outcome::differs) differing.push_back(to_string(check));
  }
  if (!differing.empty()) {
    return Error(ErrorKind::mismatch, "bundle.mismatch",
                 "the components do not fit: " + joined(differing),
                 "choose components that belong together, or pass --allow-mismatch");
  }
  for (const ManifestComponent& component : manifest.components) {
    std::vector<std::string> unstated;
    bool compared = false;
    for (const FitCheck& check : manifest.fit) {
      if (check.required_by != component.role) continue;
      compared = compared || check.outcome != FitCheck::Outcome::unstated;
      if (std::find(unstated.begin(), unstated.end(), check.name) == unstated.end()) {
        unstated.push_back(check.name);
      }
    }
    if (!compared && !unstated.empty()) {
      return Error(ErrorKind::mismatch, "bundle.unchecked",
                   "whether the components fit cannot be told: " + component.role + " needs " +
                       list_text(unstated) + ", no other component states any of it",
                   "add the missing component, or pass --allow-mismatch");
    }
  }
  return std::nullopt;
}

ManifestComponent describe_component(const PreparedComponent& prepared) {
  const Component& component = prepared.component;
  const Source& source = prepared.source;
  const bool is_file = source.kind() == AcceptedSource::Kind::checkpoint;
  ManifestComponent entry;
  entry.role = component.role;
  entry.file = audiocraft_layout().file_for(component.role);
  entry.source = is_file ? source.checkpoint().file().path().filename().string() : source.name();
  entry.source_kind = to_string(source.kind());
  entry.exporter = prepared.exporter.name;
  entry.exporter_revision = prepared.exporter.revision;
  entry.exporter_version = prepared.plugin_version;
  entry.options = recorded_options(prepared);
  entry.summary = component.summary;
  entry.provides = component.provides;
  entry.requires_ = component.requires_;
  entry.checks = component.checks;
  entry.warnings = component.warnings;
  return entry;
}

Manifest describe_bundle(const std::vector<PreparedComponent>& components) {
  Manifest manifest;
  manifest.layout = audiocraft_layout().name;
  manifest.producer = "craftbundle " CRAFTBUNDLE_VERSION;
  std::vector<StatedFacts> facts;
  for (const PreparedComponent& prepared : components) {
    manifest.components.push_back(describe_component(prepared));
    const Component& component = prepared.component;
    facts.push_back({component.role, component.provides, component.requires_});
  }
  manifest.fit = check_fit(facts);
  return manifest;
}

ExportReport write_component(const PreparedComponent& component, const Path& target,
                             const PublishOptions& options) {
  ExportReport report{target, {}};
  publish_file(component, target, options, [&](OutputFile& file, const std::string& name) {
    file.reserve(package_size(component.component.package));
    report.written = write(component, file, name, options);
  });
  return report;
}

ExportReport write_program(const PreparedComponent& component, const Host& host, const Path& target,
                           const PublishOptions& options) {
  ExportReport report{target, {}};
  publish_file(component, target, options, [&](OutputFile& file, const std::string&) {
    host.load_codec(component)->save(file);
    report.written.bytes = file.size();
  });
  return report;
}

BundleReport write_bundle(const std::vector<PreparedComponent>& components, const Path& target,
                          const BundleOptions& options) {
  check_roles(components);
  BundleReport report{target, describe_bundle(components), {}};
  if (const auto error = find_misfit(report.manifest)) {
    if (!options.allow_mismatch) throw *error;
    report.manifest.mismatch_allowed = true;
  }

  const Place place = place_of(target);
  SourceFiles sources;
  for (const PreparedComponent& component : components) add_source_files(component, sources);
  const auto check_target = [&] {
    return check_bundle_target(place, sources, options.force, options.disposable);
  };
  check_target();
  OutputDirectory out(place, options.durability, *options.sink, [&](const Path& directory) {
    return files_of_bundle(directory, options.disposable);
  });
  // Once more: only with the lock is what lies there what will be replaced.
  const bool replace = check_target();

  // The manifest is written last, but named first: it says which files are the bundle's.
  OutputFile& manifest = out.create(std::string(kManifestFile));
  std::vector<OutputFile*> files;
  for (std::size_t i = 0; i < components.size(); ++i) {
    files.push_back(&out.create(report.manifest.components[i].file));
    files.back()->hash_contents();
    files.back()->reserve(package_size(components[i].component.package));
  }
  for (std::size_t i = 0; i < components.size(); ++i) {
    ManifestComponent& entry = report.manifest.components[i];
    report.written.push_back(write(components[i], *files[i], entry.file, options));
    entry.size = files[i]->size();
    entry.sha256 = files[i]->sha256();
  }
  manifest.write(to_json(report.manifest));
  options.cancellation->check();
  out.publish(replace);
  return report;
}

}  // namespace craftbundle
