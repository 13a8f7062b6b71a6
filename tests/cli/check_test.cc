// --check structure: nothing is read for checking alone, and whatever is made so says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>
#include <nlohmann/json.hpp>

#include "support/program.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ProgramResult;
using testing::read_file;
using testing::write_file;

class CheckTest : public ::testing::Test {
 protected:
  CheckTest() {
    const Path data = Path(CRAFTBUNDLE_TEST_DATA) / "golden/data";
    fs::copy_file(data / "encodec_exported.bin", root / "sound.bin");
    // In the middle of the file lie elements of tensors.
    std::string bytes = read_file(root / "sound.bin");
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    write_file(root / "damaged.bin", bytes);
  }

  ProgramResult craftbundle(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), CRAFTBUNDLE_PROGRAM);
    return testing::run_program(arguments, root.path());
  }

  void make_sparse(const std::string& name, std::uint64_t size) {
    write_file(root / name, "not a zip");
    fs::resize_file(root / name, size);
  }

  testing::TemporaryDirectory root;
};

TEST_F(CheckTest, ExportsTakeContentsAsTheyAre) {
  const ProgramResult refused = craftbundle({"export", "damaged.bin", "-o", "out.bin"});
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_THAT(refused.errors, HasSubstr("[zip.crc]"));
  const ProgramResult taken =
      craftbundle({"export", "damaged.bin", "-o", "out.bin", "--check", "structure"});
  EXPECT_EQ(taken.exit_code, 0) << taken.errors;
  EXPECT_THAT(taken.output, HasSubstr("the contents of its sources were not checked"));
  // The record keeps its CRC-32, so that the damage shows later.
  const ProgramResult verified = craftbundle({"verify", "out.bin"});
  EXPECT_EQ(verified.exit_code, 4);
  EXPECT_THAT(verified.output, HasSubstr("[zip.crc]"));
}

TEST_F(CheckTest, SoundSourcesGiveTheSameBytes) {
  EXPECT_EQ(craftbundle({"export", "sound.bin", "-o", "a.bin"}).exit_code, 0);
  EXPECT_EQ(craftbundle({"export", "sound.bin", "-o", "b.bin", "--check", "structure"}).exit_code,
            0);
  EXPECT_TRUE(read_file(root / "a.bin") == read_file(root / "b.bin"));
}

TEST_F(CheckTest, ManifestSaysWhatWasNotChecked) {
  EXPECT_EQ(craftbundle({"bundle", "--compression", "sound.bin", "-o", "checked"}).exit_code, 0);
  EXPECT_FALSE(json::parse(read_file(root / "checked/bundle.json")).contains("check"));
  EXPECT_EQ(
      craftbundle({"bundle", "--compression", "sound.bin", "-o", "model", "--check", "structure"})
          .exit_code,
      0);
  const json manifest = json::parse(read_file(root / "model/bundle.json"));
  EXPECT_EQ(manifest["check"], "structure");
  EXPECT_FALSE(manifest["files"][0].contains("sha256")) << manifest;
  const std::string words =
      "was made with --check structure: the contents of its sources were not checked";
  const ProgramResult verified = craftbundle({"verify", "model"});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
  EXPECT_THAT(
      verified.output,
      AllOf(HasSubstr(words), HasSubstr("size is that of the manifest, which states no SHA-256")));
  EXPECT_THAT(craftbundle({"inspect", "model"}).output,
              AllOf(HasSubstr(words), HasSubstr("not computed")));
}

TEST_F(CheckTest, VerifySaysThatItReadNoTensor) {
  EXPECT_EQ(craftbundle({"verify", "damaged.bin"}).exit_code, 4);
  const ProgramResult verified = craftbundle({"verify", "damaged.bin", "--check", "structure"});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
  EXPECT_THAT(verified.output,
              AllOf(HasSubstr("the contents were not checked"), Not(HasSubstr("CRC-32 of"))));
  const ProgramResult as_json =
      craftbundle({"verify", "damaged.bin", "--check", "structure", "--json"});
  EXPECT_EQ(json::parse(as_json.output)["check"], "structure");
}

TEST_F(CheckTest, StagesHaveTheKey) {
  write_file(root / "run.yaml", R"(version: 1
stages:
  codec: {export: damaged.bin, to: codec.bin, check: structure}
  model: {bundle: {compression: codec}, to: model, check: structure}
  look: {verify: model, check: structure}
)");
  const ProgramResult run = craftbundle({"run", "run.yaml", "--json"});
  ASSERT_EQ(run.exit_code, 0) << run.errors;
  for (const json& stage : json::parse(run.output)["stages"]) {
    EXPECT_THAT(stage.dump(), HasSubstr("not checked"));
  }
  write_file(root / "run.yaml",
             "version: 1\nstages: {codec: {export: damaged.bin, to: other.bin, check: all}}");
  EXPECT_EQ(craftbundle({"run", "run.yaml"}).exit_code, 2);
}

// Reading 64 GiB of holes takes half a minute and more.
TEST_F(CheckTest, PlansWithoutReadingLargeFiles) {
  make_sparse("large.bin", std::uint64_t{4} << 30);
  write_file(root / "run.yaml", "version: 1\nstages: {take: {copy: large.bin, to: copy.bin}}");
  // Times of a file that was just written tell nothing.
  ASSERT_EQ(testing::run_program({"sleep", "1"}, root.path()).exit_code, 0);
  const ProgramResult plan =
      craftbundle({"--log-format", "json", "run", "run.yaml", "--dry-run", "--check", "structure"});
  EXPECT_EQ(plan.exit_code, 0) << plan.errors;
  EXPECT_THAT(plan.errors, Not(HasSubstr("reading large.bin")));
}

TEST_F(CheckTest, PlanningTellsHowFarReadingIs) {
  make_sparse("large.bin", std::uint64_t{64} << 20);
  write_file(root / "run.yaml", "version: 1\nstages: {take: {copy: large.bin, to: copy.bin}}");
  const ProgramResult plan = craftbundle({"--log-format", "json", "run", "run.yaml", "--dry-run"});
  EXPECT_EQ(plan.exit_code, 0) << plan.errors;
  EXPECT_THAT(plan.errors, AllOf(HasSubstr("reading large.bin"), HasSubstr("67108864")));
}

TEST_F(CheckTest, FilesKnownByTheirStateAreTakenAgainOnlyWhenTheyChange) {
  make_sparse("large.bin", std::uint64_t{32} << 20);
  write_file(root / "run.yaml", "version: 1\nstages: {sum: {checksum: large.bin, to: SUM}}");
  // Times of a file that was just written tell nothing.
  ASSERT_EQ(testing::run_program({"sleep", "1"}, root.path()).exit_code, 0);
  const auto run = [&] {
    const ProgramResult result = craftbundle({"run", "run.yaml", "--json", "--check", "structure"});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return json::parse(result.output)["stages"][0]["state"].get<std::string>();
  };
  EXPECT_EQ(run(), "done");
  EXPECT_EQ(run(), "up to date");
  make_sparse("large.bin", std::uint64_t{33} << 20);
  EXPECT_EQ(run(), "done");
}

}  // namespace
}  // namespace craftbundle
