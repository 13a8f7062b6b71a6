#include "mulaw_codec.h"

#include <algorithm>
#include <cmath>

namespace mulaw {

using craftbundle::Audio;
using craftbundle::Codes;
using craftbundle::Error;
using craftbundle::ErrorKind;
using craftbundle::Latent;

namespace {

class MulawCodec final : public craftbundle::Codec {
 public:
  MulawCodec(const std::vector<double>& levels, std::int64_t sample_rate)
      : levels_(levels.begin(), levels.end()) {
    for (std::size_t i = 0; i < levels_.size(); ++i) {
      ascending_.emplace_back(levels_[i], static_cast<std::int64_t>(i));
    }
    std::sort(ascending_.begin(), ascending_.end());
    properties_.sample_rate = sample_rate;
    properties_.codebooks = 1;
    properties_.cardinality = static_cast<std::int64_t>(levels_.size());
    properties_.latent_dimension = 1;
    properties_.frame_rate = static_cast<double>(sample_rate);
    properties_.engine = "a table";
    properties_.device = "cpu";
  }

  const craftbundle::CodecProperties& properties() const override { return properties_; }

  // Samples are what is quantized.
  Latent encode_latent(const Audio& audio) const override {
    check(audio);
    return {audio.batch, 1, audio.samples, audio.data};
  }

  Codes encode(const Audio& audio, std::int64_t codebooks) const override {
    check(audio);
    if (codebooks < 0 || codebooks > 1) {
      throw Error(ErrorKind::usage, "codec.shape", "a mu-law codec has one codebook");
    }
    Codes codes{audio.batch, 1, audio.samples, {}, {}};
    for (const float sample : audio.data) codes.data.push_back(nearest(sample));
    return codes;
  }

  Latent decode_latent(const Codes& codes) const override {
    const std::int64_t count = codes.batch * codes.frames;
    if (codes.codebooks != 1 || count < 1 ||
        count != static_cast<std::int64_t>(codes.data.size())) {
      throw Error(ErrorKind::usage, "codec.shape", "a mu-law codec has one codebook");
    }
    Latent latent{codes.batch, 1, codes.frames, {}};
    for (const std::int64_t code : codes.data) {
      if (code < 0 || code >= properties_.cardinality) {
        throw Error(ErrorKind::input, "codec.code",
                    "code " + std::to_string(code) + " is none of the " +
                        std::to_string(properties_.cardinality) + " levels");
      }
      latent.data.push_back(levels_[static_cast<std::size_t>(code)]);
    }
    return latent;
  }

  Audio decode(const Codes& codes) const override {
    Latent latent = decode_latent(codes);
    return {latent.batch, 1, latent.frames, std::move(latent.data)};
  }

  void save(craftbundle::OutputFile& /*file*/) const override {
    throw Error(ErrorKind::usage, "codec.save",
                "a mu-law codec is a table, there is no network to save as a program",
                "export it as a package: the table is best_state['levels'] in it");
  }

 private:
  static void check(const Audio& audio) {
    const std::int64_t count = audio.batch * audio.samples;
    if (audio.channels != 1 || count < 1 || count != static_cast<std::int64_t>(audio.data.size())) {
      throw Error(ErrorKind::usage, "codec.shape", "a mu-law codec takes audio of one channel");
    }
  }

  std::int64_t nearest(float sample) const {
    const auto above =
        std::lower_bound(ascending_.begin(), ascending_.end(), sample,
                         [](const auto& level, float wanted) { return level.first < wanted; });
    if (above == ascending_.begin()) return above->second;
    const auto below = std::prev(above);
    if (above == ascending_.end()) return below->second;
    return above->first - sample < sample - below->first ? above->second : below->second;
  }

  std::vector<float> levels_;
  std::vector<std::pair<float, std::int64_t>> ascending_;  // levels with their codes
  craftbundle::CodecProperties properties_;
};

}  // namespace

craftbundle::CodecLoaderInfo MulawLoader::info() const {
  return {{"mulaw", "Runs mu-law codecs, without a framework"}, {"mulaw"}};
}

std::unique_ptr<craftbundle::Codec> MulawLoader::load(
    const craftbundle::Model& model, const craftbundle::CodecOptions& options) const {
  if (model.tensors.size() != 1 || model.tensors.front().name != "levels") {
    throw Error(ErrorKind::input, "codec.unsupported", "the model has no table of levels");
  }
  const auto elements = elements_of(model.tensors.front());
  if (options.device != "cpu") {
    throw Error(ErrorKind::usage, "codec.device",
                "a mu-law codec runs on the cpu, not on " + craftbundle::quoted(options.device));
  }
  std::vector<double> levels(elements->size());
  elements->read(0, levels);
  const bool odd =
      !std::all_of(levels.begin(), levels.end(), [](double level) { return std::isfinite(level); });
  if (levels.empty() || odd) {
    throw Error(ErrorKind::input, "codec.unsupported", "the levels are not all numbers");
  }
  return std::make_unique<MulawCodec>(levels, model.config.require_int("sample_rate"));
}

}  // namespace mulaw
