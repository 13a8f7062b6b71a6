// The tensors computed for an EnCodec against those of models that AudioCraft built.
#include "encodec/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error_matchers.h"
#include "unit/plugins/plugins_support.h"

namespace craftbundle {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using testing::expect_error;
using testing::golden_config;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using testing::read_text;
using testing::replaced;

std::string base_text() { return read_text(testing::golden("encodec_exported.yaml")); }

encodec::Spec spec_of(const std::string& text) {
  return encodec::read_spec(Config::from_yaml(text));
}

// `text` with a mapping entry of `seanet` or another section changed.
std::string with(const std::string& from, const std::string& to) {
  return replaced(base_text(), from, to);
}

class GoldenEncodec : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenEncodec, HasExactlyTheTensorsOfTheConfiguration) {
  const encodec::Spec spec = encodec::read_spec(golden_config(GetParam()));
  EXPECT_EQ(testing::expected_tensors(spec.expected), testing::golden_tensors(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(All, GoldenEncodec,
                         ::testing::Values("encodec", "encodec_nf4", "encodec_causal_24khz",
                                           "encodec_renorm", "encodec_groupnorm",
                                           "encodec_causal_odd", "encodec_outer_nonorm",
                                           "encodec_oc230", "compression_from"),
                         [](const auto& test) { return std::string(test.param); });

TEST(EncodecSpec, StatesTheFigures) {
  const audiocraft::CodecFigures figures = spec_of(base_text()).figures;
  EXPECT_EQ(figures.codebooks, 4);
  EXPECT_EQ(figures.cardinality, 32);
  EXPECT_EQ(figures.sample_rate, 32'000);
  EXPECT_EQ(figures.frame_rate, 50);
  EXPECT_EQ(figures.channels, 1);
  EXPECT_EQ(figures.latent_dimension, 16);
  EXPECT_FALSE(figures.renormalize);
  EXPECT_TRUE(encodec::read_spec(golden_config("encodec_renorm")).figures.renormalize);
  EXPECT_EQ(encodec::read_spec(golden_config("encodec_groupnorm")).figures.channels, 2);
}

TEST(EncodecSpec, RoundsTheFrameRateDownAndSaysSo) {
  const encodec::Spec spec =
      spec_of(with("sample_rate: 32000\nchannels: 1\n", "sample_rate: 44100\nchannels: 1\n"));
  EXPECT_EQ(spec.figures.frame_rate, 68);
  EXPECT_THAT(spec.warnings, ElementsAre(HasSubstr("rounds the frame rate down to 68 Hz")));
}

// Order and shapes as torch.nn.utils.spectral_norm registers them.
TEST(EncodecSpec, ListsTheVectorsOfSpectralNorm) {
  const auto tensors = testing::expected_tensors(
      spec_of(with("  norm: weight_norm\n  norm_params", "  norm: spectral_norm\n  norm_params"))
          .expected);
  using Shape = std::vector<std::int64_t>;
  ASSERT_GE(tensors.size(), 4u);
  EXPECT_THAT(std::vector(tensors.begin(), tensors.begin() + 4),
              ElementsAre(Pair("encoder.model.0.conv.conv.bias", Shape{2}),
                          Pair("encoder.model.0.conv.conv.weight_orig", Shape{2, 1, 7}),
                          Pair("encoder.model.0.conv.conv.weight_u", Shape{2}),
                          Pair("encoder.model.0.conv.conv.weight_v", Shape{7})));
  EXPECT_THAT(tensors,
              Contains(Pair("decoder.model.3.convtr.convtr.weight_orig", Shape{32, 16, 16})));
  EXPECT_THAT(tensors, Contains(Pair("decoder.model.3.convtr.convtr.weight_u", Shape{16})));
  EXPECT_THAT(tensors, Contains(Pair("decoder.model.3.convtr.convtr.weight_v", Shape{512})));
}

TEST(EncodecSpec, ListsTheWeightsOfPrelu) {
  const auto tensors = testing::expected_tensors(
      spec_of(with("  activation: ELU\n  activation_params:\n    alpha: 1.0\n",
                   "  activation: PReLU\n  activation_params: {}\n"))
          .expected);
  using Shape = std::vector<std::int64_t>;
  EXPECT_THAT(tensors, Contains(Pair("encoder.model.1.block.0.weight", Shape{1})));
  EXPECT_THAT(tensors, Contains(Pair("encoder.model.2.weight", Shape{1})));
  EXPECT_THAT(tensors, Contains(Pair("decoder.model.14.weight", Shape{1})));
}

TEST(EncodecSpec, ReadsWordsAndNumbersOfActivations) {
  const encodec::Spec spec = spec_of(
      with("  activation: ELU\n  activation_params:\n    alpha: 1.0\n",
           "  activation: GELU\n  activation_params:\n    approximate: tanh\n    inplace: true\n"));
  EXPECT_EQ(spec.encoder.activation.name, "GELU");
  EXPECT_THAT(spec.encoder.activation.words, ElementsAre(Pair("approximate", "tanh")));
  EXPECT_THAT(spec.encoder.activation.parameters, IsEmpty());
  EXPECT_THAT(spec_of(base_text()).encoder.activation.parameters, ElementsAre(Pair("alpha", 1.0)));
}

TEST(EncodecSpec, WithoutQuantizerHasOneStreamAndNoCodebooks) {
  const encodec::Spec spec = spec_of(with("quantizer: rvq", "quantizer: no_quant"));
  EXPECT_EQ(spec.figures.codebooks, 1);
  EXPECT_EQ(spec.figures.cardinality, std::nullopt);
  for (const auto& tensor : spec.expected.tensors()) {
    EXPECT_THAT(tensor.name, ::testing::Not(HasSubstr("quantizer")));
  }
}

TEST(EncodecSpec, WarnsOfKeysAudioCraftDoesNotTake) {
  const encodec::Spec spec =
      spec_of(with("  true_skip: true\n", "  true_skip: true\n  gated: true\n"));
  EXPECT_THAT(spec.warnings, ElementsAre(HasSubstr("'seanet.gated'")));
}

struct BadConfig {
  const char* name;
  const char* from;
  const char* to;
  const char* code;
  const char* message;
};

class BadEncodecConfig : public ::testing::TestWithParam<BadConfig> {};

TEST_P(BadEncodecConfig, IsRefused) {
  const BadConfig& bad = GetParam();
  const std::string text = with(bad.from, bad.to);
  expect_error(ErrorKind::input, bad.code, HasSubstr(bad.message), [&] { spec_of(text); });
}

INSTANTIATE_TEST_SUITE_P(
    All, BadEncodecConfig,
    ::testing::Values(
        BadConfig{"NoCodebooks", "  n_q: 4\n", "", "config.missing", "rvq.n_q"},
        BadConfig{"NoDimension", "  dimension: 16\n", "", "config.missing", "seanet.dimension"},
        BadConfig{"NoEncoderMap", "  encoder: {}\n", "", "config.missing", "'seanet.encoder'"},
        BadConfig{"EncoderMapNull", "  encoder: {}\n", "  encoder: null\n", "config.value",
                  "seanet.encoder is no mapping"},
        BadConfig{"NoQuantizer", "  quantizer: rvq\n", "", "config.missing", "encodec.quantizer"},
        BadConfig{"OtherAutoencoder", "autoencoder: seanet", "autoencoder: unet", "config.value",
                  "encodec.autoencoder is 'unet', expected 'seanet'"},
        BadConfig{"ZeroFilters", "n_filters: 2\n", "n_filters: 0\n", "config.value",
                  "seanet.n_filters is 0, expected 1 to 16384"},
        BadConfig{"NegativeDimension", "dimension: 16\n", "dimension: -16\n", "config.value",
                  "seanet.dimension is -16"},
        BadConfig{"BillionResiduals", "n_residual_layers: 1\n", "n_residual_layers: 1000000000\n",
                  "config.value", "seanet.n_residual_layers is 1000000000, expected 0 to 64"},
        BadConfig{"BillionCodebooks", "n_q: 4\n", "n_q: 1000000000\n", "config.value",
                  "rvq.n_q is 1000000000"},
        BadConfig{"HugeLstm", "lstm: 2\n", "lstm: 4000000000\n", "config.value",
                  "seanet.lstm is 4000000000"},
        BadConfig{"HugeRatio", "  ratios:\n  - 8\n", "  ratios:\n  - 8000\n", "config.value",
                  "seanet.ratios[0] is 8000"},
        BadConfig{"ZeroRatio", "  ratios:\n  - 8\n", "  ratios:\n  - 0\n", "config.value",
                  "seanet.ratios[0] is 0"},
        BadConfig{"HopAboveRate", "  ratios:\n  - 8\n", "  ratios:\n  - 4000\n", "config.value",
                  "the frame rate would be 0"},
        BadConfig{"UnknownNorm", "  norm: weight_norm\n  norm_params",
                  "  norm: batch_norm\n  norm_params", "config.value",
                  "seanet.norm is 'batch_norm', expected one of"},
        BadConfig{"UnknownPadding", "pad_mode: constant", "pad_mode: mirror", "config.value",
                  "seanet.pad_mode is 'mirror'"},
        BadConfig{"TooManyBlocks", "disable_norm_outer_blocks: 0", "disable_norm_outer_blocks: 7",
                  "config.value", "seanet.disable_norm_outer_blocks is 7, expected 0 to 6"},
        BadConfig{"TrimWithoutCausal", "trim_right_ratio: 1.0", "trim_right_ratio: 0.5",
                  "config.value", "needs seanet.causal"},
        BadConfig{"TrimAboveOne", "trim_right_ratio: 1.0", "trim_right_ratio: 1.5", "config.value",
                  "expected 0 to 1"},
        BadConfig{"NarrowerThanCompress", "compress: 2\n", "compress: 4\n", "config.value",
                  "leaves no channel"},
        BadConfig{"ChannelsDiffer", "  encoder: {}\n", "  encoder:\n    channels: 2\n",
                  "config.value", "encodec.channels differ: 2 and 1"},
        BadConfig{"DimensionsDiffer", "  encoder: {}\n", "  encoder:\n    dimension: 8\n",
                  "config.value", "dimension of seanet's encoder and decoder differ: 8 and 16"},
        BadConfig{"CausalRenormalize", "  causal: false\n  renormalize: false",
                  "  causal: true\n  renormalize: true", "config.value", "exclude each other"},
        BadConfig{"TextAsNumber", "n_filters: 2\n", "n_filters: two\n", "config.type",
                  "seanet.n_filters"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(EncodecSpec, RefusesGroupNormInACausalModel) {
  const std::string causal = with("  causal: false\n", "  causal: true\n");
  const std::string text = replaced(causal, "  norm: weight_norm\n  norm_params",
                                    "  norm: time_group_norm\n  norm_params");
  expect_error(ErrorKind::input, "config.value",
               HasSubstr("time_group_norm, which cannot be causal"), [&] { spec_of(text); });
}

}  // namespace
}  // namespace craftbundle
