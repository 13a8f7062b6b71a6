// MusicGen and AudioGen as transformers has them (MusicgenForConditionalGeneration and its Melody
// form), and back.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/plugin/layout.h"
#include "craftbundle/detail/plugin/model.h"
#include "part.h"
#include "problems.h"

namespace craftbundle::transformers {

// Part::config is that of the decoder; the tensors have the names of the whole model.
struct LanguageModelPart : Part {
  bool melody = false;
  std::int64_t codebooks = 0;  // of the codec
  std::string text_encoder;    // "t5-base"
  std::int64_t width = 0;
  // Of a text encoder that was trained along, in its own names; empty: the one that was given.
  std::vector<NamedTensor> text_tensors;
  double segment_duration = 0;  // seconds
  double guidance = 0;          // inference_coef
  std::int64_t sample_rate = 0;
  // Melody: of the chromagram.
  std::int64_t chroma = 0;
  std::int64_t window = 0;
};

// Collects in `problems` whatever transformers has no way for. The result counts only when there
// are none.
LanguageModelPart language_model_part(const Model& model, Problems& problems);

// The whole of config.json, with the parts of the three models, and the files beside it.
Json language_model_config(const LanguageModelPart& lm, const Json& codec, const Json& text);
Json generation_config(const LanguageModelPart& lm, std::int64_t frame_rate);
Json language_model_preprocessor(const LanguageModelPart& lm, const Json& decoder);

// The files that say how a model is used; empty objects when they are not there.
struct SideFiles {
  Json generation;
  Json preprocessor;
};

// A language model of AudioCraft from a whole config.json and the tensors of its language model.
// Throws Error(input, "layout.*").
Model language_model(const Json& config, const SideFiles& side, std::vector<NamedTensor> tensors);

// Whether a tensor of a whole model is one of its language model.
bool is_of_language_model(std::string_view name);

std::vector<TensorAlias> language_model_aliases(const Model& model);

// Names, in a state dict of AudioCraft, of a text encoder that was trained along.
inline constexpr std::string_view kTrainedText = "condition_provider.conditioners.description.t5.";

}  // namespace craftbundle::transformers
