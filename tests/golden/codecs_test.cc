// Codecs compute what AudioCraft's and descript's own classes computed: golden/codecs/<name>.pt
// holds inputs and outputs of the model in the checkpoint beside it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <ostream>

#include "craftbundle/detail/bundle/codec_run.h"
#include "craftbundle/detail/bundle/transform.h"
#include "craftbundle/detail/host/codec_check.h"
#include "craftbundle/detail/host/host.h"
#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using ::testing::HasSubstr;

Path data(const std::string& name) { return Path(CRAFTBUNDLE_TEST_DATA) / "golden" / name; }

const Host& host() {
  static const Host host([] {
    Host::Options options;
    options.search = {{Path(CRAFTBUNDLE_PLUGINS)}, false, false, false};
    return options;
  }());
  return host;
}

// The tensors of a golden file, by name.
class Numbers {
 public:
  explicit Numbers(const std::string& name)
      : checkpoint_(Checkpoint::open(data("codecs/" + name + ".pt"))),
        root_(to_value(checkpoint_->root(), *checkpoint_, name)) {}

  bool has(const std::string& name) const { return root_.find(name) != nullptr; }
  ElementsPtr at(const std::string& name) const {
    const Value* value = root_.find(name);
    if (value == nullptr) throw std::runtime_error("no tensor " + name);
    return elements_of(*value);
  }
  std::vector<std::int64_t> shape(const std::string& name) const { return at(name)->shape(); }
  template <typename T>
  std::vector<T> read(const std::string& name) const {
    const ElementsPtr elements = at(name);
    std::vector<double> numbers(elements->size());
    elements->read(0, numbers);
    return {numbers.begin(), numbers.end()};
  }
  Audio audio(const std::string& name) const {
    const std::vector<std::int64_t> s = shape(name);
    return {s[0], s[1], s[2], read<float>(name)};
  }
  Codes codes(const std::string& prefix) const {
    const std::vector<std::int64_t> s = shape(prefix + "codes");
    Codes codes{s[0], s[1], s[2], read<std::int64_t>(prefix + "codes"), {}};
    if (has(prefix + "scale")) codes.scale = read<float>(prefix + "scale");
    return codes;
  }

 private:
  std::shared_ptr<const Checkpoint> checkpoint_;
  Value root_;
};

// The largest difference, relative to the largest number expected.
double relative_error(const std::vector<float>& found, const std::vector<float>& expected) {
  if (found.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  double difference = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    difference = std::max(difference, std::abs(static_cast<double>(found[i]) - expected[i]));
  }
  return difference / largest;
}

constexpr double kTolerance = 1e-5;

PreparedComponent prepare(const std::string& file, std::vector<OptionValue> options = {}) {
  const Path path = data("data/" + file);
  return prepare_component({Source::of_checkpoint(path.string(), Checkpoint::open(path)),
                            std::string(kCompressionRole),
                            std::nullopt,
                            std::move(options),
                            {}},
                           host());
}

struct Golden {
  std::string name;
  std::string file;
};

void PrintTo(const Golden& golden, std::ostream* out) { *out << golden.name; }

std::string name_of(const ::testing::TestParamInfo<Golden>& info) { return info.param.name; }

class GoldenCodec : public ::testing::TestWithParam<Golden> {
 protected:
  GoldenCodec() : numbers(GetParam().name), codec(host().load_codec(prepare(GetParam().file))) {}
  Numbers numbers;
  std::unique_ptr<Codec> codec;
};

TEST_P(GoldenCodec, ComputesTheSame) {
  for (const std::string prefix : {"", "odd_", "short_"}) {
    SCOPED_TRACE(prefix + "wav");
    const Audio audio = numbers.audio(prefix + "wav");
    const Latent latent = codec->encode_latent(audio);
    EXPECT_LE(relative_error(latent.data, numbers.read<float>(prefix + "latent")), kTolerance);
    const Codes codes = codec->encode(audio);
    const Codes expected = numbers.codes(prefix);
    EXPECT_EQ(codes.batch, expected.batch);
    EXPECT_EQ(codes.codebooks, expected.codebooks);
    EXPECT_EQ(codes.frames, expected.frames);
    EXPECT_EQ(codes.data, expected.data);
    ASSERT_EQ(codes.scale.size(), expected.scale.size());
    if (!codes.scale.empty()) {
      EXPECT_LE(relative_error(codes.scale, expected.scale), kTolerance);
    }
    const Latent quantized = codec->decode_latent(expected);
    EXPECT_LE(relative_error(quantized.data, numbers.read<float>(prefix + "quantized")),
              kTolerance);
    const Audio decoded = codec->decode(expected);
    EXPECT_EQ((std::vector<std::int64_t>{decoded.batch, decoded.channels, decoded.samples}),
              numbers.shape(prefix + "decoded"));
    EXPECT_LE(relative_error(decoded.data, numbers.read<float>(prefix + "decoded")), kTolerance);
  }
}

TEST_P(GoldenCodec, UsesFewerCodebooks) {
  const std::string prefix = numbers.has("nq1_codes") ? "nq1_" : "nq2_";
  Codes expected = numbers.codes(prefix);
  const Codes codes = codec->encode(numbers.audio("wav"), expected.codebooks);
  EXPECT_EQ(codes.codebooks, expected.codebooks);
  EXPECT_EQ(codes.data, expected.data);
  expected.scale = codes.scale;
  EXPECT_LE(relative_error(codec->decode(expected).data, numbers.read<float>(prefix + "decoded")),
            kTolerance);
}

// Half the bits of every weight: the same within a hundredth, nearly always the same codes.
TEST_P(GoldenCodec, ComputesNearlyTheSameInFloat16) {
  const std::unique_ptr<Codec> half =
      host().load_codec(prepare(GetParam().file, {{"dtype", "float16"}}));
  const Audio audio = numbers.audio("wav");
  EXPECT_LE(relative_error(half->encode_latent(audio).data, numbers.read<float>("latent")), 1e-2);
  const Codes expected = numbers.codes("");
  EXPECT_LE(relative_error(half->decode(expected).data, numbers.read<float>("decoded")), 1e-2);
  const Codes codes = half->encode(audio);
  ASSERT_EQ(codes.data.size(), expected.data.size());
  const auto same =
      std::transform_reduce(codes.data.begin(), codes.data.end(), expected.data.begin(), 0.0,
                            std::plus<>(), std::equal_to<>());
  EXPECT_GE(same / static_cast<double>(codes.data.size()), 0.9);
}

class WeightNormCodec : public GoldenCodec {};
TEST_P(WeightNormCodec, ComputesTheSameWithFoldedWeights) {
  const std::unique_ptr<Codec> folded =
      host().load_codec(prepare(GetParam().file, {{"fold-weight-norm", "true"}}));
  const Codes expected = numbers.codes("");
  EXPECT_EQ(folded->encode(numbers.audio("wav")).data, expected.data);
  EXPECT_LE(relative_error(folded->decode(expected).data, numbers.read<float>("decoded")),
            kTolerance);
}

// Long audio is coded in pieces, with what a piece depends on around it, at every bandwidth.
class LocalCodec : public GoldenCodec {
 protected:
  void code_in_pieces(std::int64_t codebooks) {
    const CodecProperties& properties = codec->properties();
    const double rate = static_cast<double>(properties.sample_rate);
    const double context =
        static_cast<double>(properties.context_frames * properties.hop_length) / rate;
    const double seconds = 7.3 * context;
    const std::unique_ptr<AudioReader> whole =
        test_signal(properties.sample_rate, properties.channels, seconds);
    const Audio audio = whole->read(whole->samples());
    const Codes expected = codec->encode(audio, codebooks);
    const Audio decoded = codec->decode(expected);

    PieceOptions options;
    options.seconds = context * 1.5;
    options.codebooks = codebooks;
    PieceDecoder decoder(*codec, options);
    std::vector<std::vector<std::int64_t>> codes(static_cast<std::size_t>(codebooks));
    std::vector<float> first_channel;
    int pieces = 0;
    const auto take_audio = [&](const Audio& part) {
      first_channel.insert(first_channel.end(), part.data.begin(),
                           part.data.begin() + part.samples);
    };
    const std::unique_ptr<AudioReader> again =
        test_signal(properties.sample_rate, properties.channels, seconds);
    encode_pieces(*codec, *again, options, [&](const CodedPiece& piece) {
      ++pieces;
      for (std::size_t book = 0; book < codes.size(); ++book) {
        const auto begin =
            piece.codes.data.begin() + static_cast<std::int64_t>(book) * piece.codes.frames;
        codes[book].insert(codes[book].end(), begin, begin + piece.codes.frames);
      }
      take_audio(decoder.give(piece.codes));
    });
    take_audio(decoder.finish());
    EXPECT_GE(pieces, 3);
    std::vector<std::int64_t> joined;
    for (const auto& book : codes) joined.insert(joined.end(), book.begin(), book.end());
    EXPECT_EQ(joined, expected.data);
    EXPECT_LE(
        relative_error(first_channel, std::vector<float>(decoded.data.begin(),
                                                         decoded.data.begin() + decoded.samples)),
        kTolerance);
    const double bits = std::log2(static_cast<double>(properties.cardinality));
    EXPECT_NEAR(
        bits_per_second(properties, codebooks),
        static_cast<double>(codebooks) * bits * rate / static_cast<double>(properties.hop_length),
        1e-9);
  }
};
TEST_P(LocalCodec, CodesPiecesAsTheWhole) {
  ASSERT_EQ(codec->properties().whole_input, "");
  for (std::int64_t codebooks = 1; codebooks <= codec->properties().codebooks; ++codebooks) {
    SCOPED_TRACE(std::to_string(codebooks) + " codebooks");
    code_in_pieces(codebooks);
  }
}

// They are what they say, whatever they were trained for.
TEST_P(GoldenCodec, DoesWhatItStates) {
  const PreparedComponent component = prepare(GetParam().file);
  std::vector<std::string> faults;
  for (const CodecFault& fault : check_codec(*codec, component.component.provides)) {
    faults.push_back(fault.text);
  }
  EXPECT_THAT(faults, ::testing::IsEmpty());
}

TEST_P(GoldenCodec, RefusesWhatDoesNotFit) {
  const CodecProperties& properties = codec->properties();
  Audio audio{1, properties.channels + 1, 10, {}};
  audio.data.resize(static_cast<std::size_t>(audio.channels * audio.samples));
  testing::expect_error(
      ErrorKind::usage, "codec.shape",
      HasSubstr("takes audio of " + std::to_string(properties.channels) +
                " channels, given were 1 x " + std::to_string(audio.channels) + " x 10 samples"),
      [&] { codec->encode(audio); });
  const Codes codes{1, 1, 1, {properties.cardinality}, {}};
  testing::expect_error(
      ErrorKind::input, "codec.code",
      HasSubstr("is none of the " + std::to_string(properties.cardinality) + " of a codebook"),
      [&] { codec->decode(codes); });
  testing::expect_error(ErrorKind::usage, "codec.shape",
                        HasSubstr("the codec has " + std::to_string(properties.codebooks) +
                                  " codebooks, asked for were"),
                        [&] { codec->encode(numbers.audio("wav"), properties.codebooks + 1); });
}

TEST(Codecs, RefuseDevicesThatAreNotThere) {
  testing::expect_error(ErrorKind::usage, "codec.device",
                        HasSubstr("LibTorch has no device 'cuda:63' here"), [] {
                          host().load_codec(prepare("encodec_exported.bin"), {"cuda:63", 0});
                        });
}

TEST(Codecs, RefuseNumbersThatAreNotFinite) {
  PreparedComponent component = prepare("encodec_exported.bin");
  auto& model = std::get<Model>(component.component.content);
  std::string text = model.config.text();
  const std::string alpha = "activation: ELU\n  activation_params:\n    alpha: 1.0\n";
  const std::size_t place = text.find(alpha);
  ASSERT_NE(place, std::string::npos);
  model.config = Config::from_yaml(text.replace(
      place, alpha.size(), "activation: ELU\n  activation_params:\n    alpha: .inf\n"));
  testing::expect_error(ErrorKind::input, "codec.unsupported",
                        HasSubstr("the configuration has the number inf"),
                        [&] { host().load_codec(component); });
}

TEST(Codecs, RefuseReferences) {
  const PreparedComponent reference = prepare("pretrained_encodec_32khz.bin");
  testing::expect_error(ErrorKind::input, "codec.unsupported",
                        HasSubstr("a reference to 'facebook/encodec_32khz' and holds no weights"),
                        [&] { host().load_codec(reference); });
}

const Golden kDac = {"dac", "dac_weights.pth"};
const Golden kEncodec = {"encodec", "encodec_exported.bin"};
const Golden kCausal = {"encodec_causal_24khz", "encodec_causal_24khz_exported.bin"};
const Golden kOdd = {"encodec_causal_odd", "encodec_causal_odd_train.th"};
const Golden kGroupNorm = {"encodec_groupnorm", "encodec_groupnorm_train.th"};
const Golden kOuterNoNorm = {"encodec_outer_nonorm", "encodec_outer_nonorm_exported.bin"};
const Golden kRenormalizing = {"encodec_renorm", "encodec_renorm_exported.bin"};

INSTANTIATE_TEST_SUITE_P(All, GoldenCodec,
                         ::testing::Values(kDac, kEncodec, kCausal, kOdd, kGroupNorm, kOuterNoNorm,
                                           kRenormalizing),
                         name_of);
INSTANTIATE_TEST_SUITE_P(All, WeightNormCodec,
                         ::testing::Values(kDac, kEncodec, kCausal, kOuterNoNorm, kRenormalizing),
                         name_of);
// Without LSTM, norms over time or renormalization.
INSTANTIATE_TEST_SUITE_P(All, LocalCodec, ::testing::Values(kDac, kOuterNoNorm), name_of);

}  // namespace
}  // namespace craftbundle
