// Bundles in other layouts: what goes in comes back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>
#include <nlohmann/json.hpp>

#include "support/program.h"

namespace craftbundle {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ProgramResult;
using testing::read_file;
using testing::TemporaryDirectory;

std::string data(const std::string& name) {
  return std::string(CRAFTBUNDLE_TEST_DATA) + "/golden/data/" + name;
}

class Layouts : public ::testing::Test {
 protected:
  ProgramResult run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(),
                     std::string(CRAFTBUNDLE_PROGRAM_DIRECTORY) + "/craftbundle");
    return testing::run_program(arguments, directory_.path());
  }

  // The output of a command that must succeed.
  std::string output_of(std::vector<std::string> arguments) const {
    const ProgramResult result = run(std::move(arguments));
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return result.output;
  }

  // A command that must fail with this exit code, and these words on standard error.
  void refuse(std::vector<std::string> arguments, int exit_code, const std::string& words) const {
    const ProgramResult result = run(std::move(arguments));
    EXPECT_EQ(result.exit_code, exit_code);
    EXPECT_THAT(result.errors, HasSubstr(words));
  }

  std::vector<std::string> names(const std::string& directory) const {
    std::vector<std::string> found;
    for (const auto& entry : boost::filesystem::directory_iterator(directory_ / directory)) {
      found.push_back(entry.path().filename().string());
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  void expect_same(const std::string& one, const std::string& other) const {
    EXPECT_TRUE(read_file(directory_ / one) == read_file(directory_ / other))
        << one << " and " << other;
  }

  TemporaryDirectory directory_;
};

TEST_F(Layouts, SafetensorsComeBackAsTheSameBytes) {
  for (const auto& [lm, compression] : std::vector<std::pair<std::string, std::string>>{
           {"musicgen_train.th", "encodec_train.th"},
           {"musicgen_exported.bin", "encodec_renorm_exported.bin"},
           {"audiogen_train.th", "dac_weights.pth"},
           {"magnet_train.th", "encodec_causal_24khz_exported.bin"},
           {"jasco_exported.bin", "pretrained_encodec_32khz.bin"}}) {
    SCOPED_TRACE(lm + " and " + compression);
    for (const char* name : {"a", "b", "c"}) boost::filesystem::remove_all(directory_ / name);
    output_of({"bundle", "--lm", data(lm), "--compression", data(compression), "-o", "a",
               "--allow-mismatch"});
    output_of({"convert", "a", "--layout", "safetensors", "-o", "b", "--allow-mismatch"});
    output_of({"convert", "b", "--layout", "audiocraft", "-o", "c", "--allow-mismatch"});
    expect_same("a/state_dict.bin", "c/state_dict.bin");
    expect_same("a/compression_state_dict.bin", "c/compression_state_dict.bin");
  }
}

TEST_F(Layouts, SafetensorsHaveTheConfigurationBesideThem) {
  output_of({"bundle", "--lm", data("musicgen_train.th"), "--compression", data("encodec_train.th"),
             "--layout", "safetensors", "-o", "m"});
  EXPECT_THAT(names("m"), ElementsAre("bundle.json", "compression.json", "compression.safetensors",
                                      "compression.yaml", "lm.json", "lm.safetensors", "lm.yaml"));
  EXPECT_EQ(read_file(directory_ / "m/lm.yaml"), read_file(data("musicgen_exported.yaml")));
  const json config = json::parse(read_file(directory_ / "m/lm.json"));
  EXPECT_EQ(config.at("lm_model"), "transformer_lm");
  EXPECT_EQ(config.at("transformer_lm").at("n_q"), 4);
  const json manifest = json::parse(read_file(directory_ / "m/bundle.json"));
  EXPECT_EQ(manifest.at("format_version"), 2);
  EXPECT_EQ(manifest.at("layout"), "safetensors");
  EXPECT_EQ(manifest.at("files").size(), 6u);
  EXPECT_THAT(output_of({"verify", "m"}),
              AllOf(HasSubstr("verified: "), HasSubstr("it reads the layout 'audiocraft'"),
                    ::testing::Not(HasSubstr("get_pretrained"))));
  EXPECT_THAT(output_of({"inspect", "m"}),
              AllOf(HasSubstr("fits  codebooks"), ::testing::Not(HasSubstr("get_pretrained"))));
}

TEST_F(Layouts, FilesThatChangedAreFound) {
  output_of({"bundle", "--lm", data("musicgen_train.th"), "--compression", data("encodec_train.th"),
             "--layout", "safetensors", "-o", "m"});
  testing::write_file(directory_ / "m/lm.json", "{}\n");
  ProgramResult result = run({"verify", "m"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.output, HasSubstr("manifest.size"));
  boost::filesystem::remove(directory_ / "m/lm.yaml");
  result = run({"verify", "m"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.output, AllOf(HasSubstr("layout.config"), HasSubstr("manifest.missing")));
}

TEST_F(Layouts, OneComponentOfSeveralFilesIsADirectory) {
  const std::string report =
      output_of({"export", data("encodec_train.th"), "--layout", "safetensors", "-o", "codec"});
  EXPECT_THAT(report, HasSubstr("codec: compression in layout safetensors"));
  EXPECT_THAT(names("codec"), ElementsAre("bundle.json", "compression.json",
                                          "compression.safetensors", "compression.yaml"));
  refuse({"export", data("encodec_train.th"), "--layout", "safetensors", "-o", "codec"}, 2,
         "already holds a bundle");
  output_of(
      {"export", data("encodec_train.th"), "--layout", "safetensors", "-o", "codec", "--force"});
}

TEST_F(Layouts, OldBundlesAreConverted) {
  const std::string old = std::string(CRAFTBUNDLE_TEST_DATA) + "/golden/bundles_v1/full";
  EXPECT_THAT(output_of({"verify", old}), HasSubstr("verified: "));
  output_of({"convert", old, "--layout", "audiocraft", "-o", "m"});
  EXPECT_TRUE(read_file(Path(old) / "state_dict.bin") ==
              read_file(directory_ / "m/state_dict.bin"));
  const std::string reference = std::string(CRAFTBUNDLE_TEST_DATA) + "/golden/bundles_v1/reference";
  // Was made with --allow-mismatch.
  const ProgramResult result = run({"verify", reference});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.output, AllOf(HasSubstr("size and SHA-256 are those of the manifest"),
                                   HasSubstr("does not fit: cardinality")));
}

TEST_F(Layouts, WhatCannotBeIsRefused) {
  refuse({"export", data("encodec_train.th"), "--layout", "safetensor", "-o", "x"}, 2,
         "did you mean 'safetensors'?");
  refuse({"bundle", "--lm", data("musicgen_train.th"), "--compression", data("encodec_train.th"),
          "--layout", "torchscript", "-o", "x"},
         4, "layout 'torchscript': it has no place for a component 'lm'");
  refuse({"export", data("encodec_train.th"), "--layout", "safetensors", "--layout-option", "a=b",
          "-o", "x"},
         2, "layout 'safetensors' has no option 'a'");
  EXPECT_THAT(directory_.names(), ElementsAre());
}

TEST_F(Layouts, EachComponentHasOptionsOfItsOwn) {
  const std::string report =
      output_of({"bundle", "--lm", data("musicgen_train.th"), "--component",
                 "compression=" + data("encodec_train.th"), "--dtype", "float16", "--for",
                 "compression:dtype=keep", "--for", "lm:state=ema", "-o", "m"});
  EXPECT_THAT(report, AllOf(HasSubstr("lm: 36 tensors are float16 as asked for"),
                            HasSubstr("state_dict.bin"), HasSubstr("ema")));
  EXPECT_EQ(report.find("compression: 114 tensors are float16"), std::string::npos);
  refuse({"bundle", "--lm", data("musicgen_train.th"), "--for", "codec:dtype=keep", "-o", "x"}, 2,
         "there is no component 'codec'");
}

TEST_F(Layouts, SeveralLieInOneDirectory) {
  const std::vector<std::string> sources = {"--lm", data("musicgen_train.th"), "--compression",
                                            data("encodec_train.th")};
  const auto bundle = [&](const std::string& layout, const std::string& directory) {
    std::vector<std::string> arguments = {"bundle"};
    arguments.insert(arguments.end(), sources.begin(), sources.end());
    arguments.insert(arguments.end(), {"--layout", layout, "-o", directory});
    return output_of(arguments);
  };
  bundle("audiocraft", "a");
  EXPECT_THAT(bundle("audiocraft+safetensors", "m"), HasSubstr("next\n  from audiocraft.models"));
  EXPECT_THAT(names("m"), ElementsAre("bundle.json", "compression.json", "compression.safetensors",
                                      "compression.yaml", "compression_state_dict.bin", "lm.json",
                                      "lm.safetensors", "lm.yaml", "state_dict.bin"));
  expect_same("a/state_dict.bin", "m/state_dict.bin");
  const json manifest = json::parse(read_file(directory_ / "m/bundle.json"));
  EXPECT_EQ(manifest.at("layout"), "audiocraft+safetensors");
  EXPECT_EQ(manifest.at("layout_revision"), 4);
  EXPECT_EQ(manifest.at("files").size(), 8u);
  EXPECT_THAT(output_of({"verify", "m"}),
              AllOf(HasSubstr("state_dict.bin"), HasSubstr("lm.safetensors"),
                    HasSubstr("MusicGen(DIR, codec, lm, max_duration=30)")));
  EXPECT_THAT(output_of({"inspect", "m"}), HasSubstr("next\n  from audiocraft.models"));
  // Read from the first.
  output_of({"convert", "m", "--layout", "audiocraft", "-o", "b"});
  expect_same("a/state_dict.bin", "b/state_dict.bin");
  bundle("safetensors+audiocraft", "n");
  EXPECT_THAT(output_of({"inspect", "n"}), HasSubstr("lm.safetensors"));
  output_of({"convert", "n", "--layout", "audiocraft", "-o", "c"});
  expect_same("a/compression_state_dict.bin", "c/compression_state_dict.bin");

  testing::write_file(directory_ / "m/lm.json", "{}\n");
  const ProgramResult result = run({"verify", "m"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.output, HasSubstr("lm.json  "));
  output_of({"bundle", sources[0], sources[1], sources[2], sources[3], "--layout", "safetensors",
             "-o", "m", "--force"});
  EXPECT_EQ(names("m").size(), 7u);
}

TEST_F(Layouts, RunsWriteSeveralToo) {
  testing::write_file(
      directory_ / "run.yaml",
      "version: 1\nstages:\n  both:\n    bundle:\n      lm: " + data("musicgen_train.th") +
          "\n      compression: " + data("encodec_train.th") +
          "\n    to: m\n    layout: audiocraft+safetensors\n");
  output_of({"run", "run.yaml"});
  EXPECT_EQ(names("m").size(), 9u);
  EXPECT_THAT(output_of({"run", "run.yaml"}), HasSubstr("up to date"));
  testing::write_file(directory_ / "bad.yaml",
                      "version: 1\nstages:\n  both:\n    bundle: {lm: x.th}\n    to: m\n"
                      "    layout: audiocraft+safetensor\n");
  refuse({"run", "bad.yaml"}, 2, "'layout' is 'audiocraft+safetensor', expected one of");
}

TEST_F(Layouts, WhatCannotBeEmbeddedIsRefused) {
  refuse({"bundle", "--lm", data("musicgen_train.th"), "--compression", "dac_44khz", "--embed",
          "--allow-mismatch", "-o", "x"},
         4,
         "compression 'dac_44khz' cannot be put into the bundle: its loader takes the name only");
  EXPECT_THAT(directory_.names(), ElementsAre());
}

}  // namespace
}  // namespace craftbundle
