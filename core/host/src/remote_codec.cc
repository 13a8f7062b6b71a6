#include "remote_codec.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/tensor/layout.h"

namespace craftbundle {
namespace {

// Beyond any codec; products of two such numbers fit 64 bits.
constexpr std::int64_t kMost = std::int64_t{1} << 31;

// Whether `data` holds batch x rows x columns numbers.
template <typename T>
bool holds(const std::vector<T>& data, std::int64_t batch, std::int64_t rows,
           std::int64_t columns) {
  return element_count({batch, rows, columns}) == data.size();
}

std::string size_text(std::int64_t batch, std::int64_t rows, std::int64_t columns,
                      std::size_t numbers) {
  return std::to_string(batch) + " x " + std::to_string(rows) + " x " + std::to_string(columns) +
         " in " + std::to_string(numbers) + " numbers";
}

// Where a code that stands for several frames is not the same at each of them.
struct Torn {
  std::int64_t codebook;
  std::int64_t frame;
  std::int64_t frames_per_code;
};
// REQUIRES: the number of frames is a multiple of frame_step().
std::optional<Torn> find_torn(const Codes& codes, const CodecProperties& properties) {
  if (properties.frames_per_code.empty()) return std::nullopt;
  for (std::int64_t row = 0; row < codes.batch * codes.codebooks; ++row) {
    const std::int64_t book = row % codes.codebooks;
    const std::int64_t group = properties.frames_per_code[static_cast<std::size_t>(book)];
    const std::int64_t* const data = codes.data.data() + row * codes.frames;
    for (std::int64_t frame = 0; frame < codes.frames; ++frame) {
      if (data[frame] != data[frame / group * group]) return Torn{book, frame, group};
    }
  }
  return std::nullopt;
}

std::string to_string(const Torn& torn) {
  return "a code of codebook " + std::to_string(torn.codebook) + " stands for " +
         std::to_string(torn.frames_per_code) + " frames, and the one of frame " +
         std::to_string(torn.frame) + " is another than that of frame " +
         std::to_string(torn.frame / torn.frames_per_code * torn.frames_per_code);
}

}  // namespace

RemoteCodec::RemoteCodec(Guarded<Codec> codec, std::string culprit)
    : codec_(std::move(codec)), culprit_(std::move(culprit)) {
  if (!codec_) fail("a codec that is null was made");
  properties_ =
      call(codec_, culprit_, "properties()", [](const Codec& made) { return made.properties(); });
  check_properties();
}

Latent RemoteCodec::encode_latent(const Audio& audio) const {
  Latent latent = call(codec_, culprit_, "encode_latent()",
                       [&](const Codec& codec) { return codec.encode_latent(audio); });
  check(latent, audio.batch, "encode_latent()");
  return latent;
}

Codes RemoteCodec::encode(const Audio& audio, std::int64_t codebooks) const {
  Codes codes = call(codec_, culprit_, "encode()",
                     [&](const Codec& codec) { return codec.encode(audio, codebooks); });
  const std::int64_t expected = codebooks == 0 ? properties_.codebooks : codebooks;
  if (codes.batch != audio.batch || codes.codebooks != expected ||
      !holds(codes.data, codes.batch, codes.codebooks, codes.frames)) {
    fail("encode() returned codes of " +
         size_text(codes.batch, codes.codebooks, codes.frames, codes.data.size()) + " for " +
         std::to_string(audio.batch) + " inputs and " + std::to_string(expected) + " codebooks");
  }
  const auto outside = std::ranges::find_if(
      codes.data, [&](std::int64_t code) { return code < 0 || code >= properties_.cardinality; });
  if (outside != codes.data.end()) {
    fail("encode() returned the code " + std::to_string(*outside) + ", a codebook has " +
         std::to_string(properties_.cardinality));
  }
  if (codes.frames % step_ != 0) {
    fail("encode() returned " + std::to_string(codes.frames) + " frames, which is no multiple of " +
         std::to_string(step_));
  }
  if (const auto torn = find_torn(codes, properties_)) {
    fail("encode() returned codes that differ: " + to_string(*torn));
  }
  if (!codes.scale.empty() && codes.scale.size() != static_cast<std::size_t>(codes.batch)) {
    fail("encode() returned " + std::to_string(codes.scale.size()) + " scales for " +
         std::to_string(codes.batch) + " inputs");
  }
  return codes;
}

Latent RemoteCodec::decode_latent(const Codes& codes) const {
  check(codes);
  Latent latent = call(codec_, culprit_, "decode_latent()",
                       [&](const Codec& codec) { return codec.decode_latent(codes); });
  check(latent, codes.batch, "decode_latent()");
  return latent;
}

Audio RemoteCodec::decode(const Codes& codes) const {
  check(codes);
  Audio audio =
      call(codec_, culprit_, "decode()", [&](const Codec& codec) { return codec.decode(codes); });
  if (audio.batch != codes.batch || audio.channels != properties_.channels ||
      !holds(audio.data, audio.batch, audio.channels, audio.samples)) {
    fail("decode() returned audio of " +
         size_text(audio.batch, audio.channels, audio.samples, audio.data.size()) + " for " +
         std::to_string(codes.batch) + " inputs and " + std::to_string(properties_.channels) +
         " channels");
  }
  return audio;
}

void RemoteCodec::save(OutputFile& file) const {
  call(codec_, culprit_, "save()", [&](const Codec& codec) {
    codec.save(file);
    return true;
  });
}

void RemoteCodec::fail(const std::string& what) const {
  throw Error(ErrorKind::plugin, "plugin.codec", culprit_ + ": " + what);
}

void RemoteCodec::check_properties() {
  for (const CodecFigure& figure : figures_of(properties_)) {
    const auto* const count = std::get_if<std::int64_t>(&figure.value);
    if (count != nullptr && (*count < 1 || *count > kMost)) {
      fail("states " + std::string(figure.name) + " " + std::to_string(*count));
    }
  }
  if (properties_.context_frames < 0 || properties_.context_frames > kMost) {
    fail("states context_frames " + std::to_string(properties_.context_frames));
  }
  if (!std::isfinite(properties_.frame_rate) || properties_.frame_rate <= 0) {
    fail("states frame_rate " + to_string(FactValue(properties_.frame_rate)));
  }
  const std::vector<std::int64_t>& rates = properties_.frames_per_code;
  if (!rates.empty() && static_cast<std::int64_t>(rates.size()) != properties_.codebooks) {
    fail("states frames_per_code of " + std::to_string(rates.size()) + " codebooks, it has " +
         std::to_string(properties_.codebooks));
  }
  step_ = frame_step(properties_);
  if (step_ != 0) return;
  std::string numbers;
  for (const std::int64_t rate : rates) numbers += " " + std::to_string(rate);
  fail("states frame_multiple " + std::to_string(properties_.frame_multiple) +
       (rates.empty() ? "" : " and frames_per_code" + numbers));
}

// What the codec would have to refuse as well, said in one way. Shapes are left to it.
void RemoteCodec::check(const Codes& codes) const {
  if (codes.codebooks < 1 || codes.codebooks > properties_.codebooks ||
      !holds(codes.data, codes.batch, codes.codebooks, codes.frames)) {
    return;
  }
  if (codes.frames % step_ != 0) {
    throw Error(ErrorKind::usage, "codec.shape",
                "the codec takes a multiple of " + std::to_string(step_) + " frames, given were " +
                    std::to_string(codes.frames));
  }
  if (const auto torn = find_torn(codes, properties_)) {
    throw Error(ErrorKind::input, "codec.code", to_string(*torn));
  }
}

void RemoteCodec::check(const Latent& latent, std::int64_t batch,
                        const std::string& function) const {
  if (latent.batch == batch && latent.dimension == properties_.latent_dimension &&
      holds(latent.data, latent.batch, latent.dimension, latent.frames)) {
    return;
  }
  fail(function + " returned vectors of " +
       size_text(latent.batch, latent.dimension, latent.frames, latent.data.size()) + " for " +
       std::to_string(batch) + " inputs and a dimension of " +
       std::to_string(properties_.latent_dimension));
}

}  // namespace craftbundle
