// EnCodec as transformers has it (EncodecModel), and back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/plugin/layout.h"
#include "craftbundle/detail/plugin/model.h"
#include "part.h"
#include "problems.h"

namespace craftbundle::transformers {

// `codebooks`: how many a language model uses of those that the codec has; what
// EncodecModel.encode() then uses without being told. nullopt: a codec alone.
Part encodec_part(const Model& model, std::optional<std::int64_t> codebooks, Problems& problems);

// preprocessor_config.json of a codec alone.
Json encodec_preprocessor(const Json& config);

// A codec of AudioCraft from a config.json (or the `audio_encoder` in one) and its tensors. Throws
// Error(input, "layout.*") for what AudioCraft has no word for.
Model encodec_model(const Json& config, std::vector<NamedTensor> tensors);

// Codebooks of the codec that `config` describes.
std::int64_t encodec_codebooks(const Json& config);
// Frames in a second, as transformers rounds them.
std::int64_t encodec_frame_rate(const Json& config);

// Their names for tensors of ours.
std::vector<TensorAlias> encodec_aliases(const Model& model);

}  // namespace craftbundle::transformers
