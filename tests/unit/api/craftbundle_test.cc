// The calls of craftbundle.h on real checkpoints, with the plugins of this build.
#include "craftbundle/craftbundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem/operations.hpp>
#include <mutex>

#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::expect_error;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

const Path kGolden = Path(CRAFTBUNDLE_TEST_DATA) / "golden/data";

std::string golden(const std::string& name) { return (kGolden / name).string(); }

Host make_host() {
  return Host({.search = {.directories = {CRAFTBUNDLE_PLUGINS},
                          .environment = false,
                          .user = false,
                          .installed = false}});
}

class ApiTest : public ::testing::Test {
 protected:
  // A bundle of two small models.
  BundleReport make(const std::string& name) {
    return bundle(host,
                  {.components = {{.role = "lm", .source = golden("musicgen_train.th")},
                                  {.role = "compression", .source = golden("encodec_train.th")}},
                   .output = directory / name,
                   .publish = {.durability = Durability::no_sync}});
  }

  TemporaryDirectory directory;
  const Host host = make_host();
};

TEST_F(ApiTest, OpensAComponentWithoutWritingIt) {
  const PreparedComponent component =
      open(host, {.role = "compression", .source = golden("encodec_train.th")});
  EXPECT_EQ(component.exporter.name, "encodec");
  ASSERT_NE(component.component.model(), nullptr);
  EXPECT_EQ(component.component.model()->tensors.size(), 116U);
  EXPECT_THAT(directory.names(), IsEmpty());
}

TEST_F(ApiTest, OptionsOfAChoiceReachExporterAndTransforms) {
  const PreparedComponent component = open(
      host,
      {.source = golden("musicgen_train.th"), .options = {{"state", "ema"}, {"dtype", "float16"}}});
  EXPECT_EQ(component.component.model()->origin, "ema['state']['model']");
  EXPECT_EQ(component.component.model()->tensors.front().dtype(), DType::float16);
}

TEST_F(ApiTest, RelativeSourcesStartWhereTheChoiceSays) {
  const PreparedComponent component =
      open(host, {.source = "encodec_train.th", .lookup = {.directory = kGolden}});
  EXPECT_EQ(component.component.role, "compression");
}

TEST_F(ApiTest, RefusesASourceOfAnotherRole) {
  expect_error(ErrorKind::input, "exporter.component", HasSubstr("compression"),
               [&] { open(host, {.role = "lm", .source = golden("encodec_train.th")}); });
}

TEST_F(ApiTest, InspectsASource) {
  const SourceInspection found = inspect(host, golden("encodec_train.th"));
  ASSERT_TRUE(found.contents);
  EXPECT_FALSE(found.contents->state_dicts.empty());
  ASSERT_TRUE(found.component);
  EXPECT_EQ(found.component->component.role, "compression");
  EXPECT_EQ(found.candidates.front().exporter, "encodec");
}

TEST_F(ApiTest, ExportsOneComponent) {
  const ExportReport report =
      export_component(host, {.component = {.source = golden("encodec_train.th")},
                              .output = directory / "codec.bin",
                              .publish = {.durability = Durability::no_sync}});
  EXPECT_EQ(report.component.role, "compression");
  EXPECT_EQ(report.component.exporter, "encodec");
  ASSERT_EQ(report.files.size(), 1U);
  EXPECT_EQ(report.files.front().written.tensors, 116U);
  EXPECT_EQ(fs::file_size(report.target), report.files.front().written.bytes);
}

TEST_F(ApiTest, ExportsAComponentOfSeveralFilesAsADirectory) {
  const ExportReport report =
      export_component(host, {.component = {.source = golden("encodec_train.th")},
                              .output = directory / "codec",
                              .layout = {.name = "safetensors"},
                              .publish = {.durability = Durability::no_sync}});
  EXPECT_EQ(report.component.role, "compression");
  EXPECT_EQ(report.files.size(), 3U);
  EXPECT_TRUE(fs::exists(directory / "codec/compression.safetensors"));
}

TEST_F(ApiTest, BundlesComponentsThatFit) {
  const BundleReport report = make("model");
  EXPECT_EQ(report.manifest.layout, "audiocraft");
  EXPECT_EQ(report.manifest.components.size(), 2U);
  EXPECT_TRUE(fs::exists(directory / "model/state_dict.bin"));
  EXPECT_TRUE(fs::exists(directory / "model/bundle.json"));

  const std::vector<PreparedComponent> components = open_bundle(host, report.directory);
  ASSERT_EQ(components.size(), 2U);
  EXPECT_EQ(components.front().component.role, "lm");
}

TEST_F(ApiTest, RefusesAnUnknownLayoutBeforeItOpensAnything) {
  expect_error(ErrorKind::usage, "layout.unknown", HasSubstr("'nobodys'"), [&] {
    bundle(host, {.components = {{.source = "not_there.th"}},
                  .output = directory / "model",
                  .layout = {.name = "nobodys"}});
  });
}

TEST_F(ApiTest, RefusesABundleOfNothing) {
  expect_error(ErrorKind::usage, "bundle.empty", HasSubstr("at least one component"),
               [&] { bundle(host, {.output = directory / "model"}); });
  EXPECT_THAT(directory.names(), IsEmpty());
}

TEST_F(ApiTest, ConvertsThereAndBack) {
  const BundleReport made = make("model");
  convert(host, {.bundle = made.directory,
                 .output = directory / "tensors",
                 .layout = {.name = "safetensors"}});
  convert(host, {.bundle = directory / "tensors", .output = directory / "again"});
  for (const WrittenFile& file : made.files) {
    EXPECT_EQ(read_file(directory / "again" / file.name), read_file(made.directory / file.name));
  }
}

TEST_F(ApiTest, VerifiesAndFindsWhatWasChanged) {
  const BundleReport made = make("model");
  EXPECT_EQ(verify(host, {.source = made.directory}).count(Finding::Outcome::fails), 0U);

  std::string bytes = read_file(made.directory / "state_dict.bin");
  bytes[bytes.size() / 2] ^= 1;
  write_file(made.directory / "state_dict.bin", bytes);
  EXPECT_GT(verify(host, {.source = made.directory}).count(Finding::Outcome::fails), 0U);
}

// Thread: as Sink.
class Lines final : public Sink {
 public:
  void log(LogLevel /*level*/, std::string_view message) noexcept override {
    const std::lock_guard lock(mutex_);
    lines_.emplace_back(message);
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

TEST_F(ApiTest, RunsAScript) {
  write_file(directory / "run.yaml",
             "version: 1\nvars: {name: a}\nstages:\n  codec:\n    export: " +
                 golden("encodec_train.th") + "\n    to: ${name}.bin\n");
  Lines lines;
  const RunReport report = run(host, {.script = directory / "run.yaml",
                                      .settings = {"name=b"},
                                      .durability = Durability::no_sync,
                                      .sink = &lines});
  ASSERT_EQ(report.stages.size(), 1U);
  EXPECT_EQ(report.stages.front().state, StageState::done);
  EXPECT_FALSE(failure(report));
  EXPECT_TRUE(fs::exists(directory / "b.bin"));
  EXPECT_THAT(lines.lines(), Contains("codec: done"));

  const RunReport again =
      run(host, {.script = directory / "run.yaml", .settings = {"name=b"}, .jobs = 2});
  EXPECT_EQ(again.stages.front().state, StageState::up_to_date);
}

TEST_F(ApiTest, ToldEverythingThatIsWrongWithAScript) {
  write_file(directory / "run.yaml",
             "version: 1\nstages:\n  a: {export: b, too: c}\n  d: {checksums: a}\n");
  expect_error(
      ErrorKind::usage, "run.script",
      AllOf(HasSubstr("run.yaml cannot be run:"), HasSubstr("'too'"), HasSubstr("'checksums'")),
      [&] { run(host, {.script = directory / "run.yaml"}); });
}

}  // namespace
}  // namespace craftbundle
