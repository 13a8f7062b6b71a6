#include "layouts/audiocraft/text_encoder.h"

#include <algorithm>
#include <array>
#include <boost/filesystem/operations.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "craftbundle/audiocraft_rules/package.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/layout_json.h"

namespace craftbundle::audiocraft {
namespace {

using layout_json::Json;

// T5Conditioner.MODELS, less those it has no width for.
constexpr std::array<std::string_view, 8> kNames = {"t5-small",
                                                    "t5-base",
                                                    "t5-large",
                                                    "t5-3b",
                                                    "t5-11b",
                                                    "google/flan-t5-small",
                                                    "google/flan-t5-base",
                                                    "google/flan-t5-large"};
constexpr std::string_view kFamily = "t5";
constexpr const char* kConfigFile = "config.json";
constexpr const char* kWeightFile = "model.safetensors";
constexpr std::array kTokenizerFiles = {"tokenizer.json", "tokenizer_config.json",
                                        "special_tokens_map.json", "spiece.model",
                                        "added_tokens.json"};
constexpr const char* kConditioners = "conditioners";

// Names of the text encoders that a configuration builds, each once.
std::vector<std::string> names_in(const Config& config) {
  std::vector<std::string> names;
  const auto conditioners = config.keys(kConditioners).value_or(std::vector<std::string>());
  for (const std::string& conditioner : conditioners) {
    const std::string path = std::string(kConditioners) + "." + conditioner;
    if (conditioner == "args" || config.get_string(path + ".model") != kFamily) continue;
    const std::string name =
        config.get_string(path + "." + std::string(kFamily) + ".name").value_or("");
    if (std::ranges::count(names, name) == 0) names.push_back(name);
  }
  return names;
}

bool is_known(const std::string& name) { return std::ranges::count(kNames, name) != 0; }

Error refusal(const std::string& reason) {
  return Error(ErrorKind::mismatch, "embed.text_encoder",
               "the text encoder cannot be put into the bundle: " + reason,
               "leave --embed out; the text encoder is then fetched when the bundle is loaded");
}

// By which AudioCraft will look for it.
std::string name_for(const Model* language_model) {
  const std::vector<std::string> names =
      language_model == nullptr ? std::vector<std::string>() : names_in(language_model->config);
  if (names.empty()) throw refusal("no language model in it has one");
  if (names.size() > 1) throw refusal("its language model has several, " + list_text(names));
  if (!is_known(names.front())) {
    throw refusal("AudioCraft takes none of the name " + craftbundle::quoted(names.front()));
  }
  return names.front();
}

}  // namespace

void plan_text_encoder(const Component& component, const Model* language_model,
                       std::vector<BundleFile>& files) {
  const Model* model = component.model();
  if (model == nullptr || model->family != kFamily) {
    throw refusal("it is no " + craftbundle::quoted(kFamily) + " with weights");
  }
  const std::string folder = name_for(language_model) + "/";
  const std::vector<std::string> roles = {component.role};
  files.push_back(
      {folder + kConfigFile, roles, text_file(layout_json::config_json(model->config))});
  files.push_back(
      {folder + kWeightFile, roles, safetensors_file(model->tensors, {{"format", "pt"}})});
  for (const ModelFile& file : model->files) {
    files.push_back({folder + file.name, roles, file.content});
  }
}

std::optional<RoleSource> read_text_encoder(const Path& directory, const Checkpoint& language_model,
                                            LayoutContext& context) {
  const Object root = language_model.root();
  const auto text = root.is(Kind::dict) ? root.find(kConfigKey) : std::nullopt;
  if (!text || !text->is(Kind::string)) return std::nullopt;
  for (const std::string& name : names_in(Config::from_yaml(std::string(text->as_string())))) {
    boost::system::error_code ignored;
    const auto is_there = [&](const Path& file) {
      return boost::filesystem::is_regular_file(file, ignored);
    };
    if (!is_known(name) || !is_there(directory / name / kConfigFile)) continue;
    const Path folder = directory / name;
    Model model;
    model.family = kFamily;
    std::vector<std::string> files = {name + "/" + kConfigFile, name + "/" + kWeightFile};
    model.config = with_context([&] { return path_text(folder / kConfigFile); },
                                [&] {
                                  return layout_json::config_from(
                                      layout_json::parse(context.read_text(folder / kConfigFile)));
                                });
    model.tensors = context.open_safetensors(folder / kWeightFile).tensors;
    for (const char* file : kTokenizerFiles) {
      if (!is_there(folder / file)) continue;
      model.files.push_back({file, copy_of(context.open_file(folder / file))});
      files.push_back(name + "/" + file);
    }
    return RoleSource{std::string(kTextEncoderRole),
                      Source::of_model((folder / kWeightFile).string(), std::move(model)),
                      std::move(files)};
  }
  return std::nullopt;
}

}  // namespace craftbundle::audiocraft
