#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error_matchers.h"
#include "support/tiny_t5.h"
#include "text_encoder/exporter.h"
#include "text_encoder/spec.h"
#include "unit/plugins/plugins_support.h"

namespace craftbundle {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::expect_error;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::prepare;
using testing::tiny_t5_config;
using testing::tiny_t5_tensors;

constexpr std::int64_t kWidth = 8;

const text_encoder::T5Exporter exporter;

class T5Test : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    OutputFile file(Path((directory_ / name).parent_path()), Durability::no_sync);
    file.write(text);
    file.publish(directory_ / name, true);
  }
  Model model(const std::string& feed_forward = "relu") {
    const bool is_gated = feed_forward != "relu";
    write("model.safetensors", testing::safetensors_of(tiny_t5_tensors(kWidth, is_gated)));
    Model model;
    model.config = Config::from_yaml(tiny_t5_config(kWidth, feed_forward));
    model.tensors = Safetensors::open(directory_ / "model.safetensors")->tensors();
    add_file(model, "tokenizer.json", "{}");
    return model;
  }
  void add_file(Model& model, const std::string& name, const std::string& text) {
    write(name, text);
    model.files.push_back({name, copy_of(directory_ / name)});
  }
  static Component prepared(Model model) {
    return prepare(exporter, {Source::of_model("my_t5", std::move(model)), {}});
  }

  testing::TemporaryDirectory directory_;
};

TEST_F(T5Test, IsKnownByItsConfiguration) {
  EXPECT_EQ(exporter.probe(Source::of_model("m", model())).confidence, 100);
  Model named;
  named.family = "t5";
  EXPECT_EQ(exporter.probe(Source::of_model("m", named)).confidence, 100);
  Model other;
  const Probe nothing = exporter.probe(Source::of_model("m", other));
  EXPECT_EQ(nothing.confidence, 0);
  EXPECT_EQ(nothing.reason, "the configuration has no model_type");
  other.config = Config::from_yaml("model_type: bert\n");
  EXPECT_EQ(exporter.probe(Source::of_model("m", other)).reason, "model_type is 'bert', not t5");
  other.config = Config::from_yaml("model_type: [t5]\n");
  EXPECT_EQ(exporter.probe(Source::of_model("m", other)).confidence, 0);
}

TEST_F(T5Test, IsCheckedAndStatesItsWidth) {
  const Component component = prepared(model());
  EXPECT_EQ(component.role, "text_encoder");
  ASSERT_NE(component.model(), nullptr);
  EXPECT_EQ(component.model()->tensors.size(), tiny_t5_tensors(kWidth).size());
  EXPECT_EQ(component.model()->files.size(), 1u);
  EXPECT_THAT(component.checks,
              ElementsAre("19 tensors of the model have the names and shapes that config.json "
                          "implies",
                          "the tokenizer is there (tokenizer.json)"));
  EXPECT_EQ(testing::fact_value(component.provides, "text_width"), "8");
  EXPECT_EQ(component.provides.front().origin, "d_model in config.json");
  EXPECT_THAT(component.requires_, IsEmpty());
  EXPECT_THAT(component.warnings, IsEmpty());
  std::vector<std::string> summary;
  for (const SummaryItem& item : component.summary)
    summary.push_back(item.name + ": " + item.value);
  EXPECT_THAT(summary,
              ElementsAre("family: T5 (encoder)", "transformer: 2 layers, width 8, 2 heads",
                          "feed forward: width 5, relu", "vocabulary: 7 entries"));
}

TEST_F(T5Test, MayBeGated) {
  const Component component = prepared(model("gated-gelu"));
  EXPECT_THAT(component.checks, Contains(HasSubstr("21 tensors of the model")));
  Model mixed = model();
  mixed.config = Config::from_yaml(tiny_t5_config(kWidth, "gated-gelu"));
  expect_error(ErrorKind::input, "state.tensors",
               AllOf(HasSubstr("4 missing ('encoder.block.0.layer.1.DenseReluDense.wi_0.weight'"),
                     HasSubstr("2 unexpected ('encoder.block.0.layer.1.DenseReluDense.wi.weight'")),
               [&] { prepared(mixed); });
}

TEST_F(T5Test, TensorsMustBeThoseOfTheConfiguration) {
  Model wide = model();
  wide.config = Config::from_yaml(tiny_t5_config(kWidth + 1));
  try {
    prepared(wide);
    ADD_FAILURE() << "was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "state.tensors");
    EXPECT_THAT(
        error.message(),
        AllOf(HasSubstr("my_t5: the model does not hold the tensors that config.json "
                        "describes: "),
              HasSubstr("'shared.weight' is [7, 8], expected [7, 9]"), Not(HasSubstr("xp.cfg"))));
    EXPECT_EQ(error.hint(),
              "the tensors and config.json come from different models, or config.json was edited "
              "after training");
  }
  Model decoder = model();
  decoder.tensors.push_back(decoder.tensors.front());
  decoder.tensors.back().name = "decoder.final_layer_norm.weight";
  expect_error(ErrorKind::input, "state.tensors",
               HasSubstr("1 unexpected ('decoder.final_layer_norm.weight')"),
               [&] { prepared(decoder); });
}

TEST_F(T5Test, NeedsATokenizer) {
  Model pieces = model();
  pieces.files.clear();
  add_file(pieces, "spiece.model", "pieces");
  EXPECT_THAT(prepared(pieces).checks, Contains("the tokenizer is there (spiece.model)"));
  Model none = model();
  none.files.clear();
  add_file(none, "tokenizer_config.json", "{}");
  try {
    prepared(none);
    ADD_FAILURE() << "was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    EXPECT_EQ(error.code(), "text_encoder.tokenizer");
    EXPECT_EQ(error.message(),
              "my_t5: there is no tokenizer: neither tokenizer.json nor spiece.model lies beside "
              "the weights");
    EXPECT_EQ(error.hint(),
              "put these files of the same T5 beside them; a tokenizer cannot be made again");
  }
}

TEST_F(T5Test, SaysWhatTransformers4Needs) {
  Model plain = model();
  add_file(plain, "tokenizer_config.json", R"({"tokenizer_class": "T5Tokenizer"})");
  EXPECT_THAT(prepared(plain).warnings, IsEmpty());
  Model spaced = model();
  add_file(spaced, "tokenizer_config.json", R"({"add_prefix_space": null})");
  EXPECT_THAT(prepared(spaced).warnings,
              ElementsAre("spiece.model is not there, without which transformers 4 makes no "
                          "tokenizer of a tokenizer_config.json that has add_prefix_space"));
  add_file(spaced, "spiece.model", "pieces");
  EXPECT_THAT(prepared(spaced).warnings, IsEmpty());
  Model broken = model();
  add_file(broken, "tokenizer_config.json", "{");
  expect_error(ErrorKind::input, "layout.json", HasSubstr("my_t5: tokenizer_config.json: "),
               [&] { prepared(broken); });
}

TEST(T5Spec, RefusesWhatNoT5Has) {
  const auto refuse = [](const std::string& text, const std::string& code,
                         const std::string& message) {
    expect_error(ErrorKind::input, code, HasSubstr(message),
                 [&] { text_encoder::read_spec(Config::from_yaml(text)); });
  };
  refuse("d_model: 0\n", "config.value", "d_model is 0, expected 1 to 1048576");
  refuse("num_layers: 100000\n", "config.value", "num_layers is 100000, expected 1 to 1024");
  refuse("vocab_size: -1\n", "config.value", "vocab_size is -1");
  refuse("feed_forward_proj: tanh\n", "config.value",
         "feed_forward_proj is 'tanh', expected relu, gated-gelu or gated-silu");
  refuse("d_ff: wide\n", "config.type", "d_ff");
}

TEST(T5Spec, FillsInWhatTransformersDoes) {
  const text_encoder::Spec spec = text_encoder::read_spec(Config::from_yaml("model_type: t5\n"));
  EXPECT_EQ(spec.settings.d_model, 512);
  EXPECT_EQ(spec.expected.tensors().front().shape, (std::vector<std::int64_t>{32'128, 512}));
  EXPECT_EQ(spec.expected.tensors().size(), 51u);
}

TEST(T5Exporter, NamesWhatAudioCraftCallsByShorterNames) {
  const ExporterInfo info = exporter.info();
  EXPECT_EQ(info.name, "t5");
  EXPECT_EQ(info.component, "text_encoder");
  ASSERT_EQ(info.accepts.size(), 1u);
  EXPECT_THAT(info.accepts[0].names, Contains("google-t5/t5-base"));
}

}  // namespace
}  // namespace craftbundle
