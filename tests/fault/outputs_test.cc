// Outputs where there was none, and in the place of old ones, in whatever file system TMPDIR lies:
// they are there, whole, what was not to be replaced was not, and nothing else is left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scene.h"

namespace craftbundle {
namespace {

using ::testing::HasSubstr;
using testing::names;
using testing::ProgramResult;
using testing::read_file;
using testing::run_program;
using testing::TemporaryDirectory;
using testing::Tree;
using testing::tree;
using testing::write_file;

class Outputs : public ::testing::Test {
 protected:
  Outputs() {
    for (const char* name : {"musicgen_train.th", "audiogen_train.th", "encodec_train.th"}) {
      const std::string golden = std::string(CRAFTBUNDLE_TEST_DATA) + "/golden/data/" + name;
      write_file(sources_ / name, read_file(golden));
    }
  }

  std::string source(const std::string& name) const { return (sources_ / name).string(); }

  ProgramResult program(std::vector<std::string> words) const {
    words.insert(words.begin(), CRAFTBUNDLE_PROGRAM);
    return run_program(words, directory_.path());
  }

  std::vector<std::string> bundle(const std::string& lm) const {
    return {"bundle", "--lm", source(lm),        "--compression", source("encodec_train.th"),
            "-o",     "m",    "--allow-mismatch"};
  }

  Tree here() const { return tree(directory_.path()); }

 private:
  TemporaryDirectory sources_;
  TemporaryDirectory directory_;
};

TEST_F(Outputs, FilesAppearAndAreReplacedOnlyWithForce) {
  const ProgramResult first = program({"export", source("musicgen_train.th"), "-o", "e.bin"});
  ASSERT_EQ(first.exit_code, 0) << first.errors;
  const Tree old = here();
  EXPECT_EQ(names(old), "e.bin ");

  const ProgramResult again = program({"export", source("audiogen_train.th"), "-o", "e.bin"});
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.errors, HasSubstr("[target.exists]"));
  EXPECT_EQ(here(), old);

  const ProgramResult forced =
      program({"export", source("audiogen_train.th"), "-o", "e.bin", "--force"});
  EXPECT_EQ(forced.exit_code, 0) << forced.errors;
  EXPECT_EQ(names(here()), "e.bin ");
  EXPECT_NE(here(), old);
  EXPECT_EQ(program({"verify", "e.bin"}).exit_code, 0);
}

TEST_F(Outputs, BundlesAppearAndAreReplacedOnlyWithForce) {
  const std::string files = "m/ m/bundle.json m/compression_state_dict.bin m/state_dict.bin ";
  const ProgramResult first = program(bundle("musicgen_train.th"));
  ASSERT_EQ(first.exit_code, 0) << first.errors;
  const Tree old = here();
  EXPECT_EQ(names(old), files);

  const ProgramResult again = program(bundle("audiogen_train.th"));
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.errors, HasSubstr("[target.exists]"));
  EXPECT_EQ(here(), old);

  std::vector<std::string> forced = bundle("audiogen_train.th");
  forced.insert(forced.end(), {"--force", "--no-sync"});
  const ProgramResult replaced = program(forced);
  EXPECT_EQ(replaced.exit_code, 0) << replaced.errors;
  EXPECT_EQ(names(here()), files);
  EXPECT_NE(here(), old);
}

}  // namespace
}  // namespace craftbundle
