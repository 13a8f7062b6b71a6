#include "craftbundle/audiocraft_rules/package.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error_matchers.h"
#include "unit/plugins/plugins_support.h"

namespace craftbundle {
namespace {

using audiocraft::FileForm;
using audiocraft::ModelKind;
using testing::golden;
using testing::golden_error;
using ::testing::HasSubstr;

audiocraft::FileKind kind_of(const Path& path) {
  return audiocraft::file_kind(Checkpoint::open(path)->root());
}

TEST(FileKind, TellsTheFilesOfAudioCraftApart) {
  EXPECT_EQ(kind_of(golden("musicgen_train.th")).form, FileForm::training);
  EXPECT_EQ(kind_of(golden("encodec_groupnorm_train.th")).form, FileForm::training);
  EXPECT_EQ(kind_of(golden("musicgen_fsdp_rank1_train.th")).form, FileForm::training);
  EXPECT_EQ(kind_of(golden("musicgen_exported.bin")).form, FileForm::exported);
  EXPECT_EQ(kind_of(golden("pretrained_dac_44khz.bin")).form, FileForm::reference);
  EXPECT_EQ(kind_of(golden("dac_weights.pth")).form, FileForm::weights);
}

TEST(FileKind, SaysWhatOtherFilesAre) {
  const audiocraft::FileKind list = kind_of(golden_error("pkg_is_list.th"));
  EXPECT_EQ(list.form, FileForm::other);
  EXPECT_THAT(list.words, HasSubstr("list"));

  const testing::TemporaryDirectory directory;
  const auto words = [&](const Value::Dict& root) {
    testing::write_checkpoint(directory / "file.th", root);
    return kind_of(directory / "file.th").words;
  };
  Value::Dict package = testing::read_package(golden("yaml_cases_exported.bin"));
  const Value tensor = testing::child(package, "best_state").front().second;
  EXPECT_EQ(words({{"a.weight", tensor}}),
            "a bare state dict of 1 entries, without a configuration");
  EXPECT_EQ(words({{"pytorch-lightning_version", "2.0"}, {"epoch", std::int64_t{3}}}),
            "a checkpoint of PyTorch Lightning");
  EXPECT_EQ(words({{"sample_rate", std::int64_t{24000}}, {"n_bands", std::int64_t{4}}}),
            "a package of MultiBand Diffusion decoders, which is no part of a bundle: AudioCraft "
            "takes the file as it is");
  EXPECT_EQ(words({{"epoch", std::int64_t{3}}}), "a dict with 'epoch'");
  EXPECT_EQ(words({}), "an empty dict");
}

TEST(ModelName, SaysWhatAConfigurationDescribes) {
  const auto name = [](const std::string& text) {
    return audiocraft::model_name(Config::from_yaml(text));
  };
  const audiocraft::ModelName lm = name("solver: musicgen\nlm_model: transformer_lm\n");
  EXPECT_EQ(lm.kind, ModelKind::language_model);
  EXPECT_EQ(lm.words, "xp.cfg has lm_model: transformer_lm (solver musicgen): a language model");
  EXPECT_EQ(name("compression_model: encodec\n").kind, ModelKind::codec);
  EXPECT_EQ(name("solver: diffusion\n").kind, ModelKind::other);
  EXPECT_EQ(name("audioseal: {}\nseanet: {}\n").kind, ModelKind::other);
  EXPECT_EQ(name("a: 1\n").kind, ModelKind::unnamed);
  // The key is missing, but the rest tells.
  EXPECT_EQ(name("transformer_lm: {}\n").kind, ModelKind::language_model);
  EXPECT_EQ(name("lm_model: null\nseanet: {}\n").kind, ModelKind::codec);
  EXPECT_THAT(name("seanet: {}\n").words, HasSubstr("has no compression_model"));
}

TEST(Glance, NeverThrows) {
  for (const char* file : {"cfg_is_none.th", "cfg_is_str.th", "no_cfg.th",
                           "compression_minimal_valid.th", "both_best_states_empty.th"}) {
    const audiocraft::Glance glance = audiocraft::glance(*Checkpoint::open(golden_error(file)));
    EXPECT_EQ(glance.model.has_value(), glance.problem.empty()) << file;
  }
  EXPECT_THAT(audiocraft::glance(*Checkpoint::open(golden_error("no_cfg.th"))).problem,
              HasSubstr("no 'xp.cfg'"));
}

}  // namespace
}  // namespace craftbundle
