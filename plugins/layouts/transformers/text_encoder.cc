#include "text_encoder.h"

#include <algorithm>
#include <array>
#include <boost/filesystem/operations.hpp>

#include "craftbundle/layout_json.h"
#include "json_fields.h"

namespace craftbundle::transformers {
namespace {

constexpr std::array kTokenizerFiles = {"tokenizer.json", "tokenizer_config.json",
                                        "special_tokens_map.json", "spiece.model",
                                        "added_tokens.json"};
// Of the file that was read; the new one has its own.
constexpr std::array kOfTheFile = {"dtype", "torch_dtype", "transformers_version"};

struct Known {
  const char* name;  // in AudioCraft's T5Conditioner.MODELS
  std::int64_t width;
  std::int64_t feed_forward;
  std::int64_t layers;
  bool gated;
};
constexpr std::array<Known, 8> kKnown = {{{"t5-small", 512, 2048, 6, false},
                                          {"t5-base", 768, 3072, 12, false},
                                          {"t5-large", 1024, 4096, 24, false},
                                          {"t5-3b", 1024, 16'384, 24, false},
                                          {"t5-11b", 1024, 65'536, 24, false},
                                          {"google/flan-t5-small", 512, 1024, 8, true},
                                          {"google/flan-t5-base", 768, 2048, 12, true},
                                          {"google/flan-t5-large", 1024, 2816, 24, true}}};

}  // namespace

Part text_part(const Model& model) {
  Part part;
  part.config = Json::parse(layout_json::config_value(model.config).dump());
  for (const char* key : kOfTheFile) part.config.erase(key);
  part.tensors = model.tensors;
  return part;
}

Model text_model(const Json& config, const std::vector<NamedTensor>& tensors, const Path& directory,
                 LayoutContext& context) {
  Model model;
  model.family = kTextFamily;
  model.config = layout_json::config_from(layout_json::Json::parse(config.dump()));
  const auto has = [&](std::string_view name) {
    return std::ranges::any_of(tensors, [&](const NamedTensor& one) { return one.name == name; });
  };
  constexpr std::string_view kShared = "shared.weight";
  constexpr std::string_view kCopy = "encoder.embed_tokens.weight";
  for (NamedTensor named : tensors) {
    // transformers ties the two; either alone will do.
    if (named.name == kCopy) {
      if (has(kShared)) continue;
      named.name = kShared;
    }
    if (named.name == kShared || named.name.starts_with("encoder.")) {
      model.tensors.push_back(std::move(named));
    }
  }
  for (const char* name : kTokenizerFiles) {
    boost::system::error_code ignored;
    const Path file = directory / name;
    if (!boost::filesystem::is_regular_file(file, ignored)) continue;
    model.files.push_back({name, copy_of(context.open_file(file))});
  }
  return model;
}

std::string text_encoder_name(const Json& json) {
  const Fields config(json, "text encoder");
  const std::string given = config.text("_name_or_path", "");
  for (const Known& known : kKnown) {
    if (given == known.name || given == std::string("google-t5/") + known.name) return known.name;
  }
  const std::int64_t width = config.integer("d_model", 512);
  const std::int64_t feed_forward = config.integer("d_ff", 2048);
  const bool gated = config.text("feed_forward_proj", "relu").starts_with("gated");
  const Known* best = &kKnown.front();
  for (const Known& known : kKnown) {
    const auto likeness = [&](const Known& one) {
      return 4 * static_cast<int>(one.width == width) + 2 * static_cast<int>(one.gated == gated) +
             static_cast<int>(one.feed_forward == feed_forward);
    };
    if (likeness(known) > likeness(*best)) best = &known;
  }
  return best->name;
}

}  // namespace craftbundle::transformers
