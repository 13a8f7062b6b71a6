#include "craftbundle/detail/host/codec_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using testing::expect_error;
using ::testing::IsEmpty;

// Samples in 256 steps, twice as many codes for the second codebook; what comes out can be changed.
class Table final : public Codec {
 public:
  Table() {
    stated.sample_rate = 1'000;
    stated.channels = 1;
    stated.codebooks = 2;
    stated.cardinality = 256;
    stated.latent_dimension = 1;
    stated.frame_rate = 500;
    stated.hop_length = 2;
  }
  const CodecProperties& properties() const override { return stated; }
  Latent encode_latent(const Audio& audio) const override {
    return {1, 1, audio.samples, {latent}};
  }
  Latent decode_latent(const Codes& codes) const override { return {1, 1, codes.frames, {latent}}; }
  void save(OutputFile& /*file*/) const override {}
  Codes encode(const Audio& audio, std::int64_t codebooks) const override {
    ++encoded;
    const std::int64_t step = 2 * frame_step(stated);
    Codes codes{
        1, codebooks == 0 ? 2 : codebooks, (audio.samples + step - 1) / step * step / 2, {}, {}};
    codes.data.resize(static_cast<std::size_t>(codes.codebooks * codes.frames));
    for (std::size_t i = 0; i < codes.data.size(); ++i) {
      const std::size_t sample = 2 * (i % static_cast<std::size_t>(codes.frames));
      codes.data[i] =
          std::lround((sample < audio.data.size() ? audio.data[sample] : 0) * 127) + 128;
    }
    if (change_codes) change_codes(codes);
    return codes;
  }
  Audio decode(const Codes& codes) const override {
    ++decoded;
    Audio audio{1, 1, 2 * codes.frames, {}};
    for (std::int64_t i = 0; i < audio.samples; ++i) {
      audio.data.push_back(static_cast<float>(codes.data[static_cast<std::size_t>(i / 2)] - 128) /
                           127);
    }
    if (change_audio) change_audio(audio);
    return audio;
  }

  CodecProperties stated;
  float latent = 0;
  mutable int encoded = 0;
  mutable int decoded = 0;
  std::function<void(Codes&)> change_codes;
  std::function<void(Audio&)> change_audio;
};

// "CODE: TEXT" of each.
std::vector<std::string> faults(const Codec& codec, const std::vector<FitFact>& stated = {}) {
  std::vector<std::string> all;
  for (const CodecFault& fault : check_codec(codec, stated)) {
    all.push_back(fault.code + ": " + fault.text);
  }
  return all;
}

TEST(CodecCheck, FindsNothingInASoundCodec) {
  Table codec;
  const std::vector<FitFact> stated = {
      {"codebooks", std::int64_t{2}, "a"},        {"cardinality", 256.0, "b"},
      {"sample_rate", std::int64_t{1'000}, "c"},  {"frame_rate", std::int64_t{500}, "d"},
      {"latent_dimension", std::int64_t{1}, "e"}, {"hop_length", std::int64_t{2}, "f"},
      {"channels", std::int64_t{1}, "g"},         {"levels", std::int64_t{7}, "h"}};
  EXPECT_THAT(faults(codec, stated), IsEmpty());
  EXPECT_EQ(codec.encoded, 3);
  EXPECT_EQ(codec.decoded, 2);
  codec.stated.frame_multiple = 32;
  EXPECT_THAT(faults(codec), IsEmpty());
}

TEST(CodecCheck, FindsFactsThatAreNotWhatTheCodecHas) {
  EXPECT_THAT(
      faults(Table(), {{"codebooks", std::int64_t{8}, "n_q in the configuration"},
                       {"channels", std::int64_t{1}, ""},
                       {"sample_rate", 999.0, ""},
                       {"frame_rate", std::string("500"), ""}}),
      ElementsAre("codec.facts: the codec has codebooks 2, its component states 8 (n_q in the "
                  "configuration)",
                  "codec.facts: the codec has sample_rate 1000, its component states 999",
                  "codec.facts: the codec has frame_rate 500, its component states 500"));
}

// Some codecs state the whole number below.
TEST(CodecCheck, FindsAFrameRateThatIsNoneOfItsHops) {
  Table codec;
  codec.stated.sample_rate = 1'001;
  EXPECT_THAT(faults(codec), IsEmpty());
  codec.stated.frame_rate = 250;
  EXPECT_THAT(faults(codec), ElementsAre("codec.frame_rate: the codec states frame_rate 250, by "
                                         "its sample_rate and hop_length it is 500.5"));
}

TEST(CodecCheck, FindsAnotherNumberOfFrames) {
  Table codec;
  codec.stated.hop_length = 4;
  codec.stated.frame_rate = 250;
  EXPECT_THAT(faults(codec), ElementsAre("codec.frames: encode() makes 500 frames of 999 samples, "
                                         "hop_length is 4"));
}

TEST(CodecCheck, FindsAnotherLength) {
  Table codec;
  codec.change_audio = [](Audio& audio) {
    audio.samples /= 2;
    audio.data.resize(audio.data.size() / 2);
  };
  EXPECT_THAT(
      faults(codec),
      ElementsAre("codec.length: decode() makes 500 samples of 500 frames, hop_length is 2; "
                  "encoded were 1000"));
  // A frame more or less is a matter of padding.
  codec.change_audio = [](Audio& audio) {
    audio.samples -= 2;
    audio.data.resize(audio.data.size() - 2);
  };
  EXPECT_THAT(faults(codec), IsEmpty());
}

TEST(CodecCheck, FindsWhatIsNoNumber) {
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  Table codec;
  codec.change_audio = [](Audio& audio) { audio.data[7] = audio.data[8] = kNone; };
  EXPECT_THAT(faults(codec), ElementsAre("codec.not_finite: the codec does not code audio: 2 of "
                                         "1000 decoded samples are no numbers"));
  Table scaled;
  scaled.change_codes = [](Codes& codes) { codes.scale = {kNone}; };
  EXPECT_THAT(faults(scaled),
              ElementsAre("codec.not_finite: encode() makes scales that are no numbers"));
  Table latent;
  latent.latent = kNone;
  EXPECT_THAT(faults(latent), ElementsAre("codec.not_finite: vectors before or behind the "
                                          "quantizer are no numbers"));
}

TEST(CodecCheck, FindsSilence) {
  Table codec;
  for (const float level : {0.0f, 0.25f}) {
    codec.change_audio = [&](Audio& audio) { std::ranges::fill(audio.data, level); };
    EXPECT_THAT(faults(codec), ElementsAre("codec.silence: the codec makes silence of sound"));
  }
}

TEST(CodecCheck, FindsThatTwoCallsDiffer) {
  Table codec;
  codec.change_audio = [&](Audio& audio) {
    audio.data[9] += 0.01f * static_cast<float>(codec.decoded);
  };
  EXPECT_THAT(faults(codec), ElementsAre("codec.varies: decoding the same codes twice gives other "
                                         "audio, which its properties do not say ('varies')"));
  codec.stated.varies = "its decoder adds noise";
  EXPECT_THAT(faults(codec), IsEmpty());
  Table rounding;
  rounding.change_audio = [&](Audio& audio) {
    audio.data[9] += 1e-6f * static_cast<float>(rounding.decoded);
  };
  EXPECT_THAT(faults(rounding), IsEmpty());
  Table dithering;
  dithering.change_codes = [&](Codes& codes) { codes.data[600] += dithering.encoded % 2; };
  EXPECT_THAT(faults(dithering),
              ElementsAre("codec.varies: encoding the same audio twice gives other codes, which "
                          "its properties do not say ('varies')"));
}

TEST(CodecCheck, FindsThatFewerCodebooksHaveOtherCodes) {
  Table codec;
  codec.change_codes = [](Codes& codes) {
    if (codes.codebooks == 1) codes.data[3] ^= 1;
  };
  EXPECT_THAT(faults(codec), ElementsAre("codec.codebooks: encode() with one codebook gives other "
                                         "codes than the first of all"));
}

TEST(CodecCheck, IsCancelled) {
  Cancellation cancellation;
  cancellation.cancel();
  expect_error(ErrorKind::interrupted, "run.interrupted", ::testing::Eq("interrupted"),
               [&] { check_codec(Table(), {}, cancellation); });
}

}  // namespace
}  // namespace craftbundle
