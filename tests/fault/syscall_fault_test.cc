// Each system call of an export, a bundle and a run fails once, with the errors it is known for:
// what was there stays or the whole of the new is there, nothing is left beside it, and the exit
// code tells which. Calls are counted for each thread.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <cctype>
#include <sstream>

#include "scene.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using testing::Job;
using testing::kJobs;
using testing::names;
using testing::ProgramResult;
using testing::read_file;
using testing::run_program;
using testing::Scene;
using testing::TemporaryDirectory;
using testing::Tree;

constexpr const char* kTracer = "/usr/bin/strace";
// How many of the calls of one name fail in turn; the others are like their neighbours.
constexpr int kMostCalls = 20;

ProgramResult trace(const Scene& scene, std::vector<std::string> options, const Path& directory) {
  std::vector<std::string> words = {kTracer, "-f", "-qq"};
  words.insert(words.end(), options.begin(), options.end());
  for (const std::string& word : scene.command()) words.push_back(word);
  return run_program(words, directory);
}

// How often the program makes `call`, and how many of these the dynamic linker makes first.
std::pair<int, int> count(const Scene& scene, const std::string& call) {
  TemporaryDirectory directory;
  scene.restore(directory.path());
  TemporaryDirectory log;
  const std::string file = (log / "log").string();
  const ProgramResult result = trace(scene, {"-o", file}, directory.path());
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  std::istringstream lines(read_file(file));
  int calls = 0;
  int before_main = -1;
  for (std::string line; std::getline(lines, line);) {
    if (before_main < 0 && line.find("rt_sigaction(SIGINT") != std::string::npos) {
      before_main = calls;
    }
    const std::size_t name = line.find_first_not_of("0123456789 ");
    if (name != std::string::npos && line.compare(name, call.size() + 1, call + "(") == 0) {
      ++calls;
    }
  }
  EXPECT_GE(before_main, 0);
  return {calls, before_main};
}

void fail(const Scene& scene, const Job& job, const std::string& call, const std::string& error,
          int number) {
  SCOPED_TRACE(call + " number " + std::to_string(number) + " fails with " + error);
  TemporaryDirectory directory;
  scene.restore(directory.path());
  const ProgramResult result =
      trace(scene,
            {"-o", "/dev/null", "-e", "trace=" + call, "-e",
             "inject=" + call + ":error=" + error + ":when=" + std::to_string(number)},
            directory.path());
  ASSERT_EQ(result.signal, 0) << result.errors;
  const Tree found = Scene::visible(directory.path());
  const Scene::Outputs outputs = scene.expect_whole(found, result.errors);
  if (result.exit_code == 0) {
    EXPECT_TRUE(outputs.all_new) << result.errors;
  } else {
    EXPECT_EQ(result.exit_code, 1) << result.errors;
    // Calls are counted thread by thread, so that the one which tells of the failure may fail too.
    EXPECT_TRUE(!result.errors.empty() || call == "write");
    // What was published stays when only the report cannot be written, and stages that were done
    // before one that failed stay done.
    const bool may_be_new = call == "write" || job.outputs.size() > 1;
    EXPECT_TRUE(outputs.all_old || may_be_new) << result.errors;
  }
  Tree left = scene.without_outputs(found);
  // Of an old directory that could not be removed the user is told.
  std::erase_if(left, [&](const auto& entry) {
    const std::string top = entry.first.substr(0, entry.first.find('/'));
    return top.find(".craftbundle-kept-") != std::string::npos &&
           result.errors.find(top) != std::string::npos;
  });
  if (left == scene.without_outputs(scene.before())) return;
  // What else could not be removed, the next one removes.
  EXPECT_TRUE(call == "unlink" || call == "unlinkat" || call == "rmdir" || call == "renameat2")
      << "left: " << names(left);
  scene.expect_done(directory.path(), job.again);
  EXPECT_EQ(names(Scene::visible(directory.path())), names(scene.after()));
}

struct Fault {
  const char* call;
  std::vector<const char*> errors;
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.call; }

class SystemCall : public ::testing::TestWithParam<std::tuple<Job, Fault>> {};

TEST_P(SystemCall, MayFail) {
  const TemporaryDirectory directory;
  if (!fs::exists(kTracer) ||
      run_program({kTracer, "-qq", "-o", "/dev/null", "/bin/true"}, directory.path()).exit_code) {
    GTEST_SKIP() << "needs strace, and to be allowed to trace";
  }
  const auto& [job, fault] = GetParam();
  const Scene scene(job);
  const auto [calls, before_main] = count(scene, fault.call);
  const int step = std::max(1, (calls - before_main) / kMostCalls);
  for (const char* error : fault.errors) {
    for (int number = before_main + 1; number <= calls; number += step) {
      fail(scene, job, fault.call, error, number);
    }
  }
}

const Fault kFaults[] = {
    {"openat", {"EMFILE", "EIO"}},
    {"newfstatat", {"EIO"}},
    {"statx", {"EIO"}},
    {"getdents64", {"EIO"}},
    {"read", {"EIO"}},
    {"pread64", {"EIO", "EINTR"}},
    {"write", {"ENOSPC", "EINTR"}},
    {"copy_file_range", {"EIO", "EXDEV", "ENOSPC"}},
    {"fallocate", {"ENOSPC", "EOPNOTSUPP"}},
    {"fsync", {"EIO", "EINVAL"}},
    {"close", {"EIO"}},
    {"flock", {"ENOLCK"}},
    {"linkat", {"EIO", "EPERM", "EOPNOTSUPP"}},
    {"rename", {"EIO"}},
    {"renameat2", {"EIO", "EINVAL", "EOPNOTSUPP"}},
    {"unlink", {"EIO"}},
    {"unlinkat", {"EIO"}},
    {"rmdir", {"EIO"}},
    {"mkdir", {"ENOSPC"}},
    {"fchmod", {"EPERM"}},
    {"clone3", {"EAGAIN"}},
    {"mmap", {"ENOMEM"}},
};

INSTANTIATE_TEST_SUITE_P(
    Each, SystemCall, ::testing::Combine(::testing::ValuesIn(kJobs), ::testing::ValuesIn(kFaults)),
    [](const auto& each) {
      return std::string(std::get<0>(each.param).name) + "_" + std::get<1>(each.param).call;
    });

}  // namespace
}  // namespace craftbundle
