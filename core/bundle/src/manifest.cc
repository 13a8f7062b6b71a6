#include "craftbundle/bundle/manifest.h"

#include <algorithm>
#include <boost/filesystem.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"
#include "craftbundle/io/input_file.h"

namespace craftbundle {
namespace {

using Json = nlohmann::ordered_json;

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

template <typename Items, typename Convert>
Json array_json(const Items& items, Convert convert) {
  Json array = Json::array();
  for (const auto& item : items) array.push_back(convert(item));
  return array;
}

// OptionValue and SummaryItem.
template <typename Item>
Json named_json(const Item& item) {
  return {{"name", item.name}, {"value", item.value}};
}

Json read_json(const ManifestRead& file) {
  Json json = {{"name", file.name}, {"size", file.size}};
  if (!file.sha256.empty()) json["sha256"] = file.sha256;
  return json;
}

Json component_json(const ManifestComponent& component) {
  Json json;
  json["role"] = component.role;
  json["source"] = component.source;
  json["source_kind"] = component.source_kind;
  json["files_read"] = array_json(component.files_read, read_json);
  json["exporter"] = component.exporter;
  json["exporter_revision"] = component.exporter_revision;
  json["exporter_version"] = component.exporter_version;
  json["options"] = array_json(component.options, named_json<OptionValue>);
  json["summary"] = array_json(component.summary, named_json<SummaryItem>);
  json["provides"] = array_json(component.provides, fact_json);
  json["requires"] = array_json(component.requires_, fact_json);
  json["checks"] = component.checks;
  json["warnings"] = component.warnings;
  json["load_with"] = component.load_with;
  return json;
}

Json file_json(const ManifestFile& file) {
  return {{"name", file.name}, {"size", file.size}, {"sha256", file.sha256}, {"roles", file.roles}};
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

[[noreturn]] void refuse(std::string_view code, std::string message, std::string hint = {}) {
  throw Error(ErrorKind::input, code, std::move(message), std::move(hint));
}

// A JSON object whose members must be there and have the right type. `where` is its place in the
// file, for messages.
class Reader {
 public:
  Reader(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json.is_object()) refuse("manifest.type", where_ + " is no object");
  }

  std::string text(const char* key) const {
    return member(key, &Json::is_string, "text").get<std::string>();
  }
  std::string text_if_there(const char* key) const {
    return json_.contains(key) ? text(key) : std::string();
  }
  std::uint64_t size(const char* key) const {
    return member(key, &Json::is_number_unsigned, "a size").get<std::uint64_t>();
  }
  int small_integer(const char* key) const {
    const std::uint64_t value = size(key);
    if (value > 1'000'000) refuse("manifest.type", place(key) + " is out of range");
    return static_cast<int>(value);
  }
  bool boolean(const char* key) const {
    return member(key, &Json::is_boolean, "true or false").get<bool>();
  }
  Reader object(const char* key) const {
    return {member(key, &Json::is_object, "an object"), place(key)};
  }
  FactValue fact_value(const char* key) const {
    const Json& value = find(key);
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number_float()) return value.get<double>();
    // A whole number beyond 63 bits is none of ours.
    if (value.is_number_integer() &&
        (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX)) {
      return value.get<std::int64_t>();
    }
    refuse("manifest.type", place(key) + " is neither a number nor text");
  }

  template <typename Convert>
  auto list(const char* key, Convert convert) const {
    const Json& array = member(key, &Json::is_array, "a list");
    std::vector<decltype(convert(std::declval<Reader>()))> items;
    for (std::size_t i = 0; i < array.size(); ++i) {
      items.push_back(convert(Reader(array[i], place(key) + "[" + std::to_string(i) + "]")));
    }
    return items;
  }
  std::vector<std::string> texts(const char* key) const {
    std::vector<std::string> items;
    for (const Json& item : member(key, &Json::is_array, "a list")) {
      if (!item.is_string())
        refuse("manifest.type", place(key) + " holds something else than text");
      items.push_back(item.get<std::string>());
    }
    return items;
  }

  std::string place(const char* key) const { return where_.empty() ? key : where_ + "." + key; }

 private:
  const Json& find(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end()) refuse("manifest.missing", place(key) + " is missing");
    return *found;
  }
  const Json& member(const char* key, bool (Json::*is)() const noexcept, const char* what) const {
    const Json& value = find(key);
    if (!(value.*is)()) refuse("manifest.type", place(key) + " is not " + what);
    return value;
  }

  const Json& json_;
  std::string where_;
};

OptionValue option_from(const Reader& reader) {
  return {reader.text("name"), reader.text("value")};
}

SummaryItem summary_from(const Reader& reader) {
  return {reader.text("name"), reader.text("value")};
}

FitFact fact_from(const Reader& reader) {
  return {reader.text("name"), reader.fact_value("value"), reader.text("origin")};
}

// The manifest's file names are joined to its directory, so they must stay in it.
std::string file_name_from(const Reader& reader, const char* key) {
  std::string name = reader.text(key);
  if (!is_relative_name(name)) {
    refuse("manifest.file", reader.place(key) + " is no file name: " + craftbundle::quoted(name));
  }
  return name;
}

ManifestFile file_from(const Reader& reader) {
  return {file_name_from(reader, "name"), reader.size("size"), reader.text("sha256"),
          reader.texts("roles")};
}

ManifestComponent component_from(const Reader& reader) {
  ManifestComponent component;
  component.role = reader.text("role");
  component.source = reader.text("source");
  component.source_kind = reader.text("source_kind");
  component.exporter = reader.text("exporter");
  component.exporter_revision = reader.small_integer("exporter_revision");
  component.exporter_version = reader.text("exporter_version");
  component.options = reader.list("options", option_from);
  component.summary = reader.list("summary", summary_from);
  component.provides = reader.list("provides", fact_from);
  component.requires_ = reader.list("requires", fact_from);
  component.checks = reader.texts("checks");
  component.warnings = reader.texts("warnings");
  return component;
}

ManifestRead read_from(const Reader& reader) {
  return {reader.text("name"), reader.size("size"), reader.text_if_there("sha256")};
}

ManifestComponent component_of_2(const Reader& reader) {
  ManifestComponent component = component_from(reader);
  component.load_with = reader.text("load_with");
  component.files_read = reader.list("files_read", read_from);
  return component;
}

// How to load the bundle was an item of the summary.
ManifestComponent component_of_1(const Reader& reader) {
  ManifestComponent component = component_from(reader);
  std::erase_if(component.summary, [&](const SummaryItem& item) {
    if (item.name != "load with") return false;
    component.load_with = item.value;
    return true;
  });
  return component;
}

ManifestFile file_of_1(const Reader& reader) {
  return {file_name_from(reader, "file"),
          reader.size("size"),
          reader.text("sha256"),
          {reader.text("role")}};
}

FitCheck::Outcome outcome_from(const Reader& reader) {
  const std::string text = reader.text("outcome");
  for (const auto outcome :
       {FitCheck::Outcome::agrees, FitCheck::Outcome::differs, FitCheck::Outcome::unstated}) {
    if (text == to_string(outcome)) return outcome;
  }
  refuse("manifest.type", reader.place("outcome") + " is " + craftbundle::quoted(text) +
                              ", expected agrees, differs or unstated");
}

FitCheck check_from(const Reader& reader) {
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

Json parse_json(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    refuse("manifest.syntax", "no JSON: byte " + std::to_string(error.byte));
  }
}

}  // namespace

std::string to_json(const Manifest& manifest) {
  Json json;
  json["format_version"] = kManifestVersion;
  json["layout"] = manifest.layout;
  json["layout_revision"] = manifest.layout_revision;
  json["layout_options"] = array_json(manifest.layout_options, named_json<OptionValue>);
  json["producer"] = manifest.producer;
  json["files"] = array_json(manifest.files, file_json);
  json["components"] = array_json(manifest.components, component_json);
  json["fit"] = array_json(manifest.fit, check_json);
  json["mismatch_allowed"] = manifest.mismatch_allowed;
  // File names need not be UTF-8, JSON must be.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Manifest parse_manifest(std::string_view text) {
  const Json json = parse_json(text);
  const Reader reader(json, "");
  Manifest manifest;
  manifest.format_version = reader.small_integer("format_version");
  if (manifest.format_version < 1 || manifest.format_version > kManifestVersion) {
    refuse("manifest.version",
           "format_version is " + std::to_string(manifest.format_version) +
               ", this program reads up to " + std::to_string(kManifestVersion),
           "use a newer craftbundle");
  }
  manifest.layout = reader.text("layout");
  manifest.producer = reader.text("producer");
  if (manifest.format_version == 1) {
    manifest.files = reader.list("components", file_of_1);
    manifest.components = reader.list("components", component_of_1);
  } else {
    manifest.layout_revision = reader.small_integer("layout_revision");
    manifest.layout_options = reader.list("layout_options", option_from);
    manifest.files = reader.list("files", file_from);
    manifest.components = reader.list("components", component_of_2);
  }
  manifest.fit = reader.list("fit", check_from);
  manifest.mismatch_allowed = reader.boolean("mismatch_allowed");
  return manifest;
}

const ManifestFile* file_of(const Manifest& manifest, std::string_view role) {
  for (const ManifestFile& file : manifest.files) {
    if (std::ranges::count(file.roles, role) != 0) return &file;
  }
  return nullptr;
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
          refuse("manifest.size", human_bytes(file.size()) + " are too much for a manifest");
        }
        return parse_manifest(file.read_text(0, static_cast<std::size_t>(file.size())));
      });
}

}  // namespace craftbundle
