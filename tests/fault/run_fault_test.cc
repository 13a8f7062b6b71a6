// Whatever happens to a stage that replaces a directory, there is one at any moment, the old one or
// the complete new one, and the next run removes what a killed one left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>
#include <cerrno>
#include <csignal>
#include <sstream>

#include "support/program.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ProgramResult;
using testing::read_file;
using testing::run_program;
using testing::TemporaryDirectory;
using testing::write_file;

constexpr int kMoreThanAnyRun = 1000;

// One stage whose output "out" is a directory of two files, which hold "old" or "new".
struct StageCase {
  const char* name;
  const char* script;
  std::vector<std::string> files;
};

class DirectoryStage : public ::testing::TestWithParam<StageCase> {
 protected:
  DirectoryStage() {
    fs::create_directories(root / "source/sub");
    write_file(root / "run.yaml", GetParam().script);
    write_source("old");
    EXPECT_EQ(run({}).exit_code, 0);
    write_source("new");
  }

  void write_source(const std::string& text) {
    write_file(root / "source/a", text);
    write_file(root / "source/sub/b", text);
  }

  ProgramResult run(testing::Program::Environment environment) {
    if (!environment.empty()) {
      environment["LD_PRELOAD"] = CRAFTBUNDLE_FAILING_WRITE;
      environment["ASAN_OPTIONS"] = "verify_asan_link_order=0";
    }
    return run_program({CRAFTBUNDLE_PROGRAM, "--plugin-dir", CRAFTBUNDLE_FIXTURES, "run",
                        "run.yaml", "--jobs", "1", "--force", "--quiet"},
                       root.path(), environment);
  }

  // "oo" or "nn": the first letters of the files.
  std::string letters() const {
    std::string letters;
    for (const std::string& name : GetParam().files) {
      letters += read_file(root / ("out/" + name)).front();
    }
    return letters;
  }

  TemporaryDirectory root;
};

TEST_P(DirectoryStage, HasADirectoryAtAnyMoment) {
  const ProgramResult result =
      run({{"WATCH", (root / "out").string()},
           {"WATCH_FILES", GetParam().files[0] + ":" + GetParam().files[1]},
           {"WATCH_REPORT", (root / "report").string()}});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  std::vector<std::string> lines;
  std::istringstream report(read_file(root / "report"));
  for (std::string line; std::getline(report, line);) {
    EXPECT_THAT(line, AnyOf(HasSubstr(" oo"), HasSubstr(" nn")));
    lines.push_back(line);
  }
  // The exchange, the flush of what it has changed, and removals of the old one were seen.
  EXPECT_THAT(lines, Contains("renameat2 oo"));
  EXPECT_THAT(lines, Contains("fsync nn"));
  EXPECT_THAT(lines, Contains("unlinkat nn"));
  EXPECT_EQ(letters(), "nn");
}

TEST_P(DirectoryStage, KillsAtEveryNameKeepADirectory) {
  for (int call = 1; call < kMoreThanAnyRun; ++call) {
    SCOPED_TRACE("call " + std::to_string(call));
    write_source(call % 2 == 0 ? "old" : "new");
    const ProgramResult result = run({{"KILL_CALL", std::to_string(call)}});
    ASSERT_THAT(letters(), AnyOf("oo", "nn"));
    if (result.signal != SIGKILL) {
      EXPECT_EQ(result.exit_code, 0) << result.errors;
      EXPECT_GT(call, 10) << "too few calls were seen: is the library preloaded?";
      EXPECT_THAT(root.names(), ElementsAre(".craftbundle", "out", "run.yaml", "source"));
      return;
    }
  }
  FAIL() << "the run makes more calls than expected";
}

TEST_P(DirectoryStage, NextRunRemovesWhatAKilledOneLeft) {
  int left = 0;
  for (int call = 1; call < kMoreThanAnyRun; ++call) {
    write_source(call % 2 == 0 ? "old" : "new");
    if (run({{"KILL_CALL", std::to_string(call)}}).signal != SIGKILL) break;
    if (root.names().size() > 4) ++left;
    write_source("third");
    ASSERT_EQ(run({}).exit_code, 0);
    ASSERT_EQ(letters(), "tt");
    ASSERT_THAT(root.names(), ElementsAre(".craftbundle", "out", "run.yaml", "source"))
        << "call " << call;
  }
  EXPECT_GT(left, 0);
}

TEST_P(DirectoryStage, EveryFailingWriteKeepsTheOldOne) {
  const TemporaryDirectory counting;
  int flushes_of_parent = 0;  // after the exchange
  for (int call = 1; call < kMoreThanAnyRun; ++call) {
    SCOPED_TRACE("call " + std::to_string(call));
    write_source("old");
    ASSERT_EQ(run({}).exit_code, 0);
    write_source("new");
    const ProgramResult result = run({{"FAIL_CALL", std::to_string(call)},
                                      {"FAIL_ERRNO", std::to_string(EIO)},
                                      {"FAIL_REPORT", (counting / "calls").string()}});
    EXPECT_THAT(root.names(), ElementsAre(".craftbundle", "out", "run.yaml", "source"));
    // The stage is done when only its record or the report could not be written.
    ASSERT_THAT(letters(), AnyOf("oo", "nn")) << result.errors;
    if (result.exit_code == 0) {
      EXPECT_EQ(letters(), "nn");
    }
    if (std::stoi(read_file(counting / "calls")) < call) {
      EXPECT_EQ(result.exit_code, 0) << result.errors;
      EXPECT_GT(call, 10) << "too few calls were counted: is the library preloaded?";
      break;
    }
    const std::string flush = root.path().string() + ": flushing the directory";
    if (result.errors.find(flush) != std::string::npos) {
      ++flushes_of_parent;
      EXPECT_EQ(result.exit_code, 1);
      EXPECT_EQ(letters(), "oo");
    }
  }
  EXPECT_GE(flushes_of_parent, 1);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, DirectoryStage,
    ::testing::Values(
        StageCase{"copy", "version: 1\nstages:\n  c: {copy: source, to: out}\n", {"a", "sub/b"}},
        StageCase{"plugin",
                  "version: 1\nstages:\n"
                  "  n: {number: [source/a, source/sub/b], to: out}\n",
                  {"0", "1"}}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace craftbundle
