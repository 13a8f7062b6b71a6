#include "encodec/exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
using testing::golden_error;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::name_request;
using ::testing::Not;
using testing::prepare;
using testing::probe_file;

const encodec::EncodecExporter exporter;

class GoldenPair : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenPair, IsWhatAudioCraftExports) {
  const std::string name = GetParam();
  const Path path = golden(name + "_train.th");
  EXPECT_EQ(probe_file(exporter, path).confidence, 100);
  const Component component = prepare(exporter, file_request(exporter, path));
  EXPECT_EQ(component.role, "compression");
  testing::expect_golden_package(audiocraft::package_of(component), name);
}

INSTANTIATE_TEST_SUITE_P(All, GoldenPair,
                         ::testing::Values("encodec", "encodec_groupnorm", "encodec_causal_odd",
                                           "encodec_oc230", "layout_t21", "layout_t27",
                                           "layout_legacy", "layout_proto4"),
                         [](const auto& test) { return std::string(test.param); });

class GoldenPackage : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenPackage, PassesThroughUnchanged) {
  const std::string name = GetParam();
  const Path path = golden(name + "_exported.bin");
  EXPECT_EQ(probe_file(exporter, path).confidence, 100);
  const Component component = prepare(exporter, file_request(exporter, path));
  testing::expect_golden_package(audiocraft::package_of(component), name);
  EXPECT_THAT(component.warnings, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, GoldenPackage,
                         ::testing::Values("encodec", "encodec_causal_24khz", "encodec_renorm",
                                           "encodec_outer_nonorm"),
                         [](const auto& test) { return std::string(test.param); });

TEST(EncodecExporter, StatesFactsSummaryAndChecks) {
  const Component component = prepare(exporter, file_request(exporter, golden("encodec_train.th")));
  EXPECT_EQ(fact_value(component.provides, "codebooks"), "4");
  EXPECT_EQ(fact_value(component.provides, "cardinality"), "32");
  EXPECT_EQ(fact_value(component.provides, "sample_rate"), "32000");
  EXPECT_EQ(fact_value(component.provides, "frame_rate"), "50");
  EXPECT_EQ(fact_value(component.provides, "channels"), "1");
  EXPECT_EQ(fact_value(component.provides, "renormalize"), "no");
  EXPECT_EQ(component.provides[0].origin, "rvq.n_q in xp.cfg");
  EXPECT_THAT(component.requires_, IsEmpty());
  EXPECT_THAT(component.warnings, IsEmpty());
  EXPECT_EQ(component.summary[0].value, "EnCodec");
  EXPECT_THAT(component.checks, Contains("116 tensors of best_state['model'] have the names and "
                                         "shapes that xp.cfg implies"));
}

TEST(EncodecExporter, TakesTheStateAskedFor) {
  const Component ema =
      prepare(exporter, file_request(exporter, golden("encodec_train.th"), {{"state", "ema"}}));
  EXPECT_EQ(ema.model()->origin, "ema['state']['model']");
  expect_error(ErrorKind::usage, "option.state", HasSubstr("the file holds one state only"), [] {
    prepare(exporter, file_request(exporter, golden("encodec_exported.bin"), {{"state", "ema"}}));
  });
}

TEST(EncodecExporter, StatesTheVersionAskedFor) {
  const Component component = prepare(exporter, file_request(exporter, golden("encodec_train.th"),
                                                             {{"audiocraft-version", "1.3.0"}}));
  EXPECT_EQ(*audiocraft::package_of(component).find("version")->get_if<std::string>(), "1.3.0");
}

TEST(EncodecExporter, RefersToPretrainedNames) {
  const Component component = prepare(exporter, name_request(exporter, "facebook/encodec_32khz"));
  const Value whole = audiocraft::package_of(component);
  const auto& package = *whole.get_if<Value::Dict>();
  ASSERT_EQ(package.size(), 3u);
  EXPECT_EQ(package[0].first, "pretrained");
  EXPECT_EQ(*package[0].second.get_if<std::string>(), "facebook/encodec_32khz");
  EXPECT_EQ(package[1].first, "exported");
  EXPECT_EQ(package[2].first, "version");
  EXPECT_EQ(*package[2].second.get_if<std::string>(), "1.4.0a2");
  EXPECT_EQ(fact_value(component.provides, "cardinality"), "2048");
  EXPECT_THAT(component.warnings, ElementsAre(HasSubstr("fetched from Hugging Face")));
}

struct KnownCodec {
  const char* name;
  const char* figures;  // codebooks, cardinality, sample rate, frame rate, channels, renormalize
};

class KnownName : public ::testing::TestWithParam<KnownCodec> {};

TEST_P(KnownName, CarriesItsFigures) {
  const Component component = prepare(exporter, name_request(exporter, GetParam().name));
  std::string figures;
  for (const char* name :
       {"codebooks", "cardinality", "sample_rate", "frame_rate", "channels", "renormalize"}) {
    figures += (figures.empty() ? "" : " ") + fact_value(component.provides, name);
  }
  EXPECT_EQ(figures, GetParam().figures);
}

INSTANTIATE_TEST_SUITE_P(
    All, KnownName,
    ::testing::Values(KnownCodec{"facebook/encodec_32khz", "4 2048 32000 50 1 no"},
                      KnownCodec{"facebook/encodec_24khz", "32 1024 24000 75 1 no"},
                      KnownCodec{"facebook/encodec_48khz", "16 1024 48000 150 2 yes"},
                      KnownCodec{"debug_compression_model", "4 400 32000 25 1 no"}));

TEST(EncodecExporter, PassesReferencesThrough) {
  const Path path = golden("pretrained_encodec_32khz.bin");
  EXPECT_EQ(probe_file(exporter, path).confidence, 100);
  const Component component = prepare(exporter, file_request(exporter, path));
  EXPECT_EQ(*audiocraft::package_of(component).find("pretrained")->get_if<std::string>(),
            "facebook/encodec_32khz");
  EXPECT_EQ(fact_value(component.provides, "codebooks"), "4");
}

TEST(EncodecExporter, TakesOtherHuggingFaceNamesWithAWarning) {
  const Probe probe = exporter.probe(Source::of_pretrained("x", "someone/my-encodec"));
  EXPECT_EQ(probe.confidence, 30);
  const Component component = prepare(exporter, name_request(exporter, "someone/my-encodec"));
  EXPECT_THAT(component.provides, IsEmpty());
  EXPECT_THAT(component.warnings, Contains(HasSubstr("which cannot be checked here")));
}

struct RefusedName {
  const char* name;
  const char* message;
  const char* hint;
};

class RefusedNames : public ::testing::TestWithParam<RefusedName> {};

TEST_P(RefusedNames, AreExplained) {
  const RefusedName& refused = GetParam();
  const Probe probe = exporter.probe(Source::of_pretrained(refused.name, refused.name));
  EXPECT_EQ(probe.confidence, 0);
  EXPECT_THAT(probe.reason, AllOf(HasSubstr(refused.message), HasSubstr(refused.hint)));
  expect_error(ErrorKind::input, "pretrained.unknown", HasSubstr(refused.message),
               [&] { prepare(exporter, name_request(exporter, refused.name)); });
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusedNames,
    ::testing::Values(RefusedName{"facebook/musicgen-small", "names a MusicGen language model",
                                  "its codec is facebook/encodec_32khz"},
                      RefusedName{"facebook/audiogen-medium", "names an AudioGen language model",
                                  "compression_state_dict.bin"},
                      RefusedName{"facebook/encodec_33khz", "is no codec that AudioCraft can load",
                                  "did you mean facebook/encodec_32khz?"},
                      RefusedName{"encodec", "is no codec that AudioCraft can load",
                                  "facebook/encodec_24khz"},
                      RefusedName{"dac_44khz", "names a DAC, not an EnCodec", "dac_24khz"},
                      RefusedName{"a/b/c", "is no codec", "known names are"},
                      RefusedName{"../checkpoint.th", "is no codec", "known names are"}));

TEST(EncodecExporter, ExplainsALanguageModelGivenAsCodec) {
  const Probe probe = probe_file(exporter, golden("musicgen_train.th"));
  EXPECT_EQ(probe.confidence, 0);
  EXPECT_EQ(probe.reason,
            "xp.cfg has lm_model: transformer_lm (solver musicgen): a language model, not a codec");
  expect_error(ErrorKind::input, "package.family", HasSubstr("a language model, not a codec"),
               [] { prepare(exporter, file_request(exporter, golden("musicgen_train.th"))); });
}

TEST(EncodecExporter, ExplainsOtherFiles) {
  EXPECT_EQ(probe_file(exporter, golden("pretrained_dac_44khz.bin")).confidence, 0);
  EXPECT_THAT(probe_file(exporter, golden("pretrained_dac_44khz.bin")).reason,
              HasSubstr("'dac_44khz' names a DAC"));
  EXPECT_THAT(probe_file(exporter, golden("dac_weights.pth")).reason,
              HasSubstr("descript-audio-codec"));
  expect_error(ErrorKind::input, "package.layout", HasSubstr("expected a training checkpoint"),
               [] { prepare(exporter, file_request(exporter, golden("dac_weights.pth"))); });
  expect_error(ErrorKind::input, "package.layout", HasSubstr("this is no dict, but list of 2"),
               [] { prepare(exporter, file_request(exporter, golden_error("pkg_is_list.th"))); });
}

// What AudioCraft's export functions do with these is in tests/golden/errors/EXPECTED.json.
TEST(EncodecExporter, TakesWhatAudioCraftTakesWithoutAModelName) {
  for (const char* file : {"no_fsdp_best_state_key_encodec.th", "already_exported_encodec.th",
                           "compression_of_a_training_checkpoint.th"}) {
    EXPECT_EQ(probe_file(exporter, golden_error(file)).confidence, 5) << file;
    const Component component = prepare(exporter, file_request(exporter, golden_error(file)));
    EXPECT_THAT(component.warnings, Contains(HasSubstr("nothing can be checked"))) << file;
    EXPECT_THAT(component.provides, IsEmpty());
  }
}

TEST(EncodecExporter, TakesAReferenceThatPythonRefuses) {
  EXPECT_EQ(probe_file(exporter, golden_error("compression_of_a_reference.th")).confidence, 0);
}

TEST(EncodecExporter, RefusesBrokenPackages) {
  expect_error(ErrorKind::input, "state.empty", HasSubstr("best_state is empty"), [] {
    prepare(exporter, file_request(exporter, golden_error("encodec_best_state_empty.th")));
  });
  expect_error(ErrorKind::input, "package.field", HasSubstr("'version' is"), [] {
    prepare(exporter, file_request(exporter, golden_error("compression_minimal_valid.th")));
  });
}

// A golden package, changed.
class ChangedPackage : public ::testing::Test {
 protected:
  Value::Dict root = testing::read_package(golden("encodec_outer_nonorm_exported.bin"));

  Component prepared() {
    testing::write_checkpoint(directory_ / "changed.bin", root);
    return prepare(exporter, file_request(exporter, directory_ / "changed.bin"));
  }
  Value::Dict& state() { return testing::child(root, "best_state"); }

 private:
  testing::TemporaryDirectory directory_;
};

TEST_F(ChangedPackage, MissingTensor) {
  testing::erase(state(), "encoder.model.0.conv.conv.bias");
  expect_error(ErrorKind::input, "state.tensors",
               HasSubstr("1 missing ('encoder.model.0.conv.conv.bias')"), [&] { prepared(); });
}

TEST_F(ChangedPackage, RenamedTensor) {
  state().front().first = "encoder.model.0.conv.weight";
  expect_error(ErrorKind::input, "state.tensors",
               AllOf(HasSubstr("1 missing ('encoder.model.0.conv.conv.weight')"),
                     HasSubstr("1 unexpected ('encoder.model.0.conv.weight')")),
               [&] { prepared(); });
}

TEST_F(ChangedPackage, TensorOfAnotherShape) {
  const Value bias = state()[1].second;
  state()[0].second = bias;
  expect_error(ErrorKind::input, "state.tensors",
               HasSubstr("'encoder.model.0.conv.conv.weight' is [2], expected [2, 1, 7]"),
               [&] { prepared(); });
}

TEST_F(ChangedPackage, ConfigurationOfAnotherModel) {
  for (auto& [key, value] : root) {
    if (key == "xp.cfg") value = testing::read_text(golden("encodec_nf4_exported.yaml"));
  }
  expect_error(ErrorKind::input, "state.tensors", HasSubstr("of another shape"),
               [&] { prepared(); });
}

TEST_F(ChangedPackage, PlainExtraKeysAreKept) {
  root.emplace_back("note", "fine-tuned on birds");
  EXPECT_EQ(*audiocraft::package_of(prepared()).find("note")->get_if<std::string>(),
            "fine-tuned on birds");
}

TEST_F(ChangedPackage, FirstReleasesHadNoVersion) {
  testing::erase(root, "version");
  testing::erase(root, "exported");
  const Component component = prepared();
  EXPECT_EQ(*audiocraft::package_of(component).find("version")->get_if<std::string>(), "1.4.0a2");
  EXPECT_TRUE(*audiocraft::package_of(component).find("exported")->get_if<bool>());
  EXPECT_THAT(component.warnings, ElementsAre(HasSubstr("states no version of AudioCraft")));
}

TEST_F(ChangedPackage, WithoutConfiguration) {
  testing::erase(root, "xp.cfg");
  expect_error(ErrorKind::input, "config.missing", HasSubstr("the package has no 'xp.cfg'"),
               [&] { prepared(); });
}

TEST_F(ChangedPackage, ExportedIsFalse) {
  for (auto& [key, value] : root) {
    if (key == "exported") value = false;
  }
  expect_error(ErrorKind::input, "package.field",
               ::testing::EndsWith("changed.bin: 'exported' is False, expected True"),
               [&] { prepared(); });
}

TEST(EncodecExporter, DescribesItself) {
  const ExporterInfo info = exporter.info();
  EXPECT_EQ(info.name, "encodec");
  EXPECT_EQ(info.component, "compression");
  std::vector<std::string> options;
  for (const OptionSpec& option : info.options) options.push_back(option.name);
  EXPECT_THAT(options, ElementsAre("state", "audiocraft-version", "as-is", "paths-as-text"));
  EXPECT_THAT(info.options[0].choices, ElementsAre("best", "ema", "last"));
}

}  // namespace
}  // namespace craftbundle
