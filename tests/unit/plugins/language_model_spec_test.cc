// The tensors computed for a language model against those of models that AudioCraft built.
#include "language_model/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/error_matchers.h"
#include "unit/plugins/plugins_support.h"

namespace craftbundle {
namespace {

using language_model::Spec;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::expect_error;
using testing::fact_value;
using testing::golden_config;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::NameAndShape;
using ::testing::Not;
using ::testing::Pair;
using testing::read_text;
using testing::replaced;
using Shape = std::vector<std::int64_t>;

Spec spec_of(const Config& config) {
  return language_model::read_spec(config, audiocraft::model_name(config));
}
Spec spec_of(const std::string& text) { return spec_of(Config::from_yaml(text)); }

std::string golden_text(const std::string& name) {
  return read_text(testing::golden(name + "_exported.yaml"));
}

std::string with(const std::string& from, const std::string& to) {
  return replaced(golden_text("musicgen"), from, to);
}

// The golden tensors less those that the configuration says nothing about.
std::vector<NameAndShape> checkable_tensors(const std::string& name, const Spec& spec) {
  std::vector<NameAndShape> tensors = testing::golden_tensors(name);
  for (const audiocraft::UncheckedGroup& group : spec.expected.unchecked()) {
    std::erase_if(tensors, [&](const NameAndShape& tensor) {
      return tensor.first.starts_with(group.prefix);
    });
  }
  return tensors;
}

struct GoldenModel {
  const char* name;
  const char* family;
};

class GoldenLanguageModel : public ::testing::TestWithParam<GoldenModel> {};

TEST_P(GoldenLanguageModel, HasExactlyTheTensorsOfTheConfiguration) {
  const Spec spec = spec_of(golden_config(GetParam().name));
  EXPECT_EQ(testing::expected_tensors(spec.expected), checkable_tensors(GetParam().name, spec));
  EXPECT_EQ(spec.family, GetParam().family);
}

INSTANTIATE_TEST_SUITE_P(All, GoldenLanguageModel,
                         ::testing::Values(GoldenModel{"musicgen", "MusicGen"},
                                           GoldenModel{"musicgen_fsdp", "MusicGen"},
                                           GoldenModel{"musicgen_cuda", "MusicGen"},
                                           GoldenModel{"musicgen_stereo", "MusicGen (stereo)"},
                                           GoldenModel{"musicgen_melody", "MusicGen (melody)"},
                                           GoldenModel{"audiogen", "AudioGen"},
                                           GoldenModel{"magnet", "MAGNeT"},
                                           GoldenModel{"jasco", "JASCO (chords, drums)"}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(LanguageModelSpec, OnlyJascoHoldsTensorsThatCannotBeChecked) {
  EXPECT_THAT(spec_of(golden_config("musicgen_melody")).expected.unchecked(), IsEmpty());
  const Spec jasco = spec_of(golden_config("jasco"));
  ASSERT_EQ(jasco.expected.unchecked().size(), 1u);
  EXPECT_EQ(jasco.expected.unchecked()[0].prefix,
            "condition_provider.conditioners.self_wav.compression_model.");
  EXPECT_TRUE(jasco.expected.unchecked()[0].required);
}

TEST(LanguageModelSpec, StatesWhatItNeedsOfTheCodec) {
  const Spec spec = spec_of(golden_config("musicgen"));
  EXPECT_EQ(fact_value(spec.requires_, "codebooks"), "4");
  EXPECT_EQ(fact_value(spec.requires_, "cardinality"), "32");
  EXPECT_EQ(fact_value(spec.requires_, "sample_rate"), "32000");
  EXPECT_EQ(fact_value(spec.requires_, "channels"), "1");
  EXPECT_EQ(fact_value(spec.requires_, "renormalize"), "no");
  EXPECT_EQ(fact_value(spec.requires_, "frame_rate"), "");  // the configuration has none
}

TEST(LanguageModelSpec, StereoUsesAMonoCodecTwice) {
  const Spec spec = spec_of(golden_config("musicgen_stereo"));
  EXPECT_EQ(fact_value(spec.requires_, "codebooks"), "4");
  EXPECT_EQ(fact_value(spec.requires_, "channels"), "1");
  EXPECT_THAT(spec.requires_[0].origin, HasSubstr("half of transformer_lm.n_q"));
}

TEST(LanguageModelSpec, StereoInTimeKeepsTheCodebooks) {
  const Spec spec = spec_of(
      replaced(golden_text("musicgen_stereo"), "per_timestep: false", "per_timestep: true"));
  EXPECT_EQ(fact_value(spec.requires_, "codebooks"), "8");
}

TEST(LanguageModelSpec, FewerCodebooksThanTheCodecHasAreNotCompared) {
  const Spec spec = spec_of(with("compression_model_n_q: null", "compression_model_n_q: 4"));
  EXPECT_EQ(fact_value(spec.requires_, "codebooks"), "");
  EXPECT_THAT(spec.warnings, Contains(HasSubstr("compression_model_n_q asks the codec for 4")));
}

TEST(LanguageModelSpec, MagnetNeedsItsFrameRate) {
  EXPECT_EQ(fact_value(spec_of(golden_config("magnet")).requires_, "frame_rate"), "50");
}

TEST(LanguageModelSpec, JascoNeedsLatentsOfAReferencedCodec) {
  const Spec spec = spec_of(golden_config("jasco"));
  EXPECT_EQ(fact_value(spec.requires_, "codebooks"), "");
  EXPECT_EQ(fact_value(spec.requires_, "cardinality"), "");
  EXPECT_EQ(fact_value(spec.requires_, "latent_dimension"), "16");
  EXPECT_EQ(fact_value(spec.requires_, "frame_rate"), "50");
  EXPECT_EQ(fact_value(spec.requires_, "codec_class"),
            "audiocraft.models.HFEncodecCompressionModel");
  // As published, AudioCraft passes these on to a class that does not take them.
  EXPECT_THAT(spec.warnings,
              Contains(HasSubstr("'transformer_lm.emb_lr' and 'transformer_lm.two_step_cfg'")));
}

TEST(LanguageModelSpec, ListsWhatIsFetchedAtLoadTime) {
  const auto fetched = [](const std::string& name) {
    std::vector<std::string> items;
    for (const Fetched& item : spec_of(golden_config(name)).downloads) {
      items.push_back(item.name + " " + item.role);
    }
    return items;
  };
  EXPECT_THAT(fetched("musicgen"), ElementsAre("t5-base text_encoder"));
  EXPECT_THAT(fetched("audiogen"), ElementsAre("t5-large text_encoder"));
  EXPECT_THAT(fetched("musicgen_melody"), ElementsAre("htdemucs ", "t5-base text_encoder"));
}

TEST(LanguageModelSpec, SaysHowModelsOfShortSegmentsAreLoaded) {
  const auto spec_with = [](const std::string& name, const std::string& seconds) {
    return spec_of(Config::from_yaml(replaced(golden_config(name).text(), "segment_duration: 2\n",
                                              "segment_duration: " + seconds + "\n")));
  };
  EXPECT_EQ(spec_with("musicgen", "18.5").load_with, "MusicGen.get_pretrained('{bundle}')");
  EXPECT_EQ(spec_with("musicgen", "18.5").loaded_by, "MusicGen.get_pretrained(DIR)");
  EXPECT_EQ(spec_with("musicgen", "18").load_with,
            "from audiocraft.models import MusicGen, loaders; d = '{bundle}'; "
            "lm = loaders.load_lm_model(d); "
            "model = MusicGen(d, loaders.load_compression_model(d), lm, max_duration=30)");
  EXPECT_EQ(spec_with("musicgen", "10").loaded_by,
            "MusicGen(DIR, codec, lm, max_duration=30), as get_pretrained wants more than 18 s for "
            "dataset.segment_duration");
  // What get_pretrained() sets beside it.
  EXPECT_EQ(spec_with("musicgen_melody", "10").load_with,
            "from audiocraft.models import MusicGen, loaders; d = '{bundle}'; "
            "lm = loaders.load_lm_model(d); wav = lm.condition_provider.conditioners['self_wav']; "
            "wav.match_len_on_eval = True; wav._use_masking = False; "
            "model = MusicGen(d, loaders.load_compression_model(d), lm, max_duration=30)");
  EXPECT_EQ(spec_with("audiogen", "2.5").load_with, "AudioGen.get_pretrained('{bundle}')");
  EXPECT_EQ(spec_with("audiogen", "2").load_with,
            "from audiocraft.models import AudioGen, loaders; d = '{bundle}'; "
            "lm = loaders.load_lm_model(d); "
            "model = AudioGen(d, loaders.load_compression_model(d), lm, max_duration=10)");
  // These assert nothing of the kind.
  EXPECT_EQ(spec_of(golden_config("magnet")).load_with, "MAGNeT.get_pretrained('{bundle}')");
  EXPECT_EQ(spec_of(golden_config("jasco")).load_with, "JASCO.get_pretrained('{bundle}')");
}

std::vector<std::string> names_of(const Spec& spec) {
  std::vector<std::string> names;
  for (const auto& tensor : spec.expected.tensors()) names.push_back(tensor.name);
  return names;
}

TEST(LanguageModelSpec, BuiltInAttentionHasItsOwnModule) {
  const Spec spec = spec_of(with("memory_efficient: true", "memory_efficient: false"));
  const auto tensors = testing::expected_tensors(spec.expected);
  EXPECT_THAT(tensors,
              Contains(Pair("transformer.layers.0.self_attn.mha.in_proj_weight", Shape{96, 32})));
  EXPECT_THAT(tensors, Contains(Pair("transformer.layers.0.cross_attention.mha.out_proj.weight",
                                     Shape{32, 32})));
  EXPECT_THAT(names_of(spec), Not(Contains("transformer.layers.0.self_attn.in_proj_weight")));
}

TEST(LanguageModelSpec, BiasesFollowTheirFlags) {
  std::string text = with("bias_ff: false", "bias_ff: true");
  text = replaced(text, "bias_attn: false", "bias_attn: true");
  text = replaced(text, "bias_proj: false", "bias_proj: true");
  const auto tensors = testing::expected_tensors(spec_of(text).expected);
  EXPECT_THAT(tensors, Contains(Pair("transformer.layers.1.linear1.bias", Shape{128})));
  EXPECT_THAT(tensors, Contains(Pair("transformer.layers.1.self_attn.in_proj_bias", Shape{96})));
  EXPECT_THAT(tensors,
              Contains(Pair("transformer.layers.1.cross_attention.out_proj.bias", Shape{32})));
  EXPECT_THAT(tensors, Contains(Pair("linears.3.bias", Shape{32})));
}

TEST(LanguageModelSpec, RotaryTablesAreListedInEveryLayer) {
  std::string text = with("positional_embedding: sin", "positional_embedding: rope");
  text = replaced(text, "xpos: false", "xpos: true");
  const auto tensors = testing::expected_tensors(spec_of(text).expected);
  EXPECT_THAT(tensors, Contains(Pair("transformer.rope.frequencies", Shape{8})));
  EXPECT_THAT(tensors, Contains(Pair("transformer.rope.xpos.decay_rates", Shape{8})));
  EXPECT_THAT(tensors, Contains(Pair("transformer.layers.1.self_attn.rope.frequencies", Shape{8})));
  EXPECT_THAT(names_of(spec_of(text)),
              Not(Contains("transformer.layers.1.cross_attention.rope.frequencies")));
}

TEST(LanguageModelSpec, LayerScaleAndNormsOfQueriesAndKeys) {
  std::string text = with("layer_scale: null", "layer_scale: 0.1");
  text = replaced(text, "qk_layer_norm: false", "qk_layer_norm: true");
  const auto tensors = testing::expected_tensors(spec_of(text).expected);
  EXPECT_THAT(tensors, Contains(Pair("transformer.layers.0.layer_scale_2.scale", Shape{32})));
  EXPECT_THAT(tensors, Contains(Pair("transformer.layers.0.layer_scale_cross.scale", Shape{32})));
  EXPECT_THAT(tensors,
              Contains(Pair("transformer.layers.0.self_attn.q_layer_norm.weight", Shape{32})));
}

TEST(LanguageModelSpec, RepeatedKeysMakeTheProjectionNarrower) {
  const auto tensors =
      testing::expected_tensors(spec_of(with("kv_repeat: 1", "kv_repeat: 2")).expected);
  EXPECT_THAT(tensors,
              Contains(Pair("transformer.layers.0.self_attn.in_proj_weight", Shape{64, 32})));
  EXPECT_THAT(tensors,
              Contains(Pair("transformer.layers.0.cross_attention.in_proj_weight", Shape{96, 32})));
}

TEST(LanguageModelSpec, WithoutCrossAttentionOrPreNorm) {
  std::string text = with("  cross:\n  - description\n", "  cross: []\n");
  text = replaced(text, "norm_first: true", "norm_first: false");
  const std::vector<std::string> names = names_of(spec_of(text));
  EXPECT_THAT(names, Not(Contains(HasSubstr("cross"))));
  EXPECT_THAT(names, Not(Contains(HasSubstr("out_norm"))));
}

std::string with_conditioner(const std::string& kind, const std::string& settings) {
  return with("conditioners:\n",
              "conditioners:\n  extra:\n    model: " + kind + "\n    " + kind + ":" + settings);
}

TEST(Conditioners, LookupTable) {
  const auto tensors = testing::expected_tensors(
      spec_of(with_conditioner("lut", "\n      n_bins: 5\n      dim: 6\n      tokenizer: noop\n"))
          .expected);
  ASSERT_GE(tensors.size(), 3u);
  EXPECT_THAT(
      std::vector(tensors.begin(), tensors.begin() + 3),
      ElementsAre(Pair("condition_provider.conditioners.extra.output_proj.weight", Shape{32, 6}),
                  Pair("condition_provider.conditioners.extra.output_proj.bias", Shape{32}),
                  Pair("condition_provider.conditioners.extra.embed.weight", Shape{5, 6})));
}

TEST(Conditioners, ClapWithCodebooks) {
  const Spec spec = spec_of(with_conditioner(
      "clap",
      "\n      dim: 512\n      n_q: 2\n      bins: 16\n      checkpoint: //reference/clap.pt\n"));
  const auto tensors = testing::expected_tensors(spec.expected);
  EXPECT_THAT(
      tensors,
      Contains(Pair("condition_provider.conditioners.extra.quantizer.vq.layers.1._codebook.embed",
                    Shape{16, 512})));
  EXPECT_THAT(spec.warnings,
              Contains(HasSubstr("the CLAP weights of conditioners.extra.clap.checkpoint")));
}

TEST(Conditioners, StyleWithItsOwnTransformer) {
  const Spec spec = spec_of(with_conditioner(
      "style", "\n      model_name: mert\n      transformer_scale: xsmall\n      n_q_out: 2\n"));
  const auto tensors = testing::expected_tensors(spec.expected);
  const std::string module = "condition_provider.conditioners.extra.";
  EXPECT_THAT(tensors, Contains(Pair(module + "output_proj.weight", Shape{32, 256})));
  EXPECT_THAT(tensors, Contains(Pair(module + "embed.weight", Shape{256, 768})));
  EXPECT_THAT(tensors, Contains(Pair(module + "transformer.layers.3.self_attn.in_proj_weight",
                                     Shape{768, 256})));
  EXPECT_THAT(tensors,
              Contains(Pair(module + "rvq.vq.layers.1._codebook.embed", Shape{1024, 256})));
  EXPECT_THAT(tensors, Contains(Pair(module + "batch_norm.num_batches_tracked", Shape{})));
  EXPECT_EQ(spec.family, "MusicGen (style)");
}

TEST(Conditioners, FineTunedTextEncoderIsTakenAsItIs) {
  const Spec spec = spec_of(with("finetune: false", "finetune: true"));
  ASSERT_EQ(spec.expected.unchecked().size(), 1u);
  EXPECT_EQ(spec.expected.unchecked()[0].prefix, "condition_provider.conditioners.description.t5.");
}

TEST(Conditioners, UnknownTextEncoderLeavesTheWidthOpen) {
  const Spec spec = spec_of(with("name: t5-base", "name: google/flan-t5-xl"));
  EXPECT_THAT(testing::expected_tensors(spec.expected),
              Contains(Pair("condition_provider.conditioners.description.output_proj.weight",
                            Shape{32, audiocraft::kAnySize})));
  EXPECT_THAT(spec.warnings,
              Contains(HasSubstr("no size for the text encoder 'google/flan-t5-xl'")));
}

TEST(Conditioners, OneTextEncoderIsThatOfTheBundle) {
  EXPECT_EQ(spec_of(golden_config("musicgen")).text_projection,
            "condition_provider.conditioners.description.output_proj.weight");
  EXPECT_EQ(spec_of(with_conditioner("t5", "\n      name: t5-small\n")).text_projection, "");
}

TEST(Conditioners, UnknownKindIsTakenAsItIs) {
  const Spec spec = spec_of(with_conditioner("tempo", " {}\n"));
  ASSERT_EQ(spec.expected.unchecked().size(), 1u);
  EXPECT_FALSE(spec.expected.unchecked()[0].required);
  EXPECT_THAT(spec.warnings, Contains(HasSubstr("does not know the conditioner 'tempo'")));
}

TEST(Conditioners, AreBounded) {
  std::string many = "conditioners:\n";
  for (int i = 0; i < 65; ++i) many += "  extra" + std::to_string(i) + ":\n    model: style\n";
  const std::string text = with("conditioners:\n", many);
  expect_error(ErrorKind::input, "config.value",
               HasSubstr("conditioners has 66 entries, expected at most 64"),
               [&] { spec_of(text); });
}

struct BadConfig {
  const char* name;
  const char* from;
  const char* to;
  const char* code;
  const char* message;
};

class BadLanguageModelConfig : public ::testing::TestWithParam<BadConfig> {};

TEST_P(BadLanguageModelConfig, IsRefused) {
  const BadConfig& bad = GetParam();
  const std::string text = with(bad.from, bad.to);
  expect_error(ErrorKind::input, bad.code, HasSubstr(bad.message), [&] { spec_of(text); });
}

INSTANTIATE_TEST_SUITE_P(
    All, BadLanguageModelConfig,
    ::testing::Values(
        BadConfig{"NoStreams", "  n_q: 4\n", "", "config.missing", "transformer_lm.n_q"},
        BadConfig{"NoFuser", "fuser:\n", "fuzer:\n", "config.missing", "'fuser'"},
        BadConfig{"NoSegment", "  segment_duration: 2\n", "", "config.missing",
                  "'dataset.segment_duration'"},
        BadConfig{"BillionLayers", "num_layers: 2\n", "num_layers: 1000000000\n", "config.value",
                  "transformer_lm.num_layers is 1000000000, expected 1 to 1024"},
        BadConfig{"NoWidth", "  dim: 32\n", "  dim: 0\n", "config.value",
                  "transformer_lm.dim is 0"},
        BadConfig{"HugeCard", "card: 32\n", "card: 9223372036854775807\n", "config.value",
                  "transformer_lm.card is 9223372036854775807"},
        BadConfig{"BeyondInteger", "card: 32\n", "card: 92233720368547758080\n", "config.type",
                  "transformer_lm.card"},
        BadConfig{"OddHeads", "num_heads: 2\n", "num_heads: 3\n", "config.value",
                  "no multiple of the 3 of transformer_lm.num_heads"},
        BadConfig{"NegativeScale", "hidden_scale: 4\n", "hidden_scale: -4\n", "config.value",
                  "transformer_lm.hidden_scale is -4"},
        BadConfig{"NanScale", "hidden_scale: 4\n", "hidden_scale: .nan\n", "config.value",
                  "transformer_lm.hidden_scale"},
        BadConfig{"UnknownNorm", "norm: layer_norm", "norm: rms_norm", "config.value",
                  "transformer_lm.norm is 'rms_norm', expected 'layer_norm'"},
        BadConfig{"UnknownPosition", "positional_embedding: sin", "positional_embedding: alibi",
                  "config.value", "'alibi'"},
        BadConfig{"DelaysOfAnotherModel", "    - 3\n    flatten_first: 0", "    flatten_first: 0",
                  "config.value", "codebooks_pattern.delay.delays has 3 items, expected 4"},
        BadConfig{"UnknownPattern", "modeling: delay", "modeling: braid", "config.value",
                  "codebooks_pattern.modeling is 'braid'"},
        BadConfig{"StereoWithAnotherCount", "compression_model_n_q: null",
                  "compression_model_n_q: 8", "config.value",
                  "compression_model_n_q is 8, but transformer_lm.n_q is 4"},
        BadConfig{"HugeRate", "sample_rate: 32000\nchannels", "sample_rate: 3200000000\nchannels",
                  "config.value", "sample_rate is 3200000000"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(LanguageModelSpec, RefusesNormsThatNeedCustomAttention) {
  std::string text = with("memory_efficient: true", "memory_efficient: false");
  text = replaced(text, "qk_layer_norm: false", "qk_layer_norm: true");
  expect_error(ErrorKind::input, "config.value",
               HasSubstr("qk_layer_norm is true, which needs custom or memory_efficient attention"),
               [&] { spec_of(text); });
}

TEST(LanguageModelSpec, RefusesStreamsThatTwoChannelsCannotShare) {
  std::string text = replaced(golden_text("musicgen_stereo"), "  n_q: 8\n", "  n_q: 7\n");
  text =
      replaced(text, "    delays:\n    - 0\n    - 0\n    - 1\n", "    delays:\n    - 0\n    - 1\n");
  expect_error(
      ErrorKind::input, "config.value",
      HasSubstr("transformer_lm.n_q is 7, which interleave_stereo_codebooks cannot divide"),
      [&] { spec_of(text); });
}

}  // namespace
}  // namespace craftbundle
