#include "craftbundle/detail/bundle/manifest.h"

#include <algorithm>
#include <boost/filesystem.hpp>
#include <cmath>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/json.h"
#include "craftbundle/detail/io/input_file.h"

namespace craftbundle {
namespace {

constexpr std::string_view kGroup = "manifest";
constexpr std::string_view kStructure = "structure";
constexpr std::uint64_t kManifestBytes = 16U << 20;

Json value_json(const FactValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  // JSON has no NaN or infinity.
  if (const auto* real = std::get_if<double>(&value); real && std::isfinite(*real)) return *real;
  return to_string(value);
}

Json fact_json(const FitFact& fact) {
  return {{"name", fact.name}, {"value", value_json(fact.value)}, {"origin", fact.origin}};
}

Json read_json(const ManifestRead& file) {
  Json json = {{"name", file.name}, {"size", file.size}};
  if (!file.sha256.empty()) json["sha256"] = file.sha256;
  return json;
}

Json file_json(const ManifestFile& file) {
  Json json = {{"name", file.name}, {"size", file.size}};
  if (!file.sha256.empty()) json["sha256"] = file.sha256;
  json["roles"] = file.roles;
  return json;
}

Json check_json(const FitCheck& check) {
  Json json;
  json["name"] = check.name;
  json["outcome"] = to_string(check.outcome);
  json["required_by"] = check.required_by;
  json["required"] = fact_json(check.required);
  if (check.outcome != FitCheck::Outcome::unstated) {
    json["provided_by"] = check.provided_by;
    json["provided"] = fact_json(check.provided);
  }
  return json;
}

FactValue fact_value_from(const JsonReader& reader) {
  const Json& value = reader.value("value");
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return value.get<double>();
  if (!value.is_number()) {
    reader.refuse("type", reader.place("value") + " is neither a number nor text");
  }
  return reader.integer("value");
}

FitFact fact_from(const JsonReader& reader) {
  return {reader.text("name"), fact_value_from(reader), reader.text("origin")};
}

// The manifest's file names are joined to its directory, so they must stay in it.
std::string file_name_from(const JsonReader& reader, const char* key) {
  std::string name = reader.text(key);
  if (!is_relative_name(name)) {
    reader.refuse("file", reader.place(key) + " is no file name: " + craftbundle::quoted(name));
  }
  return name;
}

std::string digest_from(const JsonReader& reader) {
  return reader.has("sha256") ? reader.text("sha256") : std::string();
}

ManifestFile file_from(const JsonReader& reader, ContentCheck check) {
  return {file_name_from(reader, "name"), reader.size("size"),
          check == ContentCheck::crc ? reader.text("sha256") : digest_from(reader),
          reader.texts("roles")};
}

ManifestComponent component_from(const JsonReader& reader) {
  ManifestComponent component;
  component.role = reader.text("role");
  component.source = reader.text("source");
  component.source_kind = reader.text("source_kind");
  component.exporter = reader.text("exporter");
  component.exporter_revision = reader.small_integer("exporter_revision");
  component.exporter_version = reader.text("exporter_version");
  component.options = reader.list("options", named_from<OptionValue>);
  component.summary = reader.list("summary", named_from<SummaryItem>);
  component.provides = reader.list("provides", fact_from);
  component.requires_ = reader.list("requires", fact_from);
  component.checks = reader.texts("checks");
  component.warnings = reader.texts("warnings");
  return component;
}

ManifestRead read_from(const JsonReader& reader) {
  return {reader.text("name"), reader.size("size"), digest_from(reader)};
}

ManifestComponent component_of_2(const JsonReader& reader) {
  ManifestComponent component = component_from(reader);
  component.load_with = reader.text("load_with");
  if (reader.has("files_read")) component.files_read = reader.list("files_read", read_from);
  return component;
}

// How to load the bundle was an item of the summary.
ManifestComponent component_of_1(const JsonReader& reader) {
  ManifestComponent component = component_from(reader);
  std::erase_if(component.summary, [&](const SummaryItem& item) {
    if (item.name != "load with") return false;
    component.load_with = item.value;
    return true;
  });
  return component;
}

ManifestFile file_of_1(const JsonReader& reader) {
  return {file_name_from(reader, "file"),
          reader.size("size"),
          reader.text("sha256"),
          {reader.text("role")}};
}

FitCheck::Outcome outcome_from(const JsonReader& reader) {
  const std::string text = reader.text("outcome");
  for (const auto outcome :
       {FitCheck::Outcome::agrees, FitCheck::Outcome::differs, FitCheck::Outcome::unstated}) {
    if (text == to_string(outcome)) return outcome;
  }
  reader.refuse("type", reader.place("outcome") + " is " + craftbundle::quoted(text) +
                            ", expected agrees, differs or unstated");
}

ContentCheck check_depth_from(const JsonReader& reader) {
  const std::string text = reader.text("check");
  if (text == kStructure) return ContentCheck::structure;
  if (text == "crc") return ContentCheck::crc;
  reader.refuse("type", reader.place("check") + " is " + craftbundle::quoted(text) +
                            ", expected crc or structure");
}

FitCheck check_from(const JsonReader& reader) {
  FitCheck check;
  check.name = reader.text("name");
  check.outcome = outcome_from(reader);
  check.required_by = reader.text("required_by");
  check.required = fact_from(reader.object("required"));
  if (check.outcome != FitCheck::Outcome::unstated) {
    check.provided_by = reader.text("provided_by");
    check.provided = fact_from(reader.object("provided"));
  }
  return check;
}

}  // namespace

std::string digest_text(const ManifestFile& file) {
  return file.sha256.empty() ? "not computed" : printable(file.sha256);
}

std::string unchecked_text() {
  return "was made with --check structure: the contents of its sources were not checked";
}

Json component_json(const ManifestComponent& component) {
  Json json;
  json["role"] = component.role;
  json["source"] = component.source;
  json["source_kind"] = component.source_kind;
  json["files_read"] = json_list(component.files_read, read_json);
  json["exporter"] = component.exporter;
  json["exporter_revision"] = component.exporter_revision;
  json["exporter_version"] = component.exporter_version;
  json["options"] = json_list(component.options, named_json<OptionValue>);
  json["summary"] = json_list(component.summary, named_json<SummaryItem>);
  json["provides"] = json_list(component.provides, fact_json);
  json["requires"] = json_list(component.requires_, fact_json);
  json["checks"] = component.checks;
  json["warnings"] = component.warnings;
  json["load_with"] = component.load_with;
  return json;
}

Json fit_json(const std::vector<FitCheck>& fit) { return json_list(fit, check_json); }

Json manifest_json(const Manifest& manifest) {
  Json json;
  json["format_version"] = kManifestVersion;
  json["layout"] = manifest.layout;
  json["layout_revision"] = manifest.layout_revision;
  json["layout_options"] = json_list(manifest.layout_options, named_json<OptionValue>);
  json["producer"] = manifest.producer;
  json["files"] = json_list(manifest.files, file_json);
  json["components"] = json_list(manifest.components, component_json);
  json["fit"] = fit_json(manifest.fit);
  json["mismatch_allowed"] = manifest.mismatch_allowed;
  if (manifest.check == ContentCheck::structure) json["check"] = kStructure;
  return json;
}

// File names need not be UTF-8, JSON must be.
std::string to_json(const Manifest& manifest) { return json_document(manifest_json(manifest)); }

Manifest manifest_from(const JsonReader& reader) {
  Manifest manifest;
  manifest.format_version = reader.small_integer("format_version");
  if (manifest.format_version < 1 || manifest.format_version > kManifestVersion) {
    throw Error(ErrorKind::input, "manifest.version",
                "format_version is " + std::to_string(manifest.format_version) +
                    ", this program reads up to " + std::to_string(kManifestVersion),
                "use a newer craftbundle");
  }
  if (reader.has("check")) manifest.check = check_depth_from(reader);
  manifest.layout = reader.text("layout");
  manifest.producer = reader.text("producer");
  if (manifest.format_version == 1) {
    manifest.files = reader.list("components", file_of_1);
    manifest.components = reader.list("components", component_of_1);
  } else {
    manifest.layout_revision = reader.small_integer("layout_revision");
    manifest.layout_options = reader.list("layout_options", named_from<OptionValue>);
    manifest.files = reader.list(
        "files", [&](const JsonReader& file) { return file_from(file, manifest.check); });
    manifest.components = reader.list("components", component_of_2);
  }
  manifest.fit = reader.list("fit", check_from);
  manifest.mismatch_allowed = reader.boolean("mismatch_allowed");
  return manifest;
}

Manifest parse_manifest(std::string_view text) {
  const Json json = parse_json(text, kGroup);
  return manifest_from(JsonReader(json, kGroup));
}

const ManifestFile* file_of(const Manifest& manifest, std::string_view role) {
  for (const ManifestFile& file : manifest.files) {
    if (std::ranges::count(file.roles, role) != 0) return &file;
  }
  return nullptr;
}

std::vector<OptionValue> reading_options(const std::optional<Manifest>& manifest,
                                         std::string_view role) {
  std::vector<OptionValue> options;
  if (!manifest) return options;
  for (const ManifestComponent& component : manifest->components) {
    if (component.role != role) continue;
    std::ranges::copy_if(component.options, std::back_inserter(options),
                         [](const OptionValue& option) {
                           return option.name == kAsIsOption && option.value == "true";
                         });
  }
  return options;
}

std::optional<Manifest> read_manifest(const Path& directory) {
  const Path path = directory / std::string(kManifestFile);
  boost::system::error_code ignored;
  if (!boost::filesystem::exists(boost::filesystem::symlink_status(path, ignored))) {
    return std::nullopt;
  }
  const InputFile file(path);
  return with_context(
      [&] { return path_text(path); },
      [&] {
        if (file.size() > kManifestBytes) {
          throw Error(ErrorKind::input, "manifest.size",
                      human_bytes(file.size()) + " are too much for a manifest");
        }
        return parse_manifest(file.read_text(0, static_cast<std::size_t>(file.size())));
      });
}

}  // namespace craftbundle
