#include "craftbundle/detail/host/codec_check.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <utility>

#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

// Of the sound, at least: fewer frames would say little about their length.
constexpr std::int64_t kLeastFrames = 8;
// Beyond any codec that codes sound; a hop of an hour is not tried.
constexpr std::int64_t kMostSamples = std::int64_t{1} << 24;
// Of the loudest sample: what two calls may differ by where threads add up in another order.
constexpr double kRounding = 1e-4;
// Of the level of the sound: 100 dB below it nothing is heard.
constexpr double kSilence = 1e-5;
// Codecs state whole numbers of frames a second where the rate is none.
constexpr double kFrameRateRounding = 1;

// Two tones, of which the second comes and goes, so that time matters, in each channel others.
Audio sound(const CodecProperties& codec, std::int64_t samples) {
  constexpr double kTurn = 2 * std::numbers::pi;
  Audio audio{1, codec.channels, samples, {}};
  audio.data.reserve(static_cast<std::size_t>(samples * codec.channels));
  for (std::int64_t channel = 0; channel < codec.channels; ++channel) {
    const double hertz = 220 * (1 + 0.1 * static_cast<double>(channel));
    for (std::int64_t i = 0; i < samples; ++i) {
      const double time = static_cast<double>(i) / static_cast<double>(codec.sample_rate);
      const double second = std::sin(kTurn * 5 * time) * std::sin(kTurn * 2.6 * hertz * time);
      audio.data.push_back(static_cast<float>(0.4 * std::sin(kTurn * hertz * time) + 0.3 * second));
    }
  }
  return audio;
}

bool all_finite(std::span<const float> data) {
  return std::ranges::all_of(data, [](float number) { return std::isfinite(number); });
}

// Root mean square without the mean.
double level(std::span<const float> data) {
  double sum = 0;
  for (const float sample : data) sum += sample;
  const double mean = sum / static_cast<double>(data.size());
  double squares = 0;
  for (const float sample : data) squares += (sample - mean) * (sample - mean);
  return std::sqrt(squares / static_cast<double>(data.size()));
}

bool differ(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return true;
  double loudest = 0;
  double difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    loudest = std::max(loudest, std::abs(static_cast<double>(a[i])));
    difference = std::max(difference, std::abs(static_cast<double>(a[i]) - b[i]));
  }
  return difference > kRounding * loudest;
}

class Check {
 public:
  Check(const Codec& codec, const Cancellation& cancellation)
      : codec_(codec),
        properties_(codec.properties()),
        step_(std::max<std::int64_t>(1, frame_step(properties_))),
        cancellation_(cancellation) {}

  void facts(const std::vector<FitFact>& stated) {
    const std::vector<CodecFigure> figures = figures_of(properties_);
    for (const FitFact& fact : stated) {
      for (const CodecFigure& figure : figures) {
        const FactValue value =
            std::visit([](auto number) { return FactValue(number); }, figure.value);
        if (fact.name != figure.name || same_value(fact.value, value)) continue;
        found("codec.facts", "the codec has " + fact.name + " " + to_string(value) +
                                 ", its component states " + printable(to_string(fact.value)) +
                                 (fact.origin.empty() ? "" : " (" + printable(fact.origin) + ")"));
      }
    }
    const double rate =
        static_cast<double>(properties_.sample_rate) / static_cast<double>(properties_.hop_length);
    if (std::abs(rate - properties_.frame_rate) >= kFrameRateRounding) {
      found("codec.frame_rate",
            "the codec states frame_rate " + to_string(FactValue(properties_.frame_rate)) +
                ", by its sample_rate and hop_length it is " + to_string(FactValue(rate)));
    }
  }

  void run() {
    const std::int64_t hop = properties_.hop_length;
    const std::int64_t second = properties_.sample_rate / hop;
    const std::int64_t frames =
        (std::max({second, kLeastFrames, 2 * step_}) + step_ - 1) / step_ * step_;
    if (frames > kMostSamples / (hop * properties_.channels)) return;
    // Not a whole number of frames: what is missing is for the codec to add, or what is too much to
    // leave out.
    const Audio audio = sound(properties_, (frames - 1) * hop + hop / 2 + 1);
    const Codes codes = encode(audio, 0);
    if (std::abs(codes.frames * hop - audio.samples) >= (step_ + 1) * hop) {
      return found("codec.frames", "encode() makes " + std::to_string(codes.frames) +
                                       " frames of " + std::to_string(audio.samples) +
                                       " samples, hop_length is " + std::to_string(hop));
    }
    if (codes.frames < 1 || !all_finite(codes.scale)) {
      return found("codec.not_finite", "encode() makes scales that are no numbers");
    }
    if (!all_finite(codec_.encode_latent(audio).data) ||
        !all_finite(codec_.decode_latent(codes).data)) {
      found("codec.not_finite", "vectors before or behind the quantizer are no numbers");
    }
    const Audio decoded = decode(codes);
    if (std::abs(decoded.samples - codes.frames * hop) > step_ * hop) {
      return found("codec.length", "decode() makes " + std::to_string(decoded.samples) +
                                       " samples of " + std::to_string(codes.frames) +
                                       " frames, hop_length is " + std::to_string(hop) +
                                       "; encoded were " + std::to_string(audio.samples));
    }
    const auto odd =
        std::ranges::count_if(decoded.data, [](float sample) { return !std::isfinite(sample); });
    if (odd > 0) {
      return found("codec.not_finite", "the codec does not code audio: " + std::to_string(odd) +
                                           " of " + std::to_string(decoded.data.size()) +
                                           " decoded samples are no numbers");
    }
    if (level(decoded.data) < kSilence * level(audio.data)) {
      found("codec.silence", "the codec makes silence of sound");
    }
    if (properties_.varies.empty()) again(audio, codes, decoded);
  }

  std::vector<CodecFault> faults() { return std::move(faults_); }

 private:
  Codes encode(const Audio& audio, std::int64_t codebooks) const {
    cancellation_.check();
    return codec_.encode(audio, codebooks);
  }
  Audio decode(const Codes& codes) const {
    cancellation_.check();
    return codec_.decode(codes);
  }

  void again(const Audio& audio, const Codes& codes, const Audio& decoded) {
    if (encode(audio, 0).data != codes.data) {
      found("codec.varies",
            "encoding the same audio twice gives other codes, which its properties "
            "do not say ('varies')");
    }
    if (differ(decode(codes).data, decoded.data)) {
      found("codec.varies",
            "decoding the same codes twice gives other audio, which its properties "
            "do not say ('varies')");
    }
    const Codes first = encode(audio, 1);
    if (!std::equal(first.data.begin(), first.data.end(), codes.data.begin(),
                    codes.data.begin() + codes.frames)) {
      found("codec.codebooks",
            "encode() with one codebook gives other codes than the first of all");
    }
  }

  void found(std::string code, std::string text) {
    faults_.push_back({std::move(code), std::move(text)});
  }

  const Codec& codec_;
  const CodecProperties& properties_;
  const std::int64_t step_;
  const Cancellation& cancellation_;
  std::vector<CodecFault> faults_;
};

}  // namespace

std::vector<CodecFault> check_codec(const Codec& codec, const std::vector<FitFact>& stated,
                                    const Cancellation& cancellation) {
  Check check(codec, cancellation);
  check.facts(stated);
  check.run();
  return check.faults();
}

}  // namespace craftbundle
