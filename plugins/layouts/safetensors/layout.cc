#include "layout.h"

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <unordered_map>
#include <utility>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/safetensors.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/layout_json.h"

namespace craftbundle::safetensors {
namespace {

using layout_json::Json;

constexpr std::string_view kTensors = ".safetensors";
constexpr std::string_view kYaml = ".yaml";
constexpr std::string_view kJson = ".json";
// Configurations of trainings have some kilobytes; this is for everything.
constexpr std::uint64_t kMaxTextBytes = 16U << 20;

// Keys of the metadata. "format" is what other readers ask for, "pt" what most of them take.
constexpr const char* kFormatKey = "format";
constexpr const char* kFamilyKey = "craftbundle.family";
constexpr const char* kOrderKey = "craftbundle.order";  // names of the tensors, one a line
constexpr const char* kExtraKey = "craftbundle.extra";
constexpr const char* kOriginKey = "craftbundle.origin";

std::string file_of(const std::string& role, std::string_view kind) {
  return role + std::string(kind);
}

std::string order_of(const Model& model) {
  std::string order;
  for (const NamedTensor& named : model.tensors) {
    if (named.name.find('\n') != std::string::npos) {
      throw Error(ErrorKind::mismatch, "layout.name",
                  "tensor " + craftbundle::quoted(named.name) +
                      " has a line break in its name, for which this layout has no place",
                  "choose another layout");
    }
    order += (order.empty() ? "" : "\n") + named.name;
  }
  return order;
}

// The name of a pretrained model as a file of its own, and back.
constexpr const char* kName = "pretrained";

std::string reference_json(const std::string& name) {
  // Names that are no UTF-8 cannot be resolved by anyone.
  return Json{{kName, name}}.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string read_reference(const std::string& text) {
  const Json json = layout_json::parse(text);
  if (!json.is_object() || !json.contains(kName) || !json[kName].is_string()) {
    throw Error(ErrorKind::input, "layout.json", "has no text 'pretrained', the name of a model",
                "get the file again from where the bundle was made");
  }
  return json[kName].get<std::string>();
}

void plan_model(const Component& component, const Model& model, std::vector<BundleFile>& files) {
  const std::string& role = component.role;
  const SafetensorsMetadata metadata = {{kFormatKey, "pt"},
                                        {kFamilyKey, model.family},
                                        {kOrderKey, order_of(model)},
                                        {kExtraKey, layout_json::value_json(model.extra, role)},
                                        {kOriginKey, model.origin}};
  files.push_back({file_of(role, kTensors), {role}, safetensors_file(model.tensors, metadata)});
  files.push_back({file_of(role, kYaml), {role}, text_file(model.config.text())});
  files.push_back(
      {file_of(role, kJson), {role}, text_file(layout_json::config_json(model.config))});
  for (const ModelFile& file : model.files) {
    files.push_back({role + "/" + file.name, {role}, file.content});
  }
}

std::string read_text(const Path& path) {
  const InputFile file(path);
  if (file.size() > kMaxTextBytes) {
    throw Error(ErrorKind::input, "layout.size",
                human_bytes(file.size()) + " are too much for a configuration",
                "get the file again from where the bundle was made");
  }
  return file.read_text(0, static_cast<std::size_t>(file.size()));
}

std::string value_of(const SafetensorsMetadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? std::string() : found->second;
}

// Into the order of the state dict, when the file says which.
void reorder(std::vector<NamedTensor>& tensors, const std::string& order) {
  if (order.empty()) return;
  std::unordered_map<std::string_view, std::size_t> places;
  std::string_view rest = order;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    places.emplace(rest.substr(0, end), places.size());
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const bool known = places.size() == tensors.size() &&
                     std::ranges::all_of(tensors, [&](const NamedTensor& named) {
                       return places.contains(named.name);
                     });
  if (!known) {
    throw Error(ErrorKind::input, "layout.order",
                "the names under " + craftbundle::quoted(kOrderKey) +
                    " of its metadata are not those of its " + std::to_string(tensors.size()) +
                    " tensors",
                "get the file again from where the bundle was made");
  }
  std::ranges::sort(tensors, {}, [&](const NamedTensor& named) { return places.at(named.name); });
}

Model read_model(const Path& tensors, const Path& config) {
  const std::shared_ptr<const Safetensors> file = Safetensors::open(tensors);
  boost::system::error_code ignored;
  if (!boost::filesystem::exists(config, ignored)) {
    throw Error(ErrorKind::input, "layout.config",
                path_text(tensors) + ": its configuration " +
                    craftbundle::quoted(config.filename().string()) + " is not beside it",
                "get the file from where the bundle was made");
  }
  Model model;
  model.config = with_context([&] { return path_text(config); },
                              [&] { return Config::from_yaml(read_text(config)); });
  with_context([&] { return path_text(tensors); },
               [&] {
                 const SafetensorsMetadata& metadata = file->metadata();
                 model.family = value_of(metadata, kFamilyKey);
                 model.origin = value_of(metadata, kOriginKey);
                 model.tensors = file->tensors();
                 reorder(model.tensors, value_of(metadata, kOrderKey));
                 const std::string extra = value_of(metadata, kExtraKey);
                 if (!extra.empty()) model.extra = layout_json::read_value(extra);
               });
  return model;
}

// Names of the files in a directory, sorted; none when it is not there.
std::vector<std::string> files_in(const Path& directory) {
  namespace fs = boost::filesystem;
  std::vector<std::string> names;
  boost::system::error_code failure;
  fs::directory_iterator entry(directory, failure);
  while (!failure && entry != fs::directory_iterator()) {
    boost::system::error_code ignored;
    if (fs::is_regular_file(entry->path(), ignored)) {
      names.push_back(entry->path().filename().string());
    }
    entry.increment(failure);
  }
  std::ranges::sort(names);
  return names;
}

RoleSource model_of(const Path& tensors, std::string role) {
  const std::string stem = tensors.stem().string();
  const std::string config = file_of(stem, kYaml);
  const Path directory = tensors.parent_path();
  Model model = read_model(tensors, directory / config);
  std::vector<std::string> files = {tensors.filename().string(), config};
  for (const std::string& name : files_in(directory / stem)) {
    model.files.push_back({name, copy_of(directory / stem / name)});
    files.push_back(stem + "/" + name);
  }
  return {std::move(role), Source::of_model(tensors.string(), std::move(model)), std::move(files)};
}

RoleSource reference_of(const Path& file, std::string role) {
  const std::string name = with_context([&] { return path_text(file); },
                                        [&] { return read_reference(read_text(file)); });
  return {std::move(role), Source::of_pretrained(name, name), {file.filename().string()}};
}

}  // namespace

LayoutInfo SafetensorsLayout::info() const {
  LayoutInfo info;
  info.name = "safetensors";
  info.revision = 2;
  info.summary =
      "Tensors as safetensors, configurations as YAML and JSON: for readers without PyTorch";
  info.parts = {{std::string(kLanguageModelRole), "lm.safetensors"},
                {std::string(kCompressionRole), "compression.safetensors"},
                {"*", "*.safetensors"}};
  return info;
}

std::vector<BundleFile> SafetensorsLayout::plan(const std::vector<Component>& components,
                                                const std::vector<OptionValue>& /*options*/,
                                                LayoutContext& /*context*/) const {
  std::vector<BundleFile> files;
  for (const Component& component : components) {
    if (const Model* model = component.model()) {
      plan_model(component, *model, files);
    } else {
      const std::string& name = std::get<Reference>(component.content).name;
      files.push_back(
          {file_of(component.role, kJson), {component.role}, text_file(reference_json(name))});
    }
  }
  return files;
}

std::vector<RoleSource> SafetensorsLayout::sources(const Path& place,
                                                   const std::vector<std::string>& roles,
                                                   LayoutContext& /*context*/) const {
  boost::system::error_code ignored;
  if (!boost::filesystem::is_directory(place, ignored)) return {model_of(place, {})};
  std::vector<std::string> wanted = roles;
  if (wanted.empty()) wanted = {std::string(kLanguageModelRole), std::string(kCompressionRole)};
  std::vector<RoleSource> sources;
  for (const std::string& role : wanted) {
    const Path tensors = place / file_of(role, kTensors);
    const Path reference = place / file_of(role, kJson);
    if (boost::filesystem::exists(tensors, ignored)) {
      sources.push_back(model_of(tensors, role));
    } else if (boost::filesystem::exists(reference, ignored)) {
      sources.push_back(reference_of(reference, role));
    }
  }
  return sources;
}

}  // namespace craftbundle::safetensors
