// Directories of bundles, and models in the cache of a hub, as sources of components.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "craftbundle/detail/bundle/open.h"
#include "craftbundle/detail/bundle/transform.h"
#include "support/error_matchers.h"
#include "support/tiny_t5.h"
#include "unit/host/fixtures.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::expect_error;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::only;
using testing::ScopedVariable;
using testing::TemporaryDirectory;
using testing::write_file;

Path golden(const std::string& name) { return Path(CRAFTBUNDLE_TEST_DATA) / "golden/data" / name; }

class BundleSourceTest : public ::testing::Test {
 protected:
  BundleSourceTest() { add_bundle(directory_ / "old"); }

  // As AudioCraft has it; links are as good as files.
  static void add_bundle(const Path& place) {
    fs::create_directories(place);
    fs::create_symlink(golden("musicgen_exported.bin"), place / "state_dict.bin");
    fs::create_symlink(golden("encodec_exported.bin"), place / "compression_state_dict.bin");
  }
  // Tensors as safetensors: a text encoder beside a language model, by which the layout is known.
  static void add_text_encoder(const Path& place, std::int64_t width = 8) {
    fs::create_directories(place / "text_encoder");
    write_file(place / "lm.safetensors", testing::safetensors_of({{"a", {1}}}));
    write_file(place / "lm.yaml", "a: 1\n");
    write_file(place / "text_encoder.safetensors",
               testing::safetensors_of(testing::tiny_t5_tensors(width)));
    write_file(place / "text_encoder.yaml", testing::tiny_t5_config(width));
    write_file(place / "text_encoder/tokenizer.json", "{}");
  }
  // A revision in the cache of the hub.
  Path snapshot(const std::string& folder, const std::string& revision = "c0ffee") {
    const Path model = directory_ / "hub" / folder;
    fs::create_directories(model / "refs");
    write_file(model / "refs/main", revision);
    fs::create_directories(model / "snapshots" / revision);
    return model / "snapshots" / revision;
  }

  SourceOptions options(const std::string& role, bool local = false) const {
    return {.directory = directory_.path(), .role = role, .local = local};
  }
  Source resolve(const std::string& given, const std::string& role, bool local = false) const {
    return resolve_source(given, options(role, local), host_);
  }
  std::optional<Path> path(const std::string& given, const std::string& role,
                           bool local = false) const {
    return source_path(given, options(role, local), host_);
  }
  PreparedComponent prepare(const std::string& given, const std::string& role) const {
    return prepare_component({resolve(given, role), role, {}, {}, {}}, host_);
  }
  void expect_refused(const std::string& given, const std::string& role, bool local, ErrorKind kind,
                      const std::string& code, const ::testing::Matcher<std::string>& message,
                      const ::testing::Matcher<std::string>& hint) const {
    try {
      resolve(given, role, local);
      ADD_FAILURE() << "took " << given;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind);
      EXPECT_EQ(error.code(), code);
      EXPECT_THAT(error.message(), message);
      EXPECT_THAT(error.hint(), hint);
    }
  }

  TemporaryDirectory directory_;
  const ScopedVariable cache_{"HF_HUB_CACHE", (directory_ / "hub").string()};
  const Host host_{only({Path(CRAFTBUNDLE_PLUGINS)})};
};

std::vector<std::string> names_read(const PreparedComponent& prepared) {
  std::vector<std::string> names;
  for (const ReadFile& read : prepared.read) {
    names.push_back(read.is_below ? read.name : "(" + read.name + ")");
  }
  return names;
}

TEST_F(BundleSourceTest, StandsForTheComponentOfTheRole) {
  const Source lm = resolve("old", "lm");
  EXPECT_EQ(lm.kind(), AcceptedSource::Kind::checkpoint);
  EXPECT_EQ(lm.given(), "old");
  EXPECT_EQ(lm.checkpoint().file().path(), directory_ / "old/state_dict.bin");
  ASSERT_NE(lm.place(), nullptr);
  EXPECT_EQ(lm.place()->directory, directory_ / "old");
  EXPECT_THAT(lm.place()->files, ElementsAre("state_dict.bin"));
  const PreparedComponent codec = prepare("old/", "compression");
  EXPECT_EQ(codec.exporter.name, "encodec");
  // A checkpoint is the source itself, and nothing was read beside it.
  EXPECT_THAT(names_read(codec), IsEmpty());
  EXPECT_EQ(path("old", "lm"), directory_ / "old");
}

TEST_F(BundleSourceTest, OfOneComponentNeedsNoRole) {
  fs::create_directory(directory_ / "codec");
  fs::create_symlink(golden("encodec_exported.bin"),
                     directory_ / "codec/compression_state_dict.bin");
  EXPECT_EQ(resolve("codec", "").checkpoint().file().path(),
            directory_ / "codec/compression_state_dict.bin");
}

TEST_F(BundleSourceTest, OfSeveralComponentsNeedsARole) {
  expect_refused("old", "", false, ErrorKind::usage, "source.role",
                 "'old' holds several components: 'lm' and 'compression'",
                 "say which one with --component, or name its file");
}

TEST_F(BundleSourceTest, WithoutTheRoleSaysWhatItHolds) {
  expect_refused("old", "text_encoder", true, ErrorKind::usage, "source.role",
                 "'old' holds no component 'text_encoder', it holds 'lm' and 'compression'",
                 "give it where one of these is expected");
}

TEST_F(BundleSourceTest, ACheckpointOfATrainingComesFirst) {
  fs::create_symlink(golden("encodec_train.th"), directory_ / "old/checkpoint.th");
  EXPECT_EQ(resolve("old", "lm").place(), nullptr);
  EXPECT_EQ(path("old", "lm"), directory_ / "old/checkpoint.th");
}

TEST_F(BundleSourceTest, FilesOfAModelCountAsRead) {
  add_text_encoder(directory_ / "st");
  const PreparedComponent prepared = prepare("st", "text_encoder");
  EXPECT_EQ(prepared.exporter.name, "t5");
  EXPECT_EQ(prepared.source.kind(), AcceptedSource::Kind::model);
  EXPECT_EQ(prepared.source.given(), "st");
  EXPECT_THAT(names_read(prepared), ElementsAre("text_encoder.safetensors", "text_encoder.yaml",
                                                "text_encoder/tokenizer.json"));
  ASSERT_EQ(prepared.component.model()->files.size(), 1u);
  EXPECT_EQ(prepared.component.model()->files[0].name, "tokenizer.json");
}

TEST_F(BundleSourceTest, SeveralAreAveraged) {
  add_text_encoder(directory_ / "one");
  add_text_encoder(directory_ / "two");
  const auto average = [&](const std::string& with) {
    return prepare_component({resolve("one", "text_encoder"),
                              "text_encoder",
                              {},
                              {{"average", (directory_ / with).string()}},
                              {}},
                             host_);
  };
  const PreparedComponent prepared = average("two");
  EXPECT_THAT(prepared.component.checks,
              ::testing::Contains("weights are the mean over 2 checkpoints"));
  EXPECT_THAT(names_read(prepared),
              ElementsAre("text_encoder.safetensors", "text_encoder.yaml",
                          "text_encoder/tokenizer.json", "(text_encoder.safetensors)",
                          "(text_encoder.yaml)", "(text_encoder/tokenizer.json)"));
  // The same one is no other.
  EXPECT_THAT(average("one").component.checks,
              ::testing::Not(::testing::Contains(HasSubstr("mean over"))));
}

TEST_F(BundleSourceTest, NamesStandForModelsInTheCache) {
  add_bundle(snapshot("models--jane--tuned"));
  const Source lm = resolve("jane/tuned", "lm");
  EXPECT_EQ(lm.given(), "jane/tuned");
  EXPECT_EQ(lm.checkpoint().file().path(),
            directory_ / "hub/models--jane--tuned/snapshots/c0ffee/state_dict.bin");
  EXPECT_EQ(path("jane/tuned", "lm"), directory_ / "hub/models--jane--tuned/snapshots/c0ffee");
  EXPECT_EQ(resolve("//pretrained/jane/tuned", "lm").kind(), AcceptedSource::Kind::checkpoint);
  EXPECT_EQ(path("//pretrained/jane/tuned", "lm"), path("jane/tuned", "lm"));
}

TEST_F(BundleSourceTest, NamesThatExportersTakeStayNames) {
  add_bundle(snapshot("models--facebook--encodec_32khz"));
  EXPECT_EQ(resolve("facebook/encodec_32khz", "compression").kind(),
            AcceptedSource::Kind::pretrained);
  EXPECT_EQ(path("facebook/encodec_32khz", "compression"), std::nullopt);
  // Unless weights are wanted.
  EXPECT_EQ(resolve("facebook/encodec_32khz", "compression", true).kind(),
            AcceptedSource::Kind::checkpoint);
  EXPECT_EQ(path("facebook/encodec_32khz", "compression", true),
            directory_ / "hub/models--facebook--encodec_32khz/snapshots/c0ffee");
}

TEST_F(BundleSourceTest, OldNamesAreFoundUnderTheirLaterAddress) {
  const Path place = snapshot("models--google-t5--t5-base");
  add_text_encoder(place);
  EXPECT_EQ(resolve("t5-base", "text_encoder", true).place()->directory, place);
  EXPECT_EQ(path("t5-base", "text_encoder", true), place);
  const Path own = snapshot("models--t5-base");
  add_text_encoder(own);
  EXPECT_EQ(path("t5-base", "text_encoder", true), own);
  EXPECT_EQ(path("base", "text_encoder", true), std::nullopt);
}

TEST_F(BundleSourceTest, APathComesBeforeTheCache) {
  add_text_encoder(snapshot("models--t5-base"));
  add_text_encoder(directory_ / "t5-base");
  EXPECT_EQ(resolve("t5-base", "text_encoder", true).place()->directory, directory_ / "t5-base");
}

TEST_F(BundleSourceTest, WhatIsNotInTheCacheSaysHowToFetchIt) {
  const std::string cache = (directory_ / "hub").string();
  expect_refused("t5-base", "text_encoder", true, ErrorKind::input, "source.not_cached",
                 "'t5-base' is no file, and the cache of the model hub, '" + cache +
                     "', does not have it, nor 'google-t5/t5-base'",
                 "'hf download t5-base' fetches it");
  expect_refused(
      "jane/tuned", "lm", false, ErrorKind::input, "source.not_cached",
      "'jane/tuned' is no file, and the cache of the model hub, '" + cache + "', does not have it",
      "'hf download jane/tuned' fetches it");
  expect_refused("olt", "lm", false, ErrorKind::input, "source.not_cached", HasSubstr("'olt'"),
                 "'hf download olt' fetches it; or did you mean 'old'?");
  const ScopedVariable unset("HF_HUB_CACHE", "");
  const ScopedVariable old("HUGGINGFACE_HUB_CACHE", "");
  const ScopedVariable home("HF_HOME", "");
  const ScopedVariable xdg("XDG_CACHE_HOME", "");
  const ScopedVariable user("HOME", "");
  expect_refused("jane/tuned", "lm", false, ErrorKind::input, "source.not_cached",
                 "'jane/tuned' is no file, and where the cache of the model hub lies is not known",
                 "'hf download jane/tuned' fetches it");
}

TEST_F(BundleSourceTest, WhatIsThereInPartSaysHowToFetchTheRest) {
  write_file(snapshot("models--t5-base") / "README.md", "");
  expect_refused("t5-base", "text_encoder", true, ErrorKind::input, "source.no_checkpoint",
                 "'t5-base': the directory holds no checkpoint.th, it holds 'README.md'",
                 "the cache has not all of it: 'hf download t5-base' fetches the rest");
}

TEST_F(BundleSourceTest, ConfigurationsComeFromTheCache) {
  add_bundle(snapshot("models--facebook--tuned"));
  const PreparedComponent prepared =
      open_component({.source = golden("musicgen_exported.bin").string(),
                      .lookup = options(""),
                      .component = "lm",
                      .options = {{std::string(kConfigFromOption), "facebook/tuned"}}},
                     host_);
  EXPECT_EQ(prepared.exporter.name, "language_model");
  EXPECT_EQ(prepared.component.checks.front(), "configuration of tuned taken");
  EXPECT_EQ(option_value(prepared.options, kConfigFromOption), "tuned");
  // Without a role too, where an exporter of codecs takes the name.
  EXPECT_EQ(weights_path("facebook/tuned", options(""), host_),
            directory_ / "hub/models--facebook--tuned/snapshots/c0ffee");
  EXPECT_EQ(weights_path("facebook/encodec_32khz", options(""), host_), std::nullopt);
}

TEST_F(BundleSourceTest, OpensTheComponentOfTheRole) {
  const auto open = [&](const char* role) {
    return open_component({.source = "old", .lookup = options(""), .component = role}, host_);
  };
  EXPECT_EQ(open("compression").exporter.name, "encodec");
  EXPECT_EQ(open("lm").exporter.name, "language_model");
}

TEST_F(BundleSourceTest, NamesLeadNowhereElse) {
  add_bundle(directory_ / "hub/models--x/snapshots/1");
  for (const char* name : {"//pretrained/../../old", "//pretrained/..", "//pretrained/x/../x",
                           "//pretrained//etc", "//pretrained/"}) {
    expect_refused(name, "lm", true, ErrorKind::input, "source.unknown_name",
                   HasSubstr("is neither a file nor a name that a model hub could have"),
                   ::testing::_);
    EXPECT_EQ(path(name, "lm", true), std::nullopt) << name;
  }
}

TEST_F(BundleSourceTest, ANameOfAnotherRoleIsSaidToBeThat) {
  expect_error(ErrorKind::input, "exporter.component",
               HasSubstr("'facebook/encodec_32khz' is no component 'lm' but a component "
                         "'compression'"),
               [&] { prepare("facebook/encodec_32khz", "lm"); });
}

}  // namespace
}  // namespace craftbundle
