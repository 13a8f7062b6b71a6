#include "dac/exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dac/spec.h"
#include "layouts/audiocraft/layout.h"
#include "support/error_matchers.h"
#include "unit/plugins/plugins_support.h"

namespace craftbundle {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::expect_error;
using testing::fact_value;
using testing::file_request;
using testing::golden;
using ::testing::HasSubstr;
using testing::name_request;
using ::testing::Not;
using testing::prepare;
using testing::probe_file;

const dac::DacExporter exporter;

constexpr char kConfig[] =
    "compression_model: dac\n"
    "sample_rate: 44100\n"
    "channels: 1\n"
    "dac:\n"
    "  encoder_dim: 4\n"
    "  encoder_rates:\n"
    "  - 2\n"
    "  - 4\n"
    "  - 4\n"
    "  latent_dim: 32\n"
    "  decoder_dim: 32\n"
    "  decoder_rates:\n"
    "  - 4\n"
    "  - 4\n"
    "  - 2\n"
    "  n_codebooks: 4\n"
    "  codebook_size: 32\n"
    "  codebook_dim: 4\n"
    "  quantizer_dropout: false\n"
    "  sample_rate: 44100\n";

dac::Spec spec_of(const std::string& text) { return dac::read_spec(Config::from_yaml(text)); }

TEST(DacSpec, HasExactlyTheTensorsOfTheRealModel) {
  const auto checkpoint = Checkpoint::open(golden("dac_weights.pth"));
  std::vector<testing::NameAndShape> tensors;
  for (const auto& named :
       audiocraft::read_state(checkpoint->root().at("state_dict"), *checkpoint, "state_dict")
           .tensors) {
    tensors.emplace_back(named.name, named.shape());
  }
  EXPECT_EQ(testing::expected_tensors(spec_of(kConfig).expected), tensors);
}

TEST(DacSpec, ComputesTheLatentWidthThatIsNotGiven) {
  const dac::Spec spec = spec_of(testing::replaced(kConfig, "latent_dim: 32", "latent_dim: null"));
  EXPECT_EQ(spec.figures.latent_dimension, 32);
}

TEST(DacSpec, TakesAWidthForEachCodebook) {
  const dac::Spec spec = spec_of(testing::replaced(kConfig, "codebook_dim: 4\n",
                                                   "codebook_dim:\n  - 1\n  - 2\n  - 3\n  - 4\n"));
  EXPECT_THAT(testing::expected_tensors(spec.expected),
              Contains(::testing::Pair("quantizer.quantizers.2.codebook.weight",
                                       std::vector<std::int64_t>{32, 3})));
}

struct BadConfig {
  const char* from;
  const char* to;
  const char* code;
  const char* message;
};

class BadDacConfig : public ::testing::TestWithParam<BadConfig> {};

TEST_P(BadDacConfig, IsRefused) {
  const BadConfig& bad = GetParam();
  expect_error(ErrorKind::input, bad.code, HasSubstr(bad.message),
               [&] { spec_of(testing::replaced(kConfig, bad.from, bad.to)); });
}

INSTANTIATE_TEST_SUITE_P(
    All, BadDacConfig,
    ::testing::Values(
        BadConfig{"  n_codebooks: 4\n", "", "config.missing", "dac.n_codebooks"},
        BadConfig{"n_codebooks: 4", "n_codebooks: 1000000000", "config.value",
                  "dac.n_codebooks is 1000000000"},
        BadConfig{"encoder_dim: 4", "encoder_dim: 0", "config.value", "dac.encoder_dim is 0"},
        BadConfig{"decoder_dim: 32", "decoder_dim: 4", "config.value", "cannot be halved 3 times"},
        BadConfig{"codebook_dim: 4\n", "codebook_dim:\n  - 1\n  - 2\n", "config.value",
                  "2 items for 4 codebooks"},
        BadConfig{"dac:\n", "dax:\n", "config.missing", "'dac'"}));

TEST(DacExporter, WritesAConfigurationFromTheMetadata) {
  const Component component = prepare(exporter, file_request(exporter, golden("dac_weights.pth")));
  const Value whole = audiocraft::package_of(component);
  const auto& package = *whole.get_if<Value::Dict>();
  ASSERT_EQ(package.size(), 4u);
  EXPECT_EQ(package[0].first, "best_state");
  EXPECT_EQ(package[0].second.get_if<Value::Dict>()->size(), 210u);
  EXPECT_EQ(package[1].first, "xp.cfg");
  EXPECT_EQ(*package[1].second.get_if<std::string>(), kConfig);
  EXPECT_EQ(package[2].first, "version");
  EXPECT_EQ(package[3].first, "exported");
  EXPECT_EQ(fact_value(component.provides, "codebooks"), "4");
  EXPECT_EQ(fact_value(component.provides, "frame_rate"), "1378.125");
  EXPECT_THAT(component.warnings,
              ElementsAre(HasSubstr("AudioCraft cannot load a DAC from tensors")));
  EXPECT_THAT(component.checks, Contains(HasSubstr("210 tensors of state_dict")));
}

TEST(DacExporter, TakesItsOwnPackages) {
  const testing::TemporaryDirectory directory;
  const Component first = prepare(exporter, file_request(exporter, golden("dac_weights.pth")));
  testing::write_checkpoint(directory / "dac.bin", audiocraft::package_of(first));
  EXPECT_EQ(probe_file(exporter, directory / "dac.bin").confidence, 100);
  const Component again = prepare(exporter, file_request(exporter, directory / "dac.bin"));
  EXPECT_EQ(*audiocraft::package_of(again).find("xp.cfg")->get_if<std::string>(), kConfig);
  EXPECT_EQ(audiocraft::package_of(again).find("best_state")->get_if<Value::Dict>()->size(), 210u);
}

TEST(DacExporter, ChecksTheTensorsAgainstTheMetadata) {
  const testing::TemporaryDirectory directory;
  Value::Dict root = testing::read_package(golden("dac_weights.pth"));
  testing::erase(testing::child(root, "state_dict"), "quantizer.quantizers.3.codebook.weight");
  testing::write_checkpoint(directory / "weights.pth", root);
  expect_error(ErrorKind::input, "state.tensors",
               HasSubstr("1 missing ('quantizer.quantizers.3.codebook.weight')"),
               [&] { prepare(exporter, file_request(exporter, directory / "weights.pth")); });
}

TEST(DacExporter, NeedsTheSettings) {
  const testing::TemporaryDirectory directory;
  Value::Dict root = testing::read_package(golden("dac_weights.pth"));
  testing::child(root, "metadata").clear();
  testing::write_checkpoint(directory / "weights.pth", root);
  EXPECT_EQ(probe_file(exporter, directory / "weights.pth").confidence, 60);
  expect_error(ErrorKind::input, "config.missing", HasSubstr("without 'kwargs'"),
               [&] { prepare(exporter, file_request(exporter, directory / "weights.pth")); });
}

TEST(DacExporter, RefusesSettingsThatAreNoPlainValues) {
  const testing::TemporaryDirectory directory;
  Value::Dict root = testing::read_package(golden("dac_weights.pth"));
  Value::Dict& kwargs = testing::child(testing::child(root, "metadata"), "kwargs");
  kwargs.emplace_back("comment", "x\ny: 1");
  testing::write_checkpoint(directory / "weights.pth", root);
  expect_error(ErrorKind::input, "config.type", AllOf(HasSubstr("'comment'"), Not(HasSubstr("\n"))),
               [&] { prepare(exporter, file_request(exporter, directory / "weights.pth")); });
}

TEST(DacExporter, RefersToTheNamesOfAudioCraft) {
  const Component large = prepare(exporter, name_request(exporter, "dac_44khz"));
  EXPECT_EQ(*audiocraft::package_of(large).find("pretrained")->get_if<std::string>(), "dac_44khz");
  EXPECT_EQ(fact_value(large.provides, "codebooks"), "9");
  EXPECT_EQ(fact_value(large.provides, "cardinality"), "1024");
  EXPECT_EQ(fact_value(large.provides, "sample_rate"), "44100");
  EXPECT_EQ(fact_value(large.provides, "frame_rate"), "86.1328125");
  EXPECT_EQ(fact_value(large.provides, "channels"), "1");
  const Component small = prepare(exporter, name_request(exporter, "dac_24khz"));
  EXPECT_EQ(fact_value(small.provides, "codebooks"), "32");
  EXPECT_EQ(fact_value(small.provides, "frame_rate"), "75");
  EXPECT_THAT(small.warnings,
              ElementsAre(HasSubstr("descript-audio-codec package must be installed")));
}

TEST(DacExporter, RefusesNamesThatAudioCraftCannotResolve) {
  for (const char* name : {"dac_16khz", "descript/dac_44khz", "dac"}) {
    const Probe probe = exporter.probe(Source::of_pretrained(name, name));
    EXPECT_EQ(probe.confidence, 0) << name;
    EXPECT_THAT(probe.reason, HasSubstr("AudioCraft loads dac_44khz and dac_24khz"));
    expect_error(ErrorKind::input, "pretrained.unknown", HasSubstr(name),
                 [&] { prepare(exporter, name_request(exporter, name)); });
  }
}

TEST(DacExporter, PassesReferencesThrough) {
  const Path path = golden("pretrained_dac_44khz.bin");
  EXPECT_EQ(probe_file(exporter, path).confidence, 100);
  const Component component = prepare(exporter, file_request(exporter, path));
  EXPECT_EQ(*audiocraft::package_of(component).find("pretrained")->get_if<std::string>(),
            "dac_44khz");
  // Python's export stops at an assertion here.
  const Path other = testing::golden_error("compression_of_a_reference.th");
  EXPECT_EQ(probe_file(exporter, other).confidence, 100);
  EXPECT_EQ(fact_value(prepare(exporter, file_request(exporter, other)).provides, "codebooks"),
            "9");
}

TEST(DacExporter, LeavesOtherFilesAlone) {
  EXPECT_EQ(probe_file(exporter, golden("encodec_train.th")).confidence, 0);
  EXPECT_EQ(probe_file(exporter, golden("pretrained_encodec_32khz.bin")).confidence, 0);
  EXPECT_THAT(probe_file(exporter, golden("encodec_exported.bin")).reason,
              HasSubstr("compression_model: encodec"));
  expect_error(ErrorKind::input, "package.family", HasSubstr("not a DAC"),
               [] { prepare(exporter, file_request(exporter, golden("encodec_exported.bin"))); });
}

TEST(DacExporter, HoldsOneStateOnly) {
  expect_error(ErrorKind::usage, "option.state", HasSubstr("one state only"), [] {
    prepare(exporter, file_request(exporter, golden("dac_weights.pth"), {{"state", "last"}}));
  });
}

}  // namespace
}  // namespace craftbundle
