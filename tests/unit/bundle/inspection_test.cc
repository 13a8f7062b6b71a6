#include "craftbundle/detail/bundle/inspection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>

#include "craftbundle/detail/json/json.h"
#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::expect_error;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

const Host& host() {
  static const Host host([] {
    Host::Options options;
    options.search = {{Path(CRAFTBUNDLE_PLUGINS)}, false, false, false};
    return options;
  }());
  return host;
}

Path golden(const std::string& name) { return Path(CRAFTBUNDLE_TEST_DATA) / "golden/data" / name; }

Source source(const Path& file) {
  return Source::of_checkpoint(file.string(), Checkpoint::open(file));
}
Source golden_source(const std::string& name) { return source(golden(name)); }

TEST(ContentsOf, CountsWhatIsBelowEachKey) {
  using Key = CheckpointContents::Key;
  using StateDict = CheckpointContents::StateDict;
  const CheckpointContents contents = contents_of(*Checkpoint::open(golden("musicgen_train.th")));
  EXPECT_THAT(contents.keys,
              Contains(AllOf(Field(&Key::name, "best_state"), Field(&Key::what, "dict of 1"),
                             Field(&Key::tensors, 36u))));
  EXPECT_THAT(contents.keys, Contains(AllOf(Field(&Key::name, "xp.cfg"), Field(&Key::tensors, 0u),
                                            Field(&Key::bytes, 0u))));
  EXPECT_THAT(contents.state_dicts,
              Contains(AllOf(Field(&StateDict::where, "['best_state']['model']"),
                             Field(&StateDict::tensors, 36u))));
}

TEST(ContentsOf, ARootThatIsNoDictHasNoKeys) {
  const Path file = Path(CRAFTBUNDLE_TEST_DATA) / "golden/errors/pkg_is_list.th";
  const CheckpointContents contents = contents_of(*Checkpoint::open(file));
  EXPECT_THAT(contents.keys, IsEmpty());
  EXPECT_THAT(contents.state_dicts, IsEmpty());
}

TEST(InspectSource, SaysWhatItWouldBeExportedAs) {
  const SourceInspection found = inspect_source(golden_source("encodec_train.th"), host());
  ASSERT_TRUE(found.component);
  EXPECT_FALSE(found.refusal);
  EXPECT_EQ(found.component->component.role, "compression");
  ASSERT_FALSE(found.candidates.empty());
  EXPECT_EQ(found.candidates.front().exporter, "encodec");
  const Json json = parse_json(to_json(found), "x");
  EXPECT_EQ(json["component"]["exporter"], "encodec");
  EXPECT_EQ(json["checkpoint"]["unsafe"], 0);
  EXPECT_FALSE(json.contains("not_exportable"));
}

TEST(InspectSource, SaysWhyNot) {
  const Path file = Path(CRAFTBUNDLE_TEST_DATA) / "golden/errors/pkg_is_list.th";
  const SourceInspection found = inspect_source(source(file), host());
  EXPECT_FALSE(found.component);
  ASSERT_TRUE(found.refusal);
  EXPECT_EQ(found.refusal->code(), "exporter.none");
  EXPECT_TRUE(found.contents);
  EXPECT_EQ(parse_json(to_json(found), "x")["not_exportable"]["code"], "exporter.none");
}

TEST(InspectSource, ANameHasNoContents) {
  const SourceInspection found = inspect_source(
      Source::of_pretrained("facebook/encodec_32khz", "facebook/encodec_32khz"), host());
  EXPECT_FALSE(found.contents);
  EXPECT_TRUE(found.component);
}

class InspectBundle : public ::testing::Test {
 protected:
  InspectBundle() {
    fs::copy_file(golden("musicgen_exported.bin"), lm());
    fs::copy_file(golden("encodec_exported.bin"), directory_ / "compression_state_dict.bin");
  }
  Path lm() const { return directory_ / "state_dict.bin"; }
  Verification look() const { return inspect_bundle(directory_.path(), host()); }

  const TemporaryDirectory directory_;
};

TEST_F(InspectBundle, KnowsComponentsAndTheirFit) {
  const Verification found = look();
  EXPECT_TRUE(found.is_sound()) << ::testing::PrintToString(found.texts(Finding::Outcome::fails));
  ASSERT_EQ(found.components.size(), 2u);
  EXPECT_EQ(found.components[0].role, "lm");
  EXPECT_EQ(found.components[0].file, "state_dict.bin");
  EXPECT_EQ(found.components[0].size, fs::file_size(lm()));
  EXPECT_FALSE(found.stated);
  EXPECT_FALSE(found.described.fit.empty());
  const Json json = parse_json(bundle_json(directory_.path(), found), "x");
  EXPECT_EQ(json["files"][1]["role"], "compression");
  EXPECT_TRUE(json["manifest"].is_null());
  EXPECT_EQ(json["problems"].size(), 0u);
}

// The same checks as verify's, but those that read what tensors hold.
TEST_F(InspectBundle, ReadsNoTensor) {
  std::string bytes = read_file(lm());
  const SourceInspection sound = inspect_source(source(lm()), host());
  const auto* tensor =
      std::get_if<Tensor>(&sound.component->component.model()->tensors.front().tensor);
  ASSERT_NE(tensor, nullptr);
  bytes.at(tensor->storage.file_offset) ^= 1;
  write_file(lm(), bytes);
  EXPECT_TRUE(look().is_sound());
  EXPECT_THAT(verify(directory_.path(), host(), {}).findings,
              Contains(Field(&Finding::code, "zip.crc")));
}

TEST_F(InspectBundle, FindsWhatIsWrongWithoutGivingUp) {
  fs::remove(lm());
  fs::copy_file(golden("encodec_exported.bin"), lm());
  const Verification found = look();
  EXPECT_THAT(found.texts(Finding::Outcome::fails), ElementsAre(HasSubstr("state_dict.bin: ")));
  EXPECT_THAT(found.findings, Contains(AllOf(Field(&Finding::code, "exporter.component"),
                                             Field(&Finding::hint, HasSubstr("mixed up")))));
  ASSERT_EQ(found.components.size(), 2u);
  EXPECT_FALSE(found.components[0].prepared);
  EXPECT_TRUE(found.components[1].prepared);
}

TEST(VerifyChecks, AreDescribed) {
  const std::vector<VerifyCheck> checks = verify_checks();
  EXPECT_GT(checks.size(), 8u);
  for (const VerifyCheck& check : checks) EXPECT_TRUE(check.description.ends_with('.'));
}

TEST(ConfigText, IsThatOfTheExportedFile) {
  for (const char* name : {"musicgen_train.th", "musicgen_exported.bin"}) {
    EXPECT_EQ(config_text(golden_source(name), host()),
              read_file(golden("musicgen_exported.yaml")));
  }
}

TEST(ConfigText, OfANameThereIsNone) {
  const std::string name = "facebook/encodec_32khz";
  expect_error(ErrorKind::input, "config.none", HasSubstr("is the name of a pretrained model"),
               [&] { config_text(Source::of_pretrained(name, name), host()); });
}

TEST(ConfigText, OfWhatNoExporterTakesIsAnErrorWithTheReason) {
  const Path file = Path(CRAFTBUNDLE_TEST_DATA) / "golden/errors/pkg_is_list.th";
  expect_error(ErrorKind::input, "exporter.none", HasSubstr("no exporter understands"),
               [&] { config_text(source(file), host()); });
}

// A training whose state was lost cannot be exported; its configuration is still there.
TEST(ConfigText, OfWhatCannotBeExportedIsTheOnlyOneInIt) {
  const Host nothing([] {
    Host::Options options;
    options.search = {{}, false, false, false};
    return options;
  }());
  EXPECT_EQ(config_text(golden_source("musicgen_train.th"), nothing),
            read_file(golden("musicgen_exported.yaml")));
}

}  // namespace
}  // namespace craftbundle
