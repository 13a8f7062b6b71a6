// An export, a bundle and a run are killed before each system call that changes files: at the
// target is what was there or the whole of the new, and the same command again ends with 0 and
// leaves what one leaves that was never killed.
//
//   CRAFTBUNDLE_MOST_KILLS=N  at most so many of them, spread over the command
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "scene.h"

namespace craftbundle {
namespace {

using testing::Job;
using testing::kJobs;
using testing::names;
using testing::ProgramResult;
using testing::read_file;
using testing::run_program;
using testing::Scene;
using testing::TemporaryDirectory;
using testing::Tree;

constexpr int kCannotTrace = 125;
// Each command names, locks, writes and removes something.
constexpr int kFewestCalls = 8;

struct Killed {
  ProgramResult result;
  int calls = 0;  // that change files, up to the kill
  std::string last;
};

Killed kill_at(int call, const std::vector<std::string>& command, const Path& directory) {
  const TemporaryDirectory reports;
  const std::string report = (reports / "report").string();
  std::vector<std::string> words = {CRAFTBUNDLE_KILL_AT_CALL, report, std::to_string(call)};
  words.insert(words.end(), command.begin(), command.end());
  Killed killed;
  killed.result = run_program(words, directory);
  if (killed.result.exit_code == kCannotTrace) return killed;
  std::istringstream(read_file(report)) >> killed.calls >> killed.last;
  return killed;
}

// Whether the file system of temporary directories can exchange two names.
bool exchanges_names() {
  const TemporaryDirectory here;
  const Path one = here / "one";
  const Path two = here / "two";
  boost::filesystem::create_directory(one);
  boost::filesystem::create_directory(two);
  return ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, two.c_str(), RENAME_EXCHANGE) == 0;
}

class KillAtCall : public ::testing::TestWithParam<Job> {};

TEST_P(KillAtCall, LeavesOldOrNewAndNothingAfterTheNextRun) {
  const TemporaryDirectory here;
  if (kill_at(0, {"/bin/true"}, here.path()).result.exit_code != 0) {
    GTEST_SKIP() << "needs to be allowed to trace";
  }
  const Scene scene(GetParam());
  const bool exchanges = exchanges_names();
  int all = 0;
  {
    const TemporaryDirectory directory;
    scene.restore(directory.path());
    const Killed whole = kill_at(0, scene.command(), directory.path());
    ASSERT_EQ(whole.result.exit_code, 0) << whole.result.errors;
    all = whole.calls;
  }
  ASSERT_GE(all, kFewestCalls);
  const char* most = std::getenv("CRAFTBUNDLE_MOST_KILLS");
  const int kills = most == nullptr ? all : std::min(all, std::atoi(most));
  for (int i = 0; i < kills; ++i) {
    const int call = 1 + i * all / kills;
    const TemporaryDirectory directory;
    scene.restore(directory.path());
    const Killed killed = kill_at(call, scene.command(), directory.path());
    SCOPED_TRACE("killed before call " + std::to_string(call) + " of " + std::to_string(all) +
                 ", " + killed.last);
    if (killed.result.signal != SIGKILL) {
      // Threads took other turns, in which there are fewer calls.
      EXPECT_EQ(killed.result.exit_code, 0) << killed.result.errors;
      EXPECT_LT(killed.calls, call);
    }
    const Tree found = Scene::visible(directory.path());
    // Without an exchange of names the old directory is aside for a moment (docs/reliability.md).
    const bool may_be_missing = killed.last == "rename" && !exchanges;
    scene.expect_whole(found, killed.result.errors, may_be_missing);
    scene.expect_done(directory.path());
    EXPECT_TRUE(scene.expect_whole(Scene::visible(directory.path()), {}).all_new);
    EXPECT_EQ(names(testing::tree(directory.path())), names(scene.end()))
        << "the kill left " << names(found);
    if (HasFailure()) return;
  }
  RecordProperty("calls", all);
}

INSTANTIATE_TEST_SUITE_P(Each, KillAtCall, ::testing::ValuesIn(kJobs),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace craftbundle
