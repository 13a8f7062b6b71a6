// The names under which codecs and language models of AudioCraft state what must agree.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/audiocraft_rules/state.h"
#include "craftbundle/detail/plugin/codec.h"
#include "craftbundle/detail/plugin/exporter.h"

namespace craftbundle::audiocraft {

inline constexpr std::string_view kCodebooks = "codebooks";
inline constexpr std::string_view kCardinality = "cardinality";
inline constexpr std::string_view kSampleRate = "sample_rate";
inline constexpr std::string_view kFrameRate = "frame_rate";
inline constexpr std::string_view kChannels = "channels";
// Size of the vectors between encoder and quantizer: flow matching models work on these.
inline constexpr std::string_view kLatentDimension = "latent_dimension";
// "yes" for a codec that scales its input and returns the scale beside the codes, which language
// models have no place for.
inline constexpr std::string_view kRenormalize = "renormalize";
// Size of the vectors that a text encoder makes of text.
inline constexpr std::string_view kTextWidth = "text_width";
// Class of the object that AudioCraft makes of the codec; some models reach into it.
inline constexpr std::string_view kCodecClass = "codec_class";
inline constexpr std::string_view kEncodecClass = "audiocraft.models.EncodecModel";
inline constexpr std::string_view kHuggingFaceClass = "audiocraft.models.HFEncodecCompressionModel";
inline constexpr std::string_view kDacClass = "audiocraft.models.DAC";

FitFact fact(std::string_view name, FactValue value, std::string origin);

// Figures of a codec. Those that are not known are not stated.
struct CodecFigures {
  std::optional<std::int64_t> codebooks = {};
  std::optional<std::int64_t> cardinality = {};
  std::int64_t sample_rate = 0;  // Hz
  double frame_rate = 0;         // frames per second
  std::int64_t channels = 1;
  std::int64_t latent_dimension = 0;
  bool renormalize = false;
  std::string_view codec_class = {};
};

// All of `figures`, found in `origin` ("figures of facebook/encodec_32khz").
std::vector<FitFact> provided_facts(const CodecFigures& figures, const std::string& origin);
// The same for people, most important first.
void add_summary(const CodecFigures& figures, std::vector<SummaryItem>& summary);
// The same for whoever runs the codec; hop length, context and engine are for it to fill in.
CodecProperties codec_properties(const CodecFigures& figures);

// What can load a model of AudioCraft: AudioCraft itself from release `since` on, unless it stops
// at `unknown_keys` of the configuration; whether it fetches something when it loads. And
// transformers, which has files of its own.
std::vector<LoaderAnswer> loader_answers(const std::string& since, const std::string& how,
                                         const std::vector<std::string>& unknown_keys,
                                         bool needs_network);

// AudioCraft, which is the first of `loaders`, does not load it: `why`.
void refuse_loading(std::vector<LoaderAnswer>& loaders, std::string why);

// "50 Hz", "44.1 kHz".
std::string hertz_text(double hertz);

// Appends `from` to `to`.
void append(std::vector<std::string>& to, const std::vector<std::string>& from);

}  // namespace craftbundle::audiocraft
