// Bundles and models in the cache of a hub as sources, and text encoders, from the command line and
// in runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "support/program.h"
#include "support/tiny_t5.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ProgramResult;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

// Of the projection in the golden language model.
constexpr std::int64_t kWidth = 768;

std::string data(const std::string& name) {
  return std::string(CRAFTBUNDLE_TEST_DATA) + "/golden/data/" + name;
}

class BundleSources : public ::testing::Test {
 protected:
  BundleSources() {
    EXPECT_EQ(run({"bundle", "--lm", data("musicgen_train.th"), "--compression",
                   data("encodec_train.th"), "-o", "old"})
                  .exit_code,
              0);
  }

  ProgramResult run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(),
                     std::string(CRAFTBUNDLE_PROGRAM_DIRECTORY) + "/craftbundle");
    return testing::run_program(arguments, directory_.path(),
                                {{"HF_HOME", (directory_ / "hf").string()}});
  }
  std::string output_of(std::vector<std::string> arguments) const {
    const ProgramResult result = run(std::move(arguments));
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return result.output;
  }
  std::string refused(std::vector<std::string> arguments, int exit_code) const {
    const ProgramResult result = run(std::move(arguments));
    EXPECT_EQ(result.exit_code, exit_code) << result.output;
    return result.errors;
  }

  // A bundle in the layout safetensors that has a text encoder, too.
  void add_text_encoder(const Path& place, std::int64_t width = kWidth) const {
    output_of({"convert", "old", "--layout", "safetensors", "-o", place.string()});
    const Path at = directory_.path() / place;
    write_file(at / "text_encoder.safetensors",
               testing::safetensors_of(testing::tiny_t5_tensors(width)));
    write_file(at / "text_encoder.yaml", testing::tiny_t5_config(width));
    fs::create_directory(at / "text_encoder");
    write_file(at / "text_encoder/tokenizer.json", "{}");
    write_file(at / "text_encoder/spiece.model", "pieces");
  }
  // As the hub's tools would have fetched what lies in `from`: links to files named by their
  // hashes.
  void put_into_cache(const Path& from, const std::string& folder,
                      const std::string& revision) const {
    const Path model = directory_ / "hf/hub" / folder;
    const Path snapshot = model / "snapshots" / revision;
    fs::create_directories(model / "blobs");
    fs::create_directories(model / "refs");
    write_file(model / "refs/main", revision);
    int count = 0;
    const Path root = directory_.path() / from;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      if (!fs::is_regular_file(entry.path())) continue;
      const Path name = entry.path().lexically_relative(root);
      const Path blob = model / "blobs" / (revision + "-" + std::to_string(++count));
      fs::create_directories((snapshot / name).parent_path());
      fs::copy_file(entry.path(), blob);
      fs::create_symlink(blob, snapshot / name);
    }
  }
  json manifest(const std::string& bundle) const {
    return json::parse(read_file(directory_ / bundle / "bundle.json"));
  }
  static std::vector<std::string> names_read(const json& component) {
    std::vector<std::string> names;
    for (const json& file : component["files_read"]) names.push_back(file["name"]);
    return names;
  }

  TemporaryDirectory directory_;
};

TEST_F(BundleSources, GiveBothHalvesOfANewBundle) {
  output_of({"bundle", "--lm", "old", "--compression", "old", "-o", "new"});
  for (const char* file : {"state_dict.bin", "compression_state_dict.bin"}) {
    EXPECT_TRUE(read_file(directory_ / "old" / file) == read_file(directory_ / "new" / file));
  }
  EXPECT_EQ(manifest("new")["components"][0]["source"], "state_dict.bin");
  EXPECT_EQ(manifest("new")["components"][0]["source_kind"], "checkpoint");
  output_of({"export", "old", "--component", "compression", "-o", "codec.bin"});
  EXPECT_TRUE(read_file(directory_ / "old/compression_state_dict.bin") ==
              read_file(directory_ / "codec.bin"));
}

TEST_F(BundleSources, TextEncodersComeAlongWithTheirTokenizer) {
  add_text_encoder("st");
  const std::string report =
      output_of({"bundle", "--lm", "old", "--compression", "old", "--text-encoder", "st",
                 "--layout", "safetensors", "-o", "new"});
  EXPECT_THAT(report,
              AllOf(HasSubstr("text_encoder: 19 tensors of the model have the names and shapes "
                              "that config.json implies"),
                    HasSubstr("fits  text_width: lm needs 768 (columns of the tensor "
                              "condition_provider.conditioners.description.output_proj.weight), "
                              "text_encoder has 768 (d_model in config.json)")));
  EXPECT_EQ(read_file(directory_ / "new/text_encoder/spiece.model"), "pieces");
  const json component = manifest("new")["components"][2];
  EXPECT_EQ(component["source"], "st");
  EXPECT_EQ(component["exporter"], "t5");
  EXPECT_THAT(names_read(component),
              ElementsAre("text_encoder.safetensors", "text_encoder.yaml",
                          "text_encoder/spiece.model", "text_encoder/tokenizer.json"));
  EXPECT_THAT(output_of({"verify", "new"}), HasSubstr("verified: "));
  EXPECT_THAT(output_of({"inspect", "new"}), HasSubstr("T5 (encoder)"));
  // Again, from what was written.
  output_of({"convert", "new", "--layout", "safetensors", "-o", "again"});
  EXPECT_EQ(read_file(directory_ / "again/text_encoder/tokenizer.json"), "{}");
}

TEST_F(BundleSources, TextEncodersOfAnotherWidthDoNotFit) {
  add_text_encoder("st", 16);
  EXPECT_THAT(refused({"bundle", "--lm", "old", "--compression", "old", "--text-encoder", "st",
                       "--layout", "safetensors", "-o", "new"},
                      4),
              HasSubstr("the components do not fit: text_width: lm needs 768 (columns of the "
                        "tensor condition_provider.conditioners.description.output_proj.weight), "
                        "text_encoder has 16 (d_model in config.json) [bundle.mismatch]"));
}

TEST_F(BundleSources, TextEncodersHaveOptionsOfTheirOwn) {
  add_text_encoder("st");
  output_of({"bundle", "--lm", "old", "--compression", "old", "--text-encoder", "st",
             "--text-encoder-option", "dtype=float16", "--text-encoder-exporter", "t5", "--layout",
             "safetensors", "-o", "new"});
  const std::string shown = output_of({"inspect", "new"});
  EXPECT_THAT(shown, AllOf(HasSubstr("float16"), HasSubstr("float32")));
  // What is said of all: the state of a training is none of its options.
  output_of({"bundle", "--lm", data("musicgen_train.th"), "--compression", data("encodec_train.th"),
             "--text-encoder", "st", "--state", "ema", "--layout", "safetensors", "-o", "ema"});
}

TEST_F(BundleSources, NamesAreLookedForInTheCache) {
  add_text_encoder("st");
  put_into_cache("st", "models--google-t5--t5-base", "c0ffee");
  put_into_cache("old", "models--jane--tuned", "f00d");
  output_of({"bundle", "--lm", "jane/tuned", "--compression", "old", "--text-encoder", "t5-base",
             "--layout", "safetensors", "-o", "new"});
  EXPECT_EQ(manifest("new")["components"][2]["source"], "t5-base");
  const std::string text = read_file(directory_ / "new/bundle.json");
  EXPECT_THAT(text, Not(HasSubstr(directory_.path().string())));
  EXPECT_THAT(output_of({"inspect", "t5-base"}), HasSubstr("bundle of 2 components"));
}

TEST_F(BundleSources, AreEmbeddedFromTheCache) {
  add_text_encoder("st");
  put_into_cache("st", "models--t5-base", "c0ffee");
  EXPECT_THAT(output_of({"verify", "old"}), HasSubstr("offline: no, fetches t5-base\n"));
  EXPECT_THAT(output_of({"convert", "old", "--embed", "-o", "new"}),
              AllOf(HasSubstr("os.environ['HF_HUB_OFFLINE'] = '1'; os.chdir('new'); "),
                    Not(HasSubstr("warnings"))));
  for (const char* file : {"config.json", "model.safetensors", "tokenizer.json", "spiece.model"}) {
    EXPECT_TRUE(fs::exists(directory_ / "new/t5-base" / file)) << file;
  }
  const json written = manifest("new");
  EXPECT_EQ(written["layout_options"], json::parse(R"([{"name": "embed", "value": "true"}])"));
  EXPECT_EQ(written["components"][2]["role"], "text_encoder");
  EXPECT_THAT(written["components"][0]["load_with"].get<std::string>(),
              HasSubstr("os.chdir('{bundle}')"));
  EXPECT_THAT(output_of({"verify", "new"}), HasSubstr("offline: yes\n"));
  const json report = json::parse(output_of({"verify", "new", "--json"}));
  EXPECT_EQ(report["offline"], true);
  EXPECT_EQ(report["fetches"], json::array());

  // And taken out again.
  EXPECT_THAT(output_of({"convert", "new", "-o", "plain"}),
              HasSubstr("text_encoder is left out: loaders of the layout 'audiocraft'"));
  EXPECT_FALSE(fs::exists(directory_ / "plain/t5-base"));
  EXPECT_TRUE(read_file(directory_ / "plain/state_dict.bin") ==
              read_file(directory_ / "old/state_dict.bin"));
}

TEST_F(BundleSources, CodecsAreEmbeddedFromTheCache) {
  add_text_encoder("st");
  put_into_cache("st", "models--t5-base", "c0ffee");
  output_of(
      {"export", "old", "--component", "compression", "--layout", "safetensors", "-o", "st2"});
  put_into_cache("st2", "models--facebook--encodec_32khz", "bead");
  output_of(
      {"bundle", "--lm", "old", "--compression", "facebook/encodec_32khz", "--embed", "-o", "new"});
  EXPECT_EQ(manifest("new")["components"][1]["source_kind"], "model");
  EXPECT_THAT(output_of({"verify", "new"}), HasSubstr("offline: yes\n"));
}

TEST_F(BundleSources, WhatIsToBeEmbeddedAndNotCachedSaysSo) {
  EXPECT_THAT(refused({"convert", "old", "--embed", "-o", "new"}, 3),
              AllOf(HasSubstr("error: --embed: text_encoder: 't5-base' is no file"),
                    HasSubstr("[source.not_cached]"), HasSubstr("hf download t5-base")));
  EXPECT_FALSE(fs::exists(directory_ / "new"));
}

TEST_F(BundleSources, WhatIsNotThereSaysHowToFetchIt) {
  EXPECT_EQ(refused({"bundle", "--lm", "old", "--compression", "old", "--text-encoder", "t5-base",
                     "-o", "new"},
                    3),
            "error: 't5-base' is no file, and the cache of the model hub, '" +
                (directory_ / "hf/hub").string() +
                "', does not have it, nor 'google-t5/t5-base' [source.not_cached]\n"
                "  hint: 'hf download t5-base' fetches it\n");
  EXPECT_EQ(refused({"bundle", "--lm", "old", "--compression", "old", "--text-encoder", "old", "-o",
                     "new"},
                    2),
            "error: 'old' holds no component 'text_encoder', it holds 'lm' and 'compression' "
            "[source.role]\n  hint: give it where one of these is expected\n");
}

class Runs : public BundleSources {
 protected:
  void script(const std::string& stages) {
    write_file(directory_ / "run.yaml", "version: 1\nstages:\n" + stages);
  }
  std::string state_of(const std::string& name) {
    report_ = json::parse(output_of({"run", "run.yaml", "--json"}));
    return stage(name)["state"];
  }
  json stage(const std::string& name) const {
    for (const json& stage : report_["stages"]) {
      if (stage["name"] == name) return stage;
    }
    return {};
  }
  std::string reasons(const std::string& name) const { return stage(name)["reasons"].dump(); }

  json report_;
};

constexpr const char* kPack =
    "  pack: {bundle: {lm: old, compression: old, text_encoder: T5}, layout: safetensors, "
    "to: pack}\n";

std::string pack(const std::string& text_encoder) {
  std::string text = kPack;
  return text.replace(text.find("T5"), 2, text_encoder);
}

TEST_F(Runs, KnowTheContentsOfBundles) {
  add_text_encoder("st");
  script(pack("st"));
  EXPECT_EQ(state_of("pack"), "done");
  EXPECT_EQ(state_of("pack"), "up to date");
  // The same contents at another time are the same.
  write_file(directory_ / "st/text_encoder/tokenizer.json", "{}");
  fs::last_write_time(directory_ / "old/state_dict.bin", 1'000'000);
  EXPECT_EQ(state_of("pack"), "up to date");
  write_file(directory_ / "st/text_encoder/tokenizer.json", "{\"a\": 1}");
  EXPECT_EQ(state_of("pack"), "done");
  EXPECT_EQ(reasons("pack"),
            R"(["contents of text_encoder/tokenizer.json of text_encoder have changed"])");
  EXPECT_EQ(read_file(directory_ / "pack/text_encoder/tokenizer.json"), "{\"a\": 1}");
  output_of({"export", data("musicgen_train.th"), "--dtype", "bfloat16", "--force", "-o",
             "old/state_dict.bin"});
  EXPECT_EQ(state_of("pack"), "done");
  EXPECT_EQ(reasons("pack"), R"(["contents of state_dict.bin of lm have changed"])");
  EXPECT_EQ(state_of("pack"), "up to date");
}

TEST_F(Runs, KnowTheRevisionInTheCache) {
  add_text_encoder("st");
  script(pack("t5-base"));
  const ProgramResult missing = run({"run", "run.yaml"});
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_THAT(missing.errors, AllOf(HasSubstr("run.yaml:3:"), HasSubstr("source.not_cached"),
                                    HasSubstr("hf download t5-base")));
  put_into_cache("st", "models--t5-base", "c0ffee");
  EXPECT_EQ(state_of("pack"), "done");
  EXPECT_EQ(state_of("pack"), "up to date");
  // Another revision with the same files is no reason.
  put_into_cache("st", "models--t5-base", "bead");
  EXPECT_EQ(state_of("pack"), "up to date");
  write_file(directory_ / "st/text_encoder/spiece.model", "other pieces");
  put_into_cache("st", "models--t5-base", "feed");
  EXPECT_EQ(state_of("pack"), "done");
  EXPECT_EQ(reasons("pack"),
            R"(["contents of text_encoder/spiece.model of text_encoder have changed"])");
}

TEST_F(Runs, TakeBundlesThatOtherStagesMake) {
  script("  first: {bundle: {lm: '" + data("musicgen_train.th") + "', compression: '" +
         data("encodec_train.th") +
         "'}, to: first}\n"
         "  second: {bundle: {lm: first, compression: first}, layout: safetensors, to: second}\n"
         "  codec: {export: first, component: compression, to: codec.bin}\n");
  EXPECT_EQ(state_of("second"), "done");
  EXPECT_TRUE(fs::exists(directory_ / "second/lm.safetensors"));
  EXPECT_TRUE(read_file(directory_ / "codec.bin") ==
              read_file(directory_ / "first/compression_state_dict.bin"));
  EXPECT_EQ(state_of("codec"), "up to date");
}

}  // namespace
}  // namespace craftbundle
