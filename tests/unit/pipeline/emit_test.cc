// The texts for other engines, run by these engines on a program that writes down what it is asked.
#include "craftbundle/detail/pipeline/emit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <sstream>

#include "support/program.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using ::testing::HasSubstr;
using testing::read_file;
using testing::run_program;
using testing::TemporaryDirectory;
using ::testing::UnorderedElementsAre;
using testing::write_file;

class EmitTest : public ::testing::Test {
 protected:
  EmitTest() {
    // Names that every engine has something to say about.
    fs::create_directory(directory / "work $x 'y' #1");
    run.script = "release.yaml";
    run.directory = (directory / "work $x 'y' #1").string();
    write_file(directory / "program",
               "#!/bin/sh\necho \"$1 $3\" >> \"$PWD/../done\"\n"
               "[ \"$3\" != fails ]\n");
    fs::permissions(directory / "program", fs::owner_all);
    run.command = {(directory / "program").string(), "a $b 'c'", "--stage"};
    run.stages = {stage("codec"), stage("lm-1", {{0}}), stage("lm-2", {{0}}), stage("fails"),
                  stage("last", {{1}, {2}, {3, false}})};
    run.stages[1].group = run.stages[2].group = "lm-${n}";
    run.stages[3].may_fail = true;
  }

  static EmittedStage stage(const std::string& name, std::vector<EmittedStage::Need> needs = {}) {
    EmittedStage result;
    result.name = result.group = name;
    result.needs = std::move(needs);
    return result;
  }

  std::vector<std::string> done() const {
    std::vector<std::string> lines;
    std::istringstream text(read_file(directory / "done"));
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }

  void expect_order() const {
    const std::vector<std::string> lines = done();
    const std::string begin = "a $b 'c' ";
    EXPECT_THAT(lines, UnorderedElementsAre(begin + "codec", begin + "lm-1", begin + "lm-2",
                                            begin + "fails", begin + "last"));
    EXPECT_EQ(lines.back(), begin + "last");
    const auto place = [&](const char* name) {
      return std::find(lines.begin(), lines.end(), begin + name);
    };
    EXPECT_LT(place("codec"), place("lm-1"));
    EXPECT_LT(place("codec"), place("lm-2"));
  }

  TemporaryDirectory directory;
  EmittedRun run;
};

TEST_F(EmitTest, MakeRunsTheGraph) {
  if (!fs::exists("/usr/bin/make")) GTEST_SKIP() << "there is no make";
  write_file(directory / "run.mk", to_make(run));
  const auto result = run_program({"make", "-f", "run.mk", "-j", "2"}, directory.path());
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  expect_order();
}

TEST_F(EmitTest, NinjaRunsTheGraph) {
  if (!fs::exists("/usr/bin/ninja")) GTEST_SKIP() << "there is no ninja";
  write_file(directory / "build.ninja", to_ninja(run));
  const auto result = run_program({"/usr/bin/ninja", "-j", "2"}, directory.path());
  EXPECT_EQ(result.exit_code, 0) << result.errors << result.output;
  expect_order();
}

TEST_F(EmitTest, NamesThatEnginesUseThemselves) {
  run.stages = {stage("all"), stage("lr=0.1@a+b", {{0}}), stage("default", {{1}})};
  const auto lines_of = [&](std::vector<std::string> command) {
    fs::remove(directory / "done");
    const auto result = run_program(std::move(command), directory.path());
    EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
    return done();
  };
  const ::testing::Matcher<std::vector<std::string>> expected =
      ::testing::ElementsAre("a $b 'c' all", "a $b 'c' lr=0.1@a+b", "a $b 'c' default");
  if (fs::exists("/usr/bin/make")) {
    write_file(directory / "run.mk", to_make(run));
    EXPECT_THAT(lines_of({"make", "-f", "run.mk"}), expected);
  }
  write_file(directory / "build.ninja", to_ninja(run));
  EXPECT_THAT(lines_of({"ninja", "-f", "build.ninja"}), expected);
}

TEST_F(EmitTest, AFailureThatMattersFailsTheEngine) {
  if (!fs::exists("/usr/bin/make")) GTEST_SKIP() << "there is no make";
  run.stages[4].needs[2].needs_output = true;
  write_file(directory / "run.mk", to_make(run));
  EXPECT_NE(run_program({"make", "-f", "run.mk"}, directory.path()).exit_code, 0);
}

TEST_F(EmitTest, SlurmScriptSaysWhatDependsOnWhat) {
  run.stages[0].slurm = {{"mem", "4G"}};
  run.stages[0].timeout = 90;
  const std::string text = to_slurm(run);
  EXPECT_THAT(text, HasSubstr("job_1=$(sbatch --parsable --job-name=codec "));
  EXPECT_THAT(text, HasSubstr(" --time=3 --mem=4G <<'STAGES'"));
  EXPECT_THAT(text,
              HasSubstr("--array=0-1 --kill-on-invalid-dep=yes \"--dependency=afterok:$job_1\""));
  EXPECT_THAT(text, HasSubstr("\"--dependency=afterok:$job_2,afterany:$job_3\""));
  EXPECT_THAT(text, HasSubstr("stages=(lm-1 lm-2)\n"));
  write_file(directory / "run.sh", text);
  EXPECT_EQ(run_program({"bash", "-n", "run.sh"}, directory.path()).exit_code, 0);
}

TEST_F(EmitTest, CorrespondingArraysWaitForEachOther) {
  run.stages = {stage("a-1"),
                stage("a-2"),
                stage("b-1", {{0}}),
                stage("b-2", {{1}}),
                stage("c-1", {{2}, {3}}),
                stage("c-2", {{3}})};
  for (std::size_t i = 0; i < run.stages.size(); ++i) {
    run.stages[i].group = run.stages[i].name.substr(0, 1);
  }
  const std::string text = to_slurm(run);
  EXPECT_THAT(text, HasSubstr("aftercorr:$job_1\""));
  EXPECT_THAT(text, HasSubstr("afterok:$job_2\""));
}

}  // namespace
}  // namespace craftbundle
