#include "language_model/exporter.h"

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
using testing::prepare;
using testing::probe_file;

const language_model::LanguageModelExporter exporter;

class GoldenPair : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenPair, IsWhatAudioCraftExports) {
  const std::string name = GetParam();
  const Path path = golden(name + "_train.th");
  EXPECT_EQ(probe_file(exporter, path).confidence, 100);
  const Component component = prepare(exporter, file_request(exporter, path));
  EXPECT_EQ(component.role, "lm");
  testing::expect_golden_package(audiocraft::package_of(component), name);
  EXPECT_THAT(component.checks,
              Contains(HasSubstr("have the names and shapes that xp.cfg implies")));
}

INSTANTIATE_TEST_SUITE_P(All, GoldenPair,
                         ::testing::Values("musicgen", "musicgen_fsdp", "musicgen_fsdp_nobest",
                                           "musicgen_stereo", "musicgen_cuda", "musicgen_melody",
                                           "audiogen", "magnet", "jasco"),
                         [](const auto& test) { return std::string(test.param); });

TEST(LanguageModelExporter, TakesAConfigurationThatNamesNoModel) {
  const Path path = golden("yaml_cases_train.th");
  EXPECT_EQ(probe_file(exporter, path).confidence, 10);
  const Component component = prepare(exporter, file_request(exporter, path));
  testing::expect_golden_package(audiocraft::package_of(component), "yaml_cases");
  EXPECT_THAT(
      component.warnings,
      ElementsAre(HasSubstr("xp.cfg names no model (neither lm_model nor compression_model); "
                            "the tensors are taken as they are")));
  EXPECT_THAT(component.requires_, IsEmpty());
}

TEST(LanguageModelExporter, PassesPackagesThrough) {
  for (const char* name : {"musicgen", "jasco"}) {
    const Path path = golden(std::string(name) + "_exported.bin");
    const Component component = prepare(exporter, file_request(exporter, path));
    testing::expect_golden_package(audiocraft::package_of(component), name);
  }
}

TEST(LanguageModelExporter, StatesFactsOfConfigurationAndTensors) {
  const Component mono = prepare(exporter, file_request(exporter, golden("musicgen_train.th")));
  EXPECT_EQ(fact_value(mono.requires_, "codebooks"), "4|4");
  EXPECT_EQ(fact_value(mono.requires_, "cardinality"), "32|32");
  EXPECT_EQ(mono.requires_[mono.requires_.size() - 2].origin,
            "rows of the tensors emb.*.weight, less the special token");
  EXPECT_EQ(fact_value(mono.requires_, "text_width"), "768");
  EXPECT_EQ(mono.requires_.back().origin,
            "columns of the tensor condition_provider.conditioners.description.output_proj.weight");
  const Component stereo =
      prepare(exporter, file_request(exporter, golden("musicgen_stereo_train.th")));
  EXPECT_EQ(fact_value(stereo.requires_, "codebooks"), "4|4");
  EXPECT_THAT(mono.provides, IsEmpty());
}

TEST(LanguageModelExporter, SummarisesForPeople) {
  const Component component =
      prepare(exporter, file_request(exporter, golden("musicgen_train.th")));
  EXPECT_EQ(component.summary[0].value, "MusicGen");
  const auto value_of = [&](const std::string& name) {
    for (const SummaryItem& item : component.summary) {
      if (item.name == name) return item.value;
    }
    return std::string();
  };
  EXPECT_EQ(value_of("transformer"), "2 layers, width 32, 2 heads");
  ASSERT_NE(component.model(), nullptr);
  EXPECT_EQ(component.model()->origin, "best_state['model']");
  EXPECT_THAT(component.load_with, HasSubstr("MusicGen(d, "));
  EXPECT_EQ(value_of("conditioners"), "t5");
}

TEST(LanguageModelExporter, TakesTheStateAskedFor) {
  for (const char* state : {"ema", "last"}) {
    const Component component =
        prepare(exporter, file_request(exporter, golden("musicgen_train.th"), {{"state", state}}));
    EXPECT_THAT(component.checks, Contains(HasSubstr("36 tensors"))) << state;
  }
  const Component jasco =
      prepare(exporter, file_request(exporter, golden("jasco_train.th"), {{"state", "ema"}}));
  EXPECT_THAT(jasco.checks,
              Contains(HasSubstr("tensors of the codec that encodes drums taken as they are")));
}

TEST(LanguageModelExporter, RefusesTheShardOfARank) {
  const Path path = golden("musicgen_fsdp_rank1_train.th");
  EXPECT_EQ(probe_file(exporter, path).confidence, 100);
  expect_error(ErrorKind::input, "state.rank_shard",
               HasSubstr("the full state is in checkpoint.th of rank 0"),
               [&] { prepare(exporter, file_request(exporter, path)); });
}

TEST(LanguageModelExporter, ExplainsACodecGivenAsLanguageModel) {
  const Probe probe = probe_file(exporter, golden("encodec_train.th"));
  EXPECT_EQ(probe.confidence, 0);
  EXPECT_EQ(
      probe.reason,
      "xp.cfg has compression_model: encodec (solver compression): a codec, not a language model");
  expect_error(ErrorKind::input, "package.family", HasSubstr("a codec, not a language model"),
               [] { prepare(exporter, file_request(exporter, golden("encodec_train.th"))); });
  EXPECT_THAT(probe_file(exporter, golden("pretrained_dac_44khz.bin")).reason,
              HasSubstr("which only compression models can be"));
}

// What AudioCraft's export functions do with these is in tests/golden/errors/EXPECTED.json: where
// they succeed, so does this.
TEST(LanguageModelExporter, TakesWhatAudioCraftTakes) {
  for (const char* file : {"no_best_state_key_but_fsdp.th", "fsdp_best_state_none.th",
                           "cfg_is_dict.th", "no_fsdp_best_state_key.th", "already_exported.th"}) {
    const Component component = prepare(exporter, file_request(exporter, golden_error(file)));
    EXPECT_NE(audiocraft::package_of(component).find("best_state"), nullptr) << file;
    EXPECT_THAT(component.warnings, Contains(HasSubstr("nothing can be checked"))) << file;
  }
  const Component dict = prepare(exporter, file_request(exporter, golden_error("cfg_is_dict.th")));
  EXPECT_EQ(*audiocraft::package_of(dict).find("xp.cfg")->get_if<std::string>(),
            "a:\n- 1\n- 2.5\n- null\n- true\n");
}

struct BrokenFile {
  const char* file;
  const char* code;
  const char* message;
};

class BrokenFiles : public ::testing::TestWithParam<BrokenFile> {};

TEST_P(BrokenFiles, AreExplained) {
  const BrokenFile& broken = GetParam();
  expect_error(ErrorKind::input, broken.code, HasSubstr(broken.message),
               [&] { prepare(exporter, file_request(exporter, golden_error(broken.file))); });
}

INSTANTIATE_TEST_SUITE_P(
    All, BrokenFiles,
    ::testing::Values(BrokenFile{"both_best_states_empty.th", "state.empty", "best_state is empty"},
                      BrokenFile{"no_cfg.th", "config.missing", "the checkpoint has no 'xp.cfg'"},
                      BrokenFile{"no_model_in_best_state.th", "state.missing",
                                 "best_state has no 'model' (it holds 'lm')"},
                      BrokenFile{"cfg_is_str.th", "config.type", "xp.cfg is text"},
                      BrokenFile{"cfg_is_none.th", "config.type", "xp.cfg"},
                      BrokenFile{"pkg_is_list.th", "package.layout",
                                 "this is no dict, but list of 2"},
                      BrokenFile{"compression_of_a_reference.th", "package.layout",
                                 "a reference to a pretrained model"}));

// A golden package, changed.
class ChangedModel : public ::testing::Test {
 protected:
  Value::Dict root = testing::read_package(golden("musicgen_exported.bin"));

  Component prepared() {
    testing::write_checkpoint(directory_ / "changed.bin", root);
    return prepare(exporter, file_request(exporter, directory_ / "changed.bin"));
  }
  Probe probed() {
    testing::write_checkpoint(directory_ / "changed.bin", root);
    return probe_file(exporter, directory_ / "changed.bin");
  }
  void edit_config(const std::string& from, const std::string& to) {
    for (auto& [key, value] : root) {
      if (key == "xp.cfg") value = testing::replaced(*value.get_if<std::string>(), from, to);
    }
  }

 private:
  testing::TemporaryDirectory directory_;
};

TEST_F(ChangedModel, MissingLayer) {
  std::erase_if(testing::child(root, "best_state"),
                [](const auto& entry) { return entry.first.starts_with("transformer.layers.1."); });
  expect_error(ErrorKind::input, "state.tensors",
               AllOf(HasSubstr("12 missing ('transformer.layers.1.self_attn.in_proj_weight'"),
                     HasSubstr("and 4 more")),
               [&] { prepared(); });
}

TEST_F(ChangedModel, ConfigurationWithMoreStreams) {
  edit_config("  n_q: 4\n", "  n_q: 3\n");
  edit_config("    - 3\n    flatten_first: 0", "    flatten_first: 0");
  expect_error(ErrorKind::input, "state.tensors",
               HasSubstr("2 unexpected ('emb.3.weight', 'linears.3.weight')"), [&] { prepared(); });
}

TEST_F(ChangedModel, IncompleteConfiguration) {
  edit_config("lm_model: transformer_lm\n", "");
  EXPECT_EQ(probed().confidence, 60);
  EXPECT_THAT(probed().reason, HasSubstr("but has no lm_model"));
  expect_error(ErrorKind::input, "config.missing", HasSubstr("'lm_model'"), [&] { prepared(); });
}

TEST_F(ChangedModel, UnknownModelIsTakenAsItIs) {
  edit_config("lm_model: transformer_lm\n", "lm_model: my_mamba\n");
  EXPECT_EQ(probed().confidence, 10);
  EXPECT_THAT(prepared().warnings,
              ElementsAre(AllOf(HasSubstr("my_mamba"), HasSubstr("nothing can be checked"))));
}

TEST_F(ChangedModel, BrokenConfigurationIsReportedByPrepare) {
  edit_config("lm_model: transformer_lm\n", "lm_model: !!python/object:os.system x\n");
  EXPECT_EQ(probed().confidence, 10);
  EXPECT_THAT(probed().reason, HasSubstr("xp.cfg"));
  expect_error(ErrorKind::input, "config.tag", HasSubstr("xp.cfg"), [&] { prepared(); });
}

TEST(LanguageModelExporter, DescribesItself) {
  const ExporterInfo info = exporter.info();
  EXPECT_EQ(info.name, "language_model");
  EXPECT_EQ(info.component, "lm");
  for (const AcceptedSource& accepted : info.accepts) {
    EXPECT_NE(accepted.kind, AcceptedSource::Kind::pretrained);
  }
}

}  // namespace
}  // namespace craftbundle
