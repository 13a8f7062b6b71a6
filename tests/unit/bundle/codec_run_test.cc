#include "craftbundle/detail/bundle/codec_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using ::testing::Eq;
using testing::expect_error;

// Codes and samples that depend on their neighbours, all in small integers: what a piece makes of
// them can be compared with what the whole makes, number by number.
class Blur final : public Codec {
 public:
  Blur(std::int64_t hop, std::int64_t context, std::int64_t channels = 1) {
    properties_.sample_rate = 1'000;
    properties_.channels = channels;
    properties_.codebooks = 3;
    properties_.cardinality = 97;
    properties_.latent_dimension = 1;
    properties_.hop_length = hop;
    properties_.frame_rate = 1'000.0 / static_cast<double>(hop);
    properties_.context_frames = context;
  }

  const CodecProperties& properties() const override { return properties_; }
  Latent encode_latent(const Audio& /*audio*/) const override { return {}; }
  Latent decode_latent(const Codes& /*codes*/) const override { return {}; }
  void save(OutputFile& /*file*/) const override {}

  Codes encode(const Audio& audio, std::int64_t codebooks) const override {
    most_samples = std::max(most_samples, audio.samples);
    const std::int64_t hop = properties_.hop_length;
    const std::int64_t frames = (audio.samples + hop - 1) / hop;
    std::vector<std::int64_t> sums(static_cast<std::size_t>(frames));
    for (std::int64_t channel = 0; channel < audio.channels; ++channel) {
      for (std::int64_t i = 0; i < audio.samples; ++i) {
        const float sample = audio.data[static_cast<std::size_t>(channel * audio.samples + i)];
        sums[static_cast<std::size_t>(i / hop)] +=
            std::lround(sample * 1000) * (channel + 1) * (i % hop + 1);
      }
    }
    Codes codes{1, codebooks == 0 ? properties_.codebooks : codebooks, frames, {}, {}};
    for (std::int64_t book = 0; book < codes.codebooks; ++book) {
      for (std::int64_t frame = 0; frame < frames; ++frame) {
        const std::int64_t blurred = blur(sums, frame, book + 1) % properties_.cardinality;
        codes.data.push_back((blurred + properties_.cardinality) % properties_.cardinality);
      }
    }
    return codes;
  }

  Audio decode(const Codes& codes) const override {
    most_frames = std::max(most_frames, codes.frames);
    std::vector<std::int64_t> sums(static_cast<std::size_t>(codes.frames));
    for (std::size_t i = 0; i < codes.data.size(); ++i) sums[i % sums.size()] += codes.data[i];
    Audio audio{1, properties_.channels, codes.frames * properties_.hop_length + tail, {}};
    for (std::int64_t channel = 0; channel < audio.channels; ++channel) {
      for (std::int64_t i = 0; i < audio.samples; ++i) {
        const std::int64_t frame = std::min(i / properties_.hop_length, codes.frames - 1);
        audio.data.push_back(
            static_cast<float>(blur(sums, frame, channel + 2) + i % properties_.hop_length));
      }
    }
    return audio;
  }

  std::int64_t tail = 0;  // samples that decoding makes beyond the last frame
  mutable std::int64_t most_samples = 0;
  mutable std::int64_t most_frames = 0;

 private:
  std::int64_t blur(const std::vector<std::int64_t>& sums, std::int64_t frame,
                    std::int64_t first_weight) const {
    const std::int64_t reach = properties_.context_frames;
    std::int64_t sum = 0;
    for (std::int64_t i = -reach; i <= reach; ++i) {
      const std::int64_t at = frame + i;
      if (at < 0 || at >= static_cast<std::int64_t>(sums.size())) continue;
      sum += (first_weight + i + reach) * sums[static_cast<std::size_t>(at)];
    }
    return sum;
  }

  CodecProperties properties_;
};

// Codes of three rates, and frames that see all frames of their window and one to each side: input
// is filled up to whole windows.
class Attending final : public Codec {
 public:
  static constexpr std::int64_t kHop = 3;
  static constexpr std::int64_t kWindow = 6;

  Attending() {
    properties_.sample_rate = 1'000;
    properties_.codebooks = 3;
    properties_.cardinality = 64;
    properties_.latent_dimension = 1;
    properties_.hop_length = kHop;
    properties_.frame_rate = 1'000.0 / kHop;
    properties_.frame_multiple = kWindow;
    properties_.frames_per_code = {4, 2, 1};
    properties_.context_frames = kWindow;
  }
  const CodecProperties& properties() const override { return properties_; }
  Latent encode_latent(const Audio& /*audio*/) const override { return {}; }
  Latent decode_latent(const Codes& /*codes*/) const override { return {}; }
  void save(OutputFile& /*file*/) const override {}

  Codes encode(const Audio& audio, std::int64_t codebooks) const override {
    const std::int64_t step = 12 * kHop;
    std::vector<std::int64_t> frames(
        static_cast<std::size_t>((audio.samples + step - 1) / step * 12));
    for (std::int64_t i = 0; i < audio.samples; ++i) {
      frames[static_cast<std::size_t>(i / kHop)] +=
          std::lround(audio.data[static_cast<std::size_t>(i)] * 1000) * (i % kHop + 1);
    }
    const std::vector<std::int64_t> seen = look_around(frames);
    Codes codes{1, codebooks == 0 ? 3 : codebooks, static_cast<std::int64_t>(seen.size()), {}, {}};
    for (std::int64_t book = 0; book < codes.codebooks; ++book) {
      const std::int64_t rate = properties_.frames_per_code[static_cast<std::size_t>(book)];
      for (std::int64_t frame = 0; frame < codes.frames; ++frame) {
        std::int64_t sum = book;
        for (std::int64_t i = frame / rate * rate; i < (frame / rate + 1) * rate; ++i) {
          sum += seen[static_cast<std::size_t>(i)];
        }
        codes.data.push_back((sum % 64 + 64) % 64);
      }
    }
    return codes;
  }

  Audio decode(const Codes& codes) const override {
    EXPECT_EQ(codes.frames % 12, 0);
    std::vector<std::int64_t> frames(static_cast<std::size_t>(codes.frames));
    for (std::size_t i = 0; i < codes.data.size(); ++i) frames[i % frames.size()] += codes.data[i];
    Audio audio{1, 1, codes.frames * kHop, {}};
    for (const std::int64_t frame : look_around(frames)) {
      for (std::int64_t i = 0; i < kHop; ++i) audio.data.push_back(static_cast<float>(frame + i));
    }
    return audio;
  }

 private:
  static std::vector<std::int64_t> look_around(const std::vector<std::int64_t>& frames) {
    std::vector<std::int64_t> seen;
    const auto count = static_cast<std::int64_t>(frames.size());
    for (std::int64_t frame = 0; frame < count; ++frame) {
      std::int64_t sum = 5 * frames[static_cast<std::size_t>(frame)];
      const std::int64_t window = frame / kWindow * kWindow;
      for (std::int64_t i = window - 1; i <= window + kWindow; ++i) {
        if (i >= 0 && i < count) sum += (i - window + 2) * frames[static_cast<std::size_t>(i)];
      }
      seen.push_back(sum);
    }
    return seen;
  }

  CodecProperties properties_;
};

// Each sample as one of 2001 steps of the loudest in the input.
class Loudness : public Codec {
 public:
  explicit Loudness(std::int64_t context) {
    properties_.sample_rate = 1'000;
    properties_.channels = 2;
    properties_.codebooks = 2;
    properties_.cardinality = 2'001;
    properties_.context_frames = context;
    properties_.whole_input = "it divides by the loudest sample";
  }
  const CodecProperties& properties() const override { return properties_; }
  Latent encode_latent(const Audio& /*audio*/) const override { return {}; }
  Latent decode_latent(const Codes& /*codes*/) const override { return {}; }
  void save(OutputFile& /*file*/) const override {}
  Codes encode(const Audio& audio, std::int64_t /*codebooks*/) const override {
    float loudest = 0;
    for (const float sample : audio.data) loudest = std::max(loudest, std::abs(sample));
    Codes codes{1, 2, audio.samples, {}, {loudest}};
    for (const float sample : audio.data) {
      codes.data.push_back(std::lround(sample / loudest * 1000) + 1000);
    }
    return codes;
  }
  Audio decode(const Codes& codes) const override {
    Audio audio{1, 2, codes.frames, {}};
    for (const std::int64_t code : codes.data) {
      audio.data.push_back(static_cast<float>(code - 1000) / 1000 * codes.scale.at(0));
    }
    return audio;
  }

 private:
  CodecProperties properties_;
};

// Audio in memory. Gives at most `largest` samples at a time, and ends after `there` samples.
class MemoryReader final : public AudioReader {
 public:
  explicit MemoryReader(Audio audio, std::int64_t rate = 1'000)
      : audio_(std::move(audio)), rate_(rate), there(audio_.samples) {}
  std::int64_t sample_rate() const override { return rate_; }
  std::int64_t channels() const override { return audio_.channels; }
  std::int64_t samples() const override { return audio_.samples; }
  Audio read(std::int64_t count) override {
    Audio part{1, audio_.channels, std::min({count, largest, there - done_}), {}};
    for (std::int64_t channel = 0; channel < audio_.channels; ++channel) {
      const auto begin = audio_.data.begin() + channel * audio_.samples + done_;
      part.data.insert(part.data.end(), begin, begin + part.samples);
    }
    done_ += part.samples;
    return part;
  }

 private:
  Audio audio_;
  std::int64_t rate_;
  std::int64_t done_ = 0;

 public:
  std::int64_t largest = std::numeric_limits<std::int64_t>::max();
  std::int64_t there;
};

Audio some_audio(std::int64_t samples, std::int64_t channels = 1) {
  Audio audio{1, channels, samples, {}};
  for (std::int64_t i = 0; i < samples * channels; ++i) {
    audio.data.push_back(static_cast<float>(i * 7919 % 2003 - 1001) / 1000);
  }
  return audio;
}

// Rows of pieces, put together.
template <typename T>
struct Joined {
  std::vector<std::vector<T>> rows;

  void add(const std::vector<T>& data, std::int64_t count, std::int64_t width) {
    rows.resize(static_cast<std::size_t>(count));
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const auto begin = data.begin() + static_cast<std::int64_t>(row) * width;
      rows[row].insert(rows[row].end(), begin, begin + width);
    }
  }
  void add(const Audio& audio) { add(audio.data, audio.channels, audio.samples); }
  void add(const Codes& codes) { add(codes.data, codes.codebooks, codes.frames); }
  std::vector<T> data() const {
    std::vector<T> all;
    for (const std::vector<T>& row : rows) all.insert(all.end(), row.begin(), row.end());
    return all;
  }
};

PieceOptions pieces_of(std::int64_t frames, const Codec& codec) {
  const CodecProperties& properties = codec.properties();
  PieceOptions options;
  options.seconds = static_cast<double>(frames * properties.hop_length) /
                    static_cast<double>(properties.sample_rate);
  return options;
}

struct Coded {
  Joined<std::int64_t> codes;
  Joined<float> input;
  Joined<float> output;
  std::vector<std::int64_t> frames;  // of each piece
};

Coded code_in_pieces(const Codec& codec, AudioReader& reader, const PieceOptions& options) {
  Coded coded;
  PieceDecoder decoder(codec, options);
  encode_pieces(codec, reader, options, [&](const CodedPiece& piece) {
    coded.frames.push_back(piece.codes.frames);
    coded.codes.add(piece.codes);
    coded.input.add(piece.audio);
    coded.output.add(decoder.give(piece.codes, piece.last));
  });
  EXPECT_EQ(decoder.finish().samples, 0);
  return coded;
}

// ---- pieces ----

TEST(Pieces, GiveTheCodesAndTheAudioOfTheWhole) {
  for (const std::int64_t hop : {1, 4}) {
    for (const std::int64_t context : {0, 1, 3}) {
      for (const std::int64_t piece : {1, 2, 5, 100}) {
        for (const std::int64_t samples : {1, 3, 4, 5, 16, 17, 41, 44, 83, 200}) {
          SCOPED_TRACE("hop " + std::to_string(hop) + ", context " + std::to_string(context) +
                       ", pieces of " + std::to_string(piece) + ", samples " +
                       std::to_string(samples));
          const Blur codec(hop, context);
          const Audio audio = some_audio(samples);
          const Codes codes = codec.encode(audio, 0);
          const Audio decoded = codec.decode(codes);
          codec.most_samples = 0;
          codec.most_frames = 0;
          MemoryReader reader(audio);
          const Coded found = code_in_pieces(codec, reader, pieces_of(piece, codec));
          ASSERT_EQ(found.input.data(), audio.data);
          ASSERT_EQ(found.codes.data(), codes.data);
          ASSERT_EQ(found.output.data(), decoded.data);
          // Memory does not follow the length.
          ASSERT_LE(codec.most_samples, (piece + 2 * context) * hop);
          ASSERT_LE(codec.most_frames, piece + 3 * context);
        }
      }
    }
  }
}

TEST(Pieces, BeginWhereWindowsAndCodesOfSeveralFramesDo) {
  const Attending codec;
  for (const std::int64_t piece : {1, 5, 12, 13, 40}) {
    for (const std::int64_t samples : {1, 35, 36, 37, 100, 359, 1'000}) {
      for (const std::int64_t codebooks : {1, 2, 3}) {
        SCOPED_TRACE("pieces of " + std::to_string(piece) + ", samples " + std::to_string(samples) +
                     ", codebooks " + std::to_string(codebooks));
        const Audio audio = some_audio(samples);
        const Codes codes = codec.encode(audio, codebooks);
        PieceOptions options = pieces_of(piece, codec);
        options.codebooks = codebooks;
        MemoryReader reader(audio);
        const Coded found = code_in_pieces(codec, reader, options);
        ASSERT_EQ(found.input.data(), audio.data);
        ASSERT_EQ(found.codes.data(), codes.data);
        ASSERT_EQ(found.output.data(), codec.decode(codes).data);
      }
    }
  }
}

// What follows would lie at the wrong place.
TEST(Pieces, OfACodecThatMakesLessThanItSaysAreRefused) {
  class Short final : public Loudness {
   public:
    Short(bool frames, bool samples) : Loudness(0), frames_(frames), samples_(samples) {}
    Codes encode(const Audio& audio, std::int64_t codebooks) const override {
      Codes codes = Loudness::encode(audio, codebooks);
      if (!frames_) return codes;
      return {1, 2, codes.frames - 1, {codes.data.begin(), codes.data.end() - 2}, codes.scale};
    }
    Audio decode(const Codes& codes) const override {
      Audio audio = Loudness::decode(codes);
      if (!samples_) return audio;
      return {1, 2, audio.samples - 1, {audio.data.begin(), audio.data.end() - 2}};
    }

   private:
    bool frames_;
    bool samples_;
  };
  const auto refused = [](const Short& codec, const std::string& what) {
    MemoryReader reader(some_audio(100, 2));
    expect_error(ErrorKind::plugin, "plugin.codec", Eq(what),
                 [&] { code_in_pieces(codec, reader, pieces_of(10, codec)); });
  };
  refused(Short(true, false),
          "the codec makes 9 frames of 10 samples, by its hop_length 10 at least");
  refused(Short(false, true),
          "the codec makes 9 samples of 10 frames, by its hop_length 10 at least");
}

TEST(Pieces, KeepChannelsApart) {
  const Blur codec(4, 2, 3);
  const Audio audio = some_audio(75, 3);
  const Codes codes = codec.encode(audio, 0);
  MemoryReader reader(audio);
  const Coded found = code_in_pieces(codec, reader, pieces_of(3, codec));
  EXPECT_EQ(found.input.data(), audio.data);
  EXPECT_EQ(found.codes.data(), codes.data);
  EXPECT_EQ(found.output.data(), codec.decode(codes).data);
}

// It would be coded with the last piece, and then once more as one.
TEST(Pieces, ARestShorterThanTheContextGoesWithTheLast) {
  const Blur codec(2, 3);
  const auto frames = [&](std::int64_t samples) {
    MemoryReader reader(some_audio(samples));
    return code_in_pieces(codec, reader, pieces_of(4, codec)).frames;
  };
  EXPECT_THAT(frames(2 * 11), ElementsAre(4, 7));
  EXPECT_THAT(frames(2 * 11 + 1), ElementsAre(4, 4, 4));
  EXPECT_THAT(frames(2 * 7), ElementsAre(7));
  EXPECT_THAT(frames(1), ElementsAre(1));
}

TEST(Pieces, AreRoundedUpToWholeFrames) {
  const Blur codec(4, 0);
  const auto frames = [&](double seconds) {
    MemoryReader reader(some_audio(20));
    PieceOptions options;
    options.seconds = seconds;
    return code_in_pieces(codec, reader, options).frames;
  };
  EXPECT_THAT(frames(0), ElementsAre(1, 1, 1, 1, 1));
  EXPECT_THAT(frames(0.0041), ElementsAre(2, 2, 1));
  EXPECT_THAT(frames(0.008), ElementsAre(2, 2, 1));
  EXPECT_THAT(frames(10), ElementsAre(5));
}

TEST(Pieces, ComeFromReadersThatGiveLittle) {
  const Blur codec(4, 2);
  const Audio audio = some_audio(90);
  MemoryReader reader(audio);
  reader.largest = 3;
  const Coded found = code_in_pieces(codec, reader, pieces_of(4, codec));
  EXPECT_EQ(found.input.data(), audio.data);
  EXPECT_EQ(found.codes.data(), codec.encode(audio, 0).data);
}

TEST(Pieces, UseAsManyCodebooksAsAskedFor) {
  const Blur codec(4, 1);
  PieceOptions options = pieces_of(3, codec);
  options.codebooks = 2;
  MemoryReader reader(some_audio(50));
  const Coded found = code_in_pieces(codec, reader, options);
  EXPECT_EQ(found.codes.rows.size(), 2u);
  EXPECT_EQ(found.codes.data(), codec.encode(some_audio(50), 2).data);
}

TEST(Pieces, OfAudioThatEndsEarlyAreRefused) {
  const Blur codec(4, 1);
  MemoryReader reader(some_audio(100));
  reader.there = 50;
  expect_error(ErrorKind::input, "codec.audio", Eq("the audio ends after 50 of 100 samples"),
               [&] { code_in_pieces(codec, reader, pieces_of(3, codec)); });
}

TEST(Pieces, OfOtherAudioAreRefused) {
  const Blur codec(4, 1, 2);
  const auto refuse = [&](Audio audio, std::int64_t rate, const std::string& message,
                          const std::string& hint) {
    MemoryReader reader(std::move(audio), rate);
    try {
      encode_pieces(codec, reader, {}, [](const CodedPiece&) { FAIL(); });
      ADD_FAILURE() << message;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_EQ(error.code(), "codec.audio");
      EXPECT_EQ(error.message(), message);
      EXPECT_EQ(error.hint(), hint);
    }
  };
  refuse(some_audio(8, 2), 44'100, "the audio has 44100 Hz (sample rate), the codec takes 1000",
         "convert it, for example with 'sox in.wav -r 1000 out.wav'");
  refuse(some_audio(8, 1), 1'000, "the audio has 1 channels, the codec takes 2",
         "convert it, for example with 'sox in.wav -c 2 out.wav'");
  refuse(some_audio(0, 2), 1'000, "the audio has no samples", "");
}

TEST(Pieces, AreCancelled) {
  const Blur codec(4, 1);
  Cancellation cancellation;
  PieceOptions options = pieces_of(2, codec);
  options.cancellation = &cancellation;
  MemoryReader reader(some_audio(100));
  int pieces = 0;
  expect_error(ErrorKind::interrupted, "run.interrupted", Eq("interrupted"), [&] {
    encode_pieces(codec, reader, options, [&](const CodedPiece&) {
      ++pieces;
      cancellation.cancel();
    });
  });
  EXPECT_EQ(pieces, 1);
}

TEST(PieceDecoder, TakesPiecesOfAnyLength) {
  for (const std::int64_t context : {0, 2}) {
    const Blur codec(3, context);
    const Codes codes = codec.encode(some_audio(3 * 40), 0);
    const Audio decoded = codec.decode(codes);
    const std::vector<std::vector<std::int64_t>> cuts = {
        std::vector<std::int64_t>(40, 1), {40}, {1, 39}, {39, 1}, {2, 3, 1, 1, 20, 13}};
    for (const std::vector<std::int64_t>& lengths : cuts) {
      PieceDecoder decoder(codec, {});
      Joined<float> found;
      std::int64_t first = 0;
      for (const std::int64_t length : lengths) {
        Codes part{1, codes.codebooks, length, {}, {}};
        for (std::int64_t book = 0; book < codes.codebooks; ++book) {
          const auto begin = codes.data.begin() + book * codes.frames + first;
          part.data.insert(part.data.end(), begin, begin + length);
        }
        first += length;
        found.add(decoder.give(part));
      }
      found.add(decoder.finish());
      EXPECT_EQ(found.data(), decoded.data) << ::testing::PrintToString(lengths);
    }
  }
}

TEST(PieceDecoder, WaitsForWholeCodes) {
  const Attending codec;
  const Codes codes = codec.encode(some_audio(36 * 5), 0);
  PieceDecoder decoder(codec, {});
  Joined<float> found;
  for (std::int64_t frame = 0; frame < codes.frames; frame += 4) {
    Codes part{1, 3, 4, {}, {}};
    for (std::int64_t book = 0; book < 3; ++book) {
      const auto begin = codes.data.begin() + book * codes.frames + frame;
      part.data.insert(part.data.end(), begin, begin + 4);
    }
    found.add(decoder.give(part));
  }
  found.add(decoder.finish());
  EXPECT_EQ(found.data(), codec.decode(codes).data);
}

TEST(PieceDecoder, GivesNothingForNothing) {
  const Blur codec(3, 2, 2);
  PieceDecoder decoder(codec, {});
  const Audio rest = decoder.finish();
  EXPECT_EQ(rest.channels, 2);
  EXPECT_EQ(rest.samples, 0);
  EXPECT_TRUE(rest.data.empty());
}

// Samples that a codec makes after the last frame of each piece are no part of the audio, but for
// those of the last piece.
TEST(PieceDecoder, LeavesOutWhatFollowsAPiece) {
  Blur codec(4, 1);
  codec.tail = 3;
  const Audio audio = some_audio(60);
  MemoryReader reader(audio);
  EXPECT_EQ(code_in_pieces(codec, reader, pieces_of(4, codec)).output.data(),
            codec.decode(codec.encode(audio, 0)).data);
  Blur alone(4, 0);
  alone.tail = 3;
  MemoryReader again(audio);
  EXPECT_EQ(code_in_pieces(alone, again, pieces_of(4, alone)).output.data(),
            alone.decode(alone.encode(audio, 0)).data);
}

// The frames that wait for the next piece do not become as loud as that.
TEST(PieceDecoder, GivesEachFrameItsScale) {
  for (const std::int64_t context : {0, 3}) {
    const Loudness codec(context);
    Audio audio = some_audio(100, 2);
    for (std::size_t i = 0; i < audio.data.size(); ++i) {
      if (i % 100 >= 20 && i % 100 < 60) audio.data[i] *= 0.001f;
    }
    MemoryReader reader(audio);
    const std::vector<float> found =
        code_in_pieces(codec, reader, pieces_of(10, codec)).output.data();
    ASSERT_EQ(found.size(), audio.data.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      // Pieces of soft samples only have fine steps.
      const bool soft = i % 100 >= 30 && i % 100 < 50;
      EXPECT_NEAR(found[i], audio.data[i], soft ? 0.6e-6 : 0.6e-3) << i;
    }
  }
}

TEST(PieceDecoder, RefusesCodesThatLackTheScaleOfOthers) {
  const Loudness codec(3);
  for (const bool first : {true, false}) {
    PieceDecoder decoder(codec, {});
    const auto codes = [&](bool has_scale) {
      Codes some{1, 1, 2, {1, 1}, {}};
      if (has_scale) some.scale = {1};
      return some;
    };
    decoder.give(codes(first));
    expect_error(ErrorKind::plugin, "plugin.codec",
                 Eq("some of the codes have a scale, others none"),
                 [&] { decoder.give(codes(!first)); });
  }
}

// ---- what a run shows ----

// Samples become codes by a table of steps: no blur, one codebook.
class Steps final : public Codec {
 public:
  explicit Steps(std::int64_t steps) {
    properties_.sample_rate = 1'000;
    properties_.codebooks = 1;
    properties_.cardinality = steps;
  }
  const CodecProperties& properties() const override { return properties_; }
  Latent encode_latent(const Audio& /*audio*/) const override { return {}; }
  Latent decode_latent(const Codes& /*codes*/) const override { return {}; }
  void save(OutputFile& /*file*/) const override {}
  Codes encode(const Audio& audio, std::int64_t /*codebooks*/) const override {
    Codes codes{1, 1, audio.samples, {}, {}};
    const auto last = static_cast<float>(properties_.cardinality - 1);
    for (const float sample : audio.data) {
      codes.data.push_back(std::lround((std::clamp(sample, -1.0f, 1.0f) + 1) / 2 * last));
    }
    return codes;
  }
  Audio decode(const Codes& codes) const override {
    Audio audio{1, 1, codes.frames, {}};
    const auto last = static_cast<float>(properties_.cardinality - 1);
    for (const std::int64_t code : codes.data) {
      audio.data.push_back(gain * (static_cast<float>(code) / last * 2 - 1));
    }
    return audio;
  }
  float gain = 1;

 private:
  CodecProperties properties_;
};

double si_snr(const std::vector<float>& wanted, const std::vector<float>& found) {
  const auto centred = [](const std::vector<float>& data) {
    double mean = 0;
    for (const float number : data) mean += number / static_cast<double>(data.size());
    std::vector<double> result;
    for (const float number : data) result.push_back(number - mean);
    return result;
  };
  const std::vector<double> x = centred(wanted);
  const std::vector<double> y = centred(found);
  double xx = 0;
  double xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += x[i] * x[i];
    xy += x[i] * y[i];
  }
  double target = 0;
  double noise = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double part = xy / xx * x[i];
    target += part * part;
    noise += (y[i] - part) * (y[i] - part);
  }
  return 10 * std::log10(target / noise);
}

TEST(RunCodec, CountsAndMeasures) {
  Blur codec(4, 2);
  codec.tail = 5;
  const Audio audio = some_audio(997);
  MemoryReader reader(audio);
  PieceOptions options = pieces_of(20, codec);
  options.codebooks = 2;
  Joined<float> written;
  const CodecRun run =
      run_codec(codec, reader, options, [&](const Audio& part) { written.add(part); });
  EXPECT_EQ(run.samples, 997);
  EXPECT_DOUBLE_EQ(run.seconds, 0.997);
  EXPECT_EQ(run.frames, 250);
  EXPECT_EQ(run.codebooks, 2);
  EXPECT_DOUBLE_EQ(run.bits_per_second, 2 * std::log2(97.0) * 250 / 0.997);
  EXPECT_GT(run.encode_seconds, 0);
  EXPECT_GT(run.decode_seconds, 0);
  EXPECT_DOUBLE_EQ(run.encode_speed(), 0.997 / run.encode_seconds);
  EXPECT_DOUBLE_EQ(run.decode_speed(), 0.997 / run.decode_seconds);
  EXPECT_DOUBLE_EQ(run.codes_per_second(), 500 / run.encode_seconds);

  // Cut to the length of the input.
  const Codes codes = codec.encode(audio, 2);
  std::vector<float> decoded = codec.decode(codes).data;
  decoded.resize(997);
  EXPECT_EQ(written.data(), decoded);
  EXPECT_NEAR(run.si_snr, si_snr(audio.data, decoded), 1e-6);

  ASSERT_EQ(run.use.size(), 2u);
  for (std::size_t book = 0; book < 2; ++book) {
    std::vector<double> counts(97);
    for (std::size_t i = 0; i < 250; ++i) {
      counts[static_cast<std::size_t>(codes.data[book * 250 + i])] += 1;
    }
    double entropy = 0;
    std::int64_t used = 0;
    for (const double count : counts) {
      if (count == 0) continue;
      ++used;
      entropy -= count / 250 * std::log2(count / 250);
    }
    EXPECT_EQ(run.use[book].used, used);
    EXPECT_NEAR(run.use[book].entropy, entropy, 1e-9);
  }
}

// A code that stands for several frames is one code.
TEST(RunCodec, CountsCodesOfSeveralRates) {
  const Attending codec;
  MemoryReader reader(some_audio(360));
  const CodecRun run = run_codec(codec, reader, pieces_of(24, codec));
  EXPECT_EQ(run.frames, 120);
  EXPECT_EQ(run.codes, 30 + 60 + 120);
  EXPECT_DOUBLE_EQ(run.bits_per_second, 6 * 210 / 0.36);
  EXPECT_DOUBLE_EQ(run.codes_per_second(), 210 / run.encode_seconds);
  const Codes codes = codec.encode(some_audio(360), 0);
  for (std::size_t book = 0; book < 3; ++book) {
    const auto rate = static_cast<std::size_t>(codec.properties().frames_per_code[book]);
    std::map<std::int64_t, double> counts;
    for (std::size_t i = 0; i < 120; i += rate) counts[codes.data[book * 120 + i]] += 1;
    double entropy = 0;
    for (const auto& [code, count] : counts) {
      const double share = count * static_cast<double>(rate) / 120;
      entropy -= share * std::log2(share);
    }
    EXPECT_EQ(run.use.at(book).used, static_cast<std::int64_t>(counts.size()));
    EXPECT_NEAR(run.use.at(book).entropy, entropy, 1e-9);
  }
}

TEST(BitsPerSecond, FollowCodebooksAndTheirRates) {
  // 24 kHz, 12 bits: 11.7, 23.4 and 46.9 codes a second.
  CodecProperties codec;
  codec.sample_rate = 24'000;
  codec.codebooks = 3;
  codec.cardinality = 4'096;
  codec.hop_length = 512;
  codec.frames_per_code = {4, 2, 1};
  EXPECT_DOUBLE_EQ(bits_per_second(codec, 1), 140.625);
  EXPECT_DOUBLE_EQ(bits_per_second(codec, 2), 421.875);
  EXPECT_DOUBLE_EQ(bits_per_second(codec, 3), 984.375);
  EXPECT_DOUBLE_EQ(bits_per_second(codec, 0), 984.375);
  // 24 kHz, 75 frames, 10 bits: the bandwidths that are published with 2, 4, 8, 16 and 32.
  codec = {};
  codec.sample_rate = 24'000;
  codec.codebooks = 32;
  codec.cardinality = 1'024;
  codec.hop_length = 320;
  for (const std::int64_t codebooks : {2, 4, 8, 16, 32}) {
    EXPECT_DOUBLE_EQ(bits_per_second(codec, codebooks), 750.0 * static_cast<double>(codebooks));
  }
}

TEST(FrameStep, IsAMultipleOfAllThatHasToBeWhole) {
  CodecProperties codec;
  EXPECT_EQ(frame_step(codec), 1);
  codec.frames_per_code = {4, 2, 1};
  EXPECT_EQ(frame_step(codec), 4);
  codec.frame_multiple = 6;
  EXPECT_EQ(frame_step(codec), 12);
  codec.frames_per_code = {4, 0};
  EXPECT_EQ(frame_step(codec), 0);
  codec.frames_per_code = {4, -1};
  EXPECT_EQ(frame_step(codec), 0);
  codec.frames_per_code = {};
  codec.frame_multiple = 0;
  EXPECT_EQ(frame_step(codec), 0);
  codec.frame_multiple = (std::int64_t{1} << 31) - 1;
  codec.frames_per_code = {2};
  EXPECT_EQ(frame_step(codec), 0);
}

CodecRun run_steps(std::int64_t steps, Audio audio, float gain = 1) {
  Steps codec(steps);
  codec.gain = gain;
  MemoryReader reader(std::move(audio));
  return run_codec(codec, reader, pieces_of(30, codec));
}

TEST(RunCodec, KnowsHowWellCodebooksAreUsed) {
  const CodecRun even = run_steps(2, {1, 1, 4, {-1, 1, 1, -1}});
  EXPECT_EQ(even.use.at(0).used, 2);
  EXPECT_DOUBLE_EQ(even.use.at(0).entropy, 1);
  const CodecRun one = run_steps(2, {1, 1, 3, {1, 1, 1}});
  EXPECT_EQ(one.use.at(0).used, 1);
  EXPECT_DOUBLE_EQ(one.use.at(0).entropy, 0);
}

TEST(RunCodec, MeasuresWhatDoesNotDependOnTheScale) {
  const Audio audio = some_audio(500);
  const double fine = run_steps(1'001, audio).si_snr;
  EXPECT_GT(fine, 55);
  EXPECT_NEAR(run_steps(1'001, audio, 0.25).si_snr, fine, 1e-3);
  EXPECT_LT(run_steps(11, audio).si_snr, fine - 30);
  // Nothing is lost: as good as rounding lets it be.
  EXPECT_GT(run_steps(2, {1, 1, 4, {-1, 1, 1, -1}}).si_snr, 140);
}

TEST(RunCodec, FindsNoSignalInSilence) {
  const CodecRun silence = run_steps(3, {1, 1, 100, std::vector<float>(100)});
  EXPECT_EQ(silence.si_snr, -std::numeric_limits<double>::infinity());
  // And none in what was decoded.
  EXPECT_EQ(run_steps(101, some_audio(100), 0).si_snr, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(run_steps(3, {1, 1, 1, {1}}).si_snr, -std::numeric_limits<double>::infinity());
}

TEST(RunCodec, MeasuresLevels) {
  const CodecRun run = run_steps(3, {1, 1, 4, {1, -1, 1, -1}}, 0.5f);
  EXPECT_DOUBLE_EQ(run.level, 1);
  EXPECT_DOUBLE_EQ(run.decoded_level, 0.5);
  const CodecRun constant = run_steps(3, {1, 1, 4, {1, 1, 1, 1}});
  EXPECT_DOUBLE_EQ(constant.level, 0);
  EXPECT_DOUBLE_EQ(constant.decoded_level, 0);
}

TEST(RunCodec, RefusesACodecThatDecodesToNoNumbers) {
  const Audio audio{1, 1, 4, {0.5f, -0.5f, 0.25f, 1.0f}};
  for (const float gain :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    testing::expect_error(ErrorKind::mismatch, "codec.not_finite",
                          "the codec does not code audio: 4 of 4 decoded samples are no numbers",
                          [&] { run_steps(5, audio, gain); });
  }
}

TEST(RunCodec, RefusesAsItsPiecesDo) {
  const Blur codec(4, 1);
  MemoryReader reader(some_audio(8), 48'000);
  expect_error(ErrorKind::usage, "codec.audio",
               Eq("the audio has 48000 Hz (sample rate), the codec takes 1000"),
               [&] { run_codec(codec, reader, {}); });
}

// ---- the test signal ----

TEST(TestSignal, IsTheSameHoweverItIsRead) {
  const auto whole = test_signal(16'000, 2, 1.5);
  EXPECT_EQ(whole->sample_rate(), 16'000);
  EXPECT_EQ(whole->channels(), 2);
  EXPECT_EQ(whole->samples(), 24'000);
  const Audio audio = whole->read(100'000);
  EXPECT_EQ(audio.batch, 1);
  EXPECT_EQ(audio.channels, 2);
  EXPECT_EQ(audio.samples, 24'000);
  EXPECT_EQ(whole->read(10).samples, 0);
  const auto again = test_signal(16'000, 2, 1.5);
  Joined<float> joined;
  for (;;) {
    const Audio part = again->read(777);
    if (part.samples == 0) break;
    joined.add(part);
  }
  EXPECT_EQ(joined.data(), audio.data);
}

// Computed from the same formula elsewhere.
TEST(TestSignal, IsTheSameOnEveryMachine) {
  const auto reader = test_signal(32'000, 2, 8);
  const Audio audio = reader->read(reader->samples());
  const auto sample = [&](std::int64_t channel, std::int64_t index) {
    return audio.data[static_cast<std::size_t>(channel * audio.samples + index)];
  };
  EXPECT_NEAR(sample(0, 0), -0.03, 1e-6);
  EXPECT_NEAR(sample(1, 0), -0.0243790844, 1e-6);
  EXPECT_NEAR(sample(0, 1'000), -0.0731705230, 1e-6);
  EXPECT_NEAR(sample(1, 100'000), 0.1285862067, 1e-6);
  EXPECT_NEAR(sample(0, 255'999), -0.1330928207, 1e-6);
}

TEST(TestSignal, IsLoudAndVariedEnough) {
  const auto reader = test_signal(32'000, 2, 8);
  const Audio audio = reader->read(reader->samples());
  const std::vector<float> left(audio.data.begin(), audio.data.begin() + audio.samples);
  const std::vector<float> right(audio.data.begin() + audio.samples, audio.data.end());
  EXPECT_NE(left, right);
  double power = 0;
  for (const float sample : audio.data) {
    ASSERT_LE(std::abs(sample), 1);
    power += sample * sample / static_cast<double>(audio.data.size());
  }
  EXPECT_GT(power, 0.01);
  // No second of it is another second again.
  for (int second = 1; second < 8; ++second) {
    EXPECT_LT(si_snr({left.begin(), left.begin() + 32'000},
                     {left.begin() + second * 32'000, left.begin() + (second + 1) * 32'000}),
              20);
  }
}

TEST(TestSignal, HasAtLeastOneSample) {
  EXPECT_EQ(test_signal(8'000, 1, 0)->samples(), 1);
  EXPECT_EQ(test_signal(8'000, 1, 0)->read(5).data.size(), 1u);
}

}  // namespace
}  // namespace craftbundle
