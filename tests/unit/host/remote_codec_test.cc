#include "remote_codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <stdexcept>

#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using ::testing::Eq;
using testing::expect_error;

// Gives what it is told to give.
class Puppet final : public Codec {
 public:
  Puppet() {
    stated.sample_rate = 8'000;
    stated.channels = 2;
    stated.codebooks = 3;
    stated.cardinality = 16;
    stated.latent_dimension = 4;
    stated.frame_rate = 100;
    stated.hop_length = 80;
  }
  const CodecProperties& properties() const override { return stated; }
  Latent encode_latent(const Audio& /*audio*/) const override {
    if (before) before();
    return latent;
  }
  Codes encode(const Audio& /*audio*/, std::int64_t /*codebooks*/) const override {
    if (before) before();
    return codes;
  }
  Latent decode_latent(const Codes& /*codes*/) const override {
    if (before) before();
    return latent;
  }
  Audio decode(const Codes& /*codes*/) const override {
    if (before) before();
    return audio;
  }
  void save(OutputFile& /*file*/) const override {
    if (before) before();
  }

  CodecProperties stated;
  Latent latent{1, 4, 2, std::vector<float>(8)};
  Codes codes{1, 3, 2, {0, 1, 2, 3, 4, 15}, {}};
  Audio audio{1, 2, 5, std::vector<float>(10)};
  std::function<void()> before;
};

RemoteCodec remote(Puppet puppet) {
  return {Guarded<Codec>(std::make_unique<Puppet>(std::move(puppet))), "x.so: codec 'puppet'"};
}

const Audio kAudio = {1, 2, 160, std::vector<float>(320)};

// What is wrong, of the plugin.
template <typename Action>
void expect_blame(const std::string& what, Action&& action) {
  expect_error(ErrorKind::plugin, "plugin.codec", Eq("x.so: codec 'puppet': " + what), action);
}

TEST(RemoteCodec, PassesOnWhatIsSound) {
  const RemoteCodec codec = remote({});
  EXPECT_EQ(codec.properties().hop_length, 80);
  EXPECT_EQ(codec.encode(kAudio, 0).data.back(), 15);
  EXPECT_EQ(codec.encode_latent(kAudio).data.size(), 8u);
  EXPECT_EQ(codec.decode_latent(codec.encode(kAudio, 3)).dimension, 4);
  EXPECT_EQ(codec.decode(codec.encode(kAudio, 0)).samples, 5);
  Puppet loud;
  loud.codes.scale = {0.5f};
  EXPECT_EQ(remote(loud).encode(kAudio, 0).scale.size(), 1u);
  Puppet silent;
  silent.codes = {1, 3, 0, {}, {}};
  EXPECT_EQ(remote(silent).encode(kAudio, 0).frames, 0);
}

TEST(RemoteCodec, RefusesPropertiesThatNoCodecHas) {
  const auto refuse = [](const std::string& what, void (*change)(CodecProperties&)) {
    Puppet puppet;
    change(puppet.stated);
    expect_blame(what, [&] { remote(puppet); });
  };
  refuse("states sample_rate 0", [](CodecProperties& p) { p.sample_rate = 0; });
  refuse("states channels -1", [](CodecProperties& p) { p.channels = -1; });
  refuse("states codebooks 0", [](CodecProperties& p) { p.codebooks = 0; });
  refuse("states cardinality 0", [](CodecProperties& p) { p.cardinality = 0; });
  refuse("states latent_dimension 0", [](CodecProperties& p) { p.latent_dimension = 0; });
  refuse("states hop_length 0", [](CodecProperties& p) { p.hop_length = 0; });
  // A product with another such number must fit.
  refuse("states hop_length 4294967296",
         [](CodecProperties& p) { p.hop_length = std::int64_t{1} << 32; });
  refuse("states context_frames -1", [](CodecProperties& p) { p.context_frames = -1; });
  refuse("states context_frames 9223372036854775807",
         [](CodecProperties& p) { p.context_frames = std::numeric_limits<std::int64_t>::max(); });
  refuse("states frame_rate 0", [](CodecProperties& p) { p.frame_rate = 0; });
  refuse("states frame_rate nan", [](CodecProperties& p) { p.frame_rate = NAN; });
  refuse("states frame_rate inf", [](CodecProperties& p) { p.frame_rate = INFINITY; });
}

TEST(RemoteCodec, RefusesACodecThatIsNull) {
  expect_blame("a codec that is null was made",
               [] { RemoteCodec(Guarded<Codec>(nullptr), "x.so: codec 'puppet'"); });
}

TEST(RemoteCodec, RefusesCodesOfAnotherSize) {
  const auto refuse = [](const std::string& what, Codes codes, std::int64_t codebooks = 0) {
    Puppet puppet;
    puppet.codes = std::move(codes);
    expect_blame("encode() returned " + what, [&] { remote(puppet).encode(kAudio, codebooks); });
  };
  refuse("codes of 1 x 3 x 4 in 6 numbers for 1 inputs and 3 codebooks",
         {1, 3, 4, std::vector<std::int64_t>(6), {}});
  refuse("codes of 1 x 2 x 2 in 4 numbers for 1 inputs and 3 codebooks",
         {1, 2, 2, std::vector<std::int64_t>(4), {}});
  refuse("codes of 1 x 3 x 2 in 6 numbers for 1 inputs and 2 codebooks",
         {1, 3, 2, std::vector<std::int64_t>(6), {}}, 2);
  refuse("codes of 2 x 3 x 1 in 6 numbers for 1 inputs and 3 codebooks",
         {2, 3, 1, std::vector<std::int64_t>(6), {}});
  refuse("codes of 1 x 3 x -1 in 0 numbers for 1 inputs and 3 codebooks", {1, 3, -1, {}, {}});
  refuse("codes of 1 x 3 x 4611686018427387904 in 0 numbers for 1 inputs and 3 codebooks",
         {1, 3, std::int64_t{1} << 62, {}, {}});
  refuse("2 scales for 1 inputs", {1, 3, 1, {1, 2, 3}, {1, 1}});
}

TEST(RemoteCodec, RefusesCodesOutsideOfTheirCodebook) {
  const auto refuse = [](const std::string& what, std::int64_t code) {
    Puppet puppet;
    puppet.codes.data[3] = code;
    expect_blame("encode() returned the code " + what + ", a codebook has 16",
                 [&] { remote(puppet).encode(kAudio, 0); });
  };
  refuse("16", 16);
  refuse("-1", -1);
}

TEST(RemoteCodec, RefusesAudioOfAnotherSize) {
  const auto refuse = [](const std::string& what, Audio audio) {
    Puppet puppet;
    puppet.audio = std::move(audio);
    expect_blame("decode() returned audio of " + what + " for 1 inputs and 2 channels",
                 [&] { remote(puppet).decode(puppet.codes); });
  };
  refuse("1 x 2 x 5 in 9 numbers", {1, 2, 5, std::vector<float>(9)});
  refuse("1 x 1 x 5 in 5 numbers", {1, 1, 5, std::vector<float>(5)});
  refuse("0 x 2 x 5 in 0 numbers", {0, 2, 5, {}});
}

TEST(RemoteCodec, RefusesVectorsOfAnotherSize) {
  const auto refuse = [](const std::string& what, Latent latent) {
    Puppet puppet;
    puppet.latent = std::move(latent);
    const std::string expected =
        " returned vectors of " + what + " for 1 inputs and a dimension of 4";
    expect_blame("encode_latent()" + expected, [&] { remote(puppet).encode_latent(kAudio); });
    expect_blame("decode_latent()" + expected, [&] { remote(puppet).decode_latent(puppet.codes); });
  };
  refuse("1 x 4 x 2 in 7 numbers", {1, 4, 2, std::vector<float>(7)});
  refuse("1 x 5 x 1 in 5 numbers", {1, 5, 1, std::vector<float>(5)});
  refuse("3 x 4 x 1 in 12 numbers", {3, 4, 1, std::vector<float>(12)});
}

// Of each function.
template <typename Expect>
void fail_with(std::function<void()> before, Expect&& expect) {
  Puppet puppet;
  puppet.before = std::move(before);
  const RemoteCodec codec = remote(puppet);
  expect([&] { codec.encode_latent(kAudio); });
  expect([&] { codec.encode(kAudio, 0); });
  expect([&] { codec.decode_latent(puppet.codes); });
  expect([&] { codec.decode(puppet.codes); });
  expect([&] {
    const testing::TemporaryDirectory directory;
    OutputFile file(directory.path(), Durability::no_sync);
    codec.save(file);
  });
}

TEST(RemoteCodec, LeavesErrorsOfTheCodecAsTheyAre) {
  fail_with([] { throw Error(ErrorKind::usage, "codec.shape", "two channels", "give two"); },
            [](auto&& action) {
              expect_error(ErrorKind::usage, "codec.shape", Eq("two channels"), action);
            });
}

TEST(RemoteCodec, NamesTheCulpritOfEverythingElse) {
  fail_with([] { throw std::runtime_error("bad day"); },
            [](auto&& action) {
              expect_error(ErrorKind::plugin, "plugin.exception",
                           Eq("x.so: codec 'puppet': bad day"), action);
            });
  fail_with([] { throw 7; },
            [](auto&& action) {
              expect_error(ErrorKind::plugin, "plugin.exception",
                           Eq("x.so: codec 'puppet': an exception that is no std::exception"),
                           action);
            });
  fail_with([] { throw std::bad_alloc(); },
            [](auto&& action) {
              expect_error(ErrorKind::system, "run.memory", Eq("out of memory"), action);
            });
}

// ---- codecs of several rates ----

Puppet with_rates() {
  Puppet puppet;
  puppet.stated.frame_multiple = 2;
  puppet.stated.frames_per_code = {4, 2, 1};
  puppet.codes = {1, 3, 4, {7, 7, 7, 7, 3, 3, 9, 9, 0, 1, 2, 3}, {}};
  return puppet;
}

TEST(RemoteCodec, PassesOnCodesOfSeveralRates) {
  const RemoteCodec codec = remote(with_rates());
  EXPECT_EQ(codec.encode(kAudio, 0).frames, 4);
  EXPECT_EQ(codec.decode(codec.encode(kAudio, 0)).samples, 5);
  // Some of the codebooks.
  EXPECT_EQ(codec.decode({1, 1, 8, {1, 1, 1, 1, 5, 5, 5, 5}, {}}).samples, 5);
}

TEST(RemoteCodec, BlamesCodesThatAreNotWhole) {
  Puppet torn = with_rates();
  torn.codes.data[6] = 8;
  expect_blame(
      "encode() returned codes that differ: a code of codebook 1 stands for 2 frames, and the one "
      "of frame 3 is another than that of frame 2",
      [&] { remote(torn).encode(kAudio, 0); });
  Puppet odd = with_rates();
  odd.codes = {1, 3, 6, std::vector<std::int64_t>(18), {}};
  expect_blame("encode() returned 6 frames, which is no multiple of 4",
               [&] { remote(odd).encode(kAudio, 0); });
}

TEST(RemoteCodec, RefusesCodesThatAreNotWhole) {
  const RemoteCodec codec = remote(with_rates());
  const Codes short_by_one{1, 1, 3, {1, 1, 1}, {}};
  for (const bool latent : {false, true}) {
    const auto decode = [&](const Codes& codes) {
      latent ? void(codec.decode_latent(codes)) : void(codec.decode(codes));
    };
    expect_error(ErrorKind::usage, "codec.shape",
                 Eq("the codec takes a multiple of 4 frames, given were 3"),
                 [&] { decode(short_by_one); });
    expect_error(ErrorKind::input, "codec.code",
                 Eq("a code of codebook 0 stands for 4 frames, and the one of frame 2 is another "
                    "than that of frame 0"),
                 [&] {
                   decode({1, 1, 4, {1, 1, 2, 1}, {}});
                 });
  }
}

TEST(RemoteCodec, BlamesRatesThatNoCodecHas) {
  const auto blamed = [](std::int64_t multiple, std::vector<std::int64_t> rates,
                         const std::string& what) {
    Puppet puppet;
    puppet.stated.frame_multiple = multiple;
    puppet.stated.frames_per_code = std::move(rates);
    expect_blame(what, [&] { remote(puppet); });
  };
  blamed(0, {}, "states frame_multiple 0");
  blamed(-3, {}, "states frame_multiple -3");
  blamed(1, {4, 2}, "states frames_per_code of 2 codebooks, it has 3");
  blamed(1, {4, 0, 1}, "states frame_multiple 1 and frames_per_code 4 0 1");
}

}  // namespace
}  // namespace craftbundle
