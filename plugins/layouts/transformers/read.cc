#include "read.h"

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <optional>
#include <set>
#include <utility>

#include "craftbundle/audiocraft_rules/state.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/layout_json.h"
#include "dac.h"
#include "encodec.h"
#include "json_fields.h"
#include "language_model.h"
#include "names.h"
#include "stash.h"
#include "text_encoder.h"

namespace craftbundle::transformers {
namespace {

namespace fs = boost::filesystem;

constexpr const char* kConfigFile = "config.json";

bool is_there(const Path& file) {
  boost::system::error_code ignored;
  return fs::is_regular_file(file, ignored);
}

Json read_json(const Path& file, LayoutContext& context) {
  return with_context([&] { return path_text(file); },
                      [&] {
                        const layout_json::Json json = layout_json::parse(context.read_text(file));
                        return Json::parse(json.dump());
                      });
}

// A file that may be missing.
Json read_optional(const Path& file, LayoutContext& context) {
  return is_there(file) ? read_json(file, context) : Json::object();
}

// Of the feature extractor. Since release 5 transformers writes it into the processor's file.
Json read_preprocessor(const Path& directory, LayoutContext& context) {
  const Path own = directory / "preprocessor_config.json";
  if (is_there(own)) return read_json(own, context);
  const Json processor = read_optional(directory / "processor_config.json", context);
  const Fields fields(processor, "processor");
  return fields.has("feature_extractor") ? fields.object("feature_extractor") : Json::object();
}

// The tensors of a folder, from whichever files hold them.
struct Weights {
  std::vector<NamedTensor> tensors;
  std::vector<std::string> files;
};

void add_pickled(const Path& file, LayoutContext& context, Weights& weights) {
  const std::shared_ptr<const Checkpoint> checkpoint = context.open(file);
  audiocraft::State state = with_context(
      [&] { return path_text(file); },
      [&] { return audiocraft::read_state(checkpoint->root(), *checkpoint, "the file"); });
  std::move(state.tensors.begin(), state.tensors.end(), std::back_inserter(weights.tensors));
  weights.files.push_back(file.filename().string());
}

// Names of files without a way out of the directory, as an index gives them.
std::set<std::string> files_of_index(const Path& index, LayoutContext& context) {
  const Json json = read_json(index, context);
  return with_context([&] { return path_text(index); },
                      [&] {
                        const Fields fields(json, "index");
                        if (!fields.has("weight_map")) {
                          throw fields.refuse("weight_map", "not there", "an object");
                        }
                        std::set<std::string> files;
                        for (const auto& [name, file] : fields.object("weight_map").items()) {
                          const std::string given = file.is_string() ? file.get<std::string>() : "";
                          if (given.empty() || Path(given).filename() != given) {
                            throw fields.refuse(name.c_str(), file.dump(), "the name of a file");
                          }
                          files.insert(given);
                        }
                        return files;
                      });
}

Weights read_weights(const Path& directory, LayoutContext& context) {
  Weights weights;
  for (const std::string& name : weight_files()) {
    const Path file = directory / name;
    if (!is_there(file)) continue;
    const bool is_index = name.ends_with(".json");
    if (name.find(".safetensors") != std::string::npos) {
      SafetensorsModel model = context.open_safetensors(file);
      weights.tensors = std::move(model.tensors);
      if (is_index) weights.files.push_back(name);
      for (const auto& part : model.files) {
        weights.files.push_back(part->file().path().filename().string());
      }
    } else if (is_index) {
      weights.files.push_back(name);
      for (const std::string& part : files_of_index(file, context)) {
        add_pickled(directory / part, context, weights);
      }
    } else {
      add_pickled(file, context, weights);
    }
    return weights;
  }
  throw Error(ErrorKind::input, "layout.weights",
              path_text(directory) + ": none of " + list_text(weight_files()) + " is there",
              "get the folder again from where the model was made");
}

std::optional<Stash> read_stash(const Path& directory, LayoutContext& context) {
  const Path file = directory / kStashFile;
  if (!is_there(file)) return std::nullopt;
  const SafetensorsModel model = context.open_safetensors(file);
  return Stash(*model.files.front());
}

// The folder, with what is common to its models.
class Folder {
 public:
  Folder(const Path& directory, LayoutContext& context)
      : directory_(directory),
        context_(context),
        config_(read_json(directory / kConfigFile, context)),
        weights_(read_weights(directory, context)),
        stash_(read_stash(directory, context)) {}

  std::vector<RoleSource> sources() const {
    return with_context([&] { return path_text(directory_); }, [&] { return read(); });
  }

 private:
  std::vector<RoleSource> read() const {
    const std::string type = Fields(config_, "model").text("model_type", "");
    if (type == "musicgen" || type == "musicgen_melody") return read_language_model();
    std::vector<RoleSource> sources;
    if (type == "encodec") {
      sources.push_back(restored(kCompressionRole, encodec_model(config_, weights_.tensors)));
    } else if (type == "dac") {
      sources.push_back(restored(kCompressionRole, dac_model(config_, weights_.tensors)));
    } else if (type == "t5") {
      sources.push_back(
          source(kTextEncoderRole, text_model(config_, weights_.tensors, directory_, context_)));
    } else {
      throw Error(ErrorKind::input, "layout.model_type",
                  "config.json has model_type " + craftbundle::quoted(type) +
                      ", known are musicgen, musicgen_melody, encodec, dac and t5",
                  "models of other classes have no form in AudioCraft");
    }
    return sources;
  }

  std::vector<RoleSource> read_language_model() const {
    const Fields fields(config_, "model");
    std::vector<NamedTensor> language;
    std::vector<std::string> strangers;
    for (const NamedTensor& named : weights_.tensors) {
      if (is_of_language_model(named.name)) {
        language.push_back(named);
      } else if (!named.name.starts_with("audio_encoder.") &&
                 !named.name.starts_with("text_encoder.")) {
        strangers.push_back(named.name);
      }
    }
    if (!strangers.empty()) {
      throw Error(ErrorKind::input, "layout.tensors",
                  std::to_string(strangers.size()) +
                      " tensors belong to no part of the model: " + list_text(strangers),
                  "an adapter that was not merged has files of its own: see --merge");
    }
    const SideFiles side = {read_optional(directory_ / "generation_config.json", context_),
                            read_preprocessor(directory_, context_)};
    Model lm = language_model(config_, side, std::move(language));
    const std::vector<NamedTensor> text = under("text_encoder.", weights_.tensors);
    // A text encoder that was trained along lay in the package of the language model.
    for (const NamedTensor& named : text) {
      const std::string name = std::string(kTrainedText) + named.name;
      if (stash_ && stash_->had(std::string(kLanguageModelRole), name)) {
        lm.tensors.push_back({name, named.tensor});
      }
    }
    std::vector<RoleSource> sources;
    sources.push_back(restored(kLanguageModelRole, std::move(lm)));
    sources.push_back(restored(
        kCompressionRole,
        encodec_model(fields.object("audio_encoder"), under("audio_encoder.", weights_.tensors))));
    sources.push_back(source(
        kTextEncoderRole, text_model(fields.object("text_encoder"), text, directory_, context_)));
    return sources;
  }

  RoleSource restored(std::string_view role, Model model) const {
    if (stash_) stash_->restore(std::string(role), model);
    return source(role, std::move(model));
  }

  RoleSource source(std::string_view role, Model model) const {
    std::vector<std::string> files = weights_.files;
    files.emplace_back(kConfigFile);
    return {std::string(role), Source::of_model(directory_.string(), std::move(model)),
            std::move(files)};
  }

  Path directory_;
  LayoutContext& context_;
  Json config_;
  Weights weights_;
  std::optional<Stash> stash_;
};

}  // namespace

const std::vector<std::string>& weight_files() {
  static const std::vector<std::string> files = {
      "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
      "pytorch_model.bin.index.json"};
  return files;
}

std::vector<RoleSource> read_folder(const Path& directory, const std::vector<std::string>& roles,
                                    LayoutContext& context) {
  std::vector<RoleSource> sources = Folder(directory, context).sources();
  if (!roles.empty()) {
    std::erase_if(sources, [&](const RoleSource& source) {
      return std::ranges::count(roles, source.role) == 0;
    });
  }
  return sources;
}

}  // namespace craftbundle::transformers
