#include "remote_codec.h"

#include <algorithm>
#include <cmath>
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

}  // namespace

RemoteCodec::RemoteCodec(Guarded<Codec> codec, std::string culprit)
    : codec_(std::move(codec)), culprit_(std::move(culprit)) {
  if (!codec_) fail("a codec that is null was made");
  properties_ = call(codec_, culprit_, [](const Codec& made) { return made.properties(); });
  check_properties();
}

Latent RemoteCodec::encode_latent(const Audio& audio) const {
  Latent latent =
      call(codec_, culprit_, [&](const Codec& codec) { return codec.encode_latent(audio); });
  check(latent, audio.batch, "encode_latent()");
  return latent;
}

Codes RemoteCodec::encode(const Audio& audio, std::int64_t codebooks) const {
  Codes codes =
      call(codec_, culprit_, [&](const Codec& codec) { return codec.encode(audio, codebooks); });
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
  if (!codes.scale.empty() && codes.scale.size() != static_cast<std::size_t>(codes.batch)) {
    fail("encode() returned " + std::to_string(codes.scale.size()) + " scales for " +
         std::to_string(codes.batch) + " inputs");
  }
  return codes;
}

Latent RemoteCodec::decode_latent(const Codes& codes) const {
  Latent latent =
      call(codec_, culprit_, [&](const Codec& codec) { return codec.decode_latent(codes); });
  check(latent, codes.batch, "decode_latent()");
  return latent;
}

Audio RemoteCodec::decode(const Codes& codes) const {
  Audio audio = call(codec_, culprit_, [&](const Codec& codec) { return codec.decode(codes); });
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
  call(codec_, culprit_, [&](const Codec& codec) {
    codec.save(file);
    return true;
  });
}

void RemoteCodec::fail(const std::string& what) const {
  throw Error(ErrorKind::plugin, "plugin.codec", culprit_ + ": " + what);
}

void RemoteCodec::check_properties() const {
  const std::pair<const char*, std::int64_t> counts[] = {
      {"sample_rate", properties_.sample_rate}, {"channels", properties_.channels},
      {"codebooks", properties_.codebooks},     {"cardinality", properties_.cardinality},
      {"hop_length", properties_.hop_length},   {"latent_dimension", properties_.latent_dimension}};
  for (const auto& [name, value] : counts) {
    if (value < 1 || value > kMost)
      fail("states " + std::string(name) + " " + std::to_string(value));
  }
  if (properties_.context_frames < 0 || properties_.context_frames > kMost) {
    fail("states context_frames " + std::to_string(properties_.context_frames));
  }
  if (!std::isfinite(properties_.frame_rate) || properties_.frame_rate <= 0) {
    fail("states frame_rate " + to_string(FactValue(properties_.frame_rate)));
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
