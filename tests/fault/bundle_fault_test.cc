// Whatever happens to a run, its target holds the old bundle or the complete new one, and nothing
// else lies beside it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/filesystem.hpp>
#include <chrono>
#include <csignal>
#include <cstring>
#include <random>
#include <thread>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/manifest.h"
#include "support/program.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Program;
using testing::ProgramResult;
using testing::read_file;
using testing::run_program;
using testing::TemporaryDirectory;

using Clock = std::chrono::steady_clock;

std::string sha256(const std::string& content) {
  std::array<std::uint8_t, 32> digest{};
  unsigned length = 0;
  if (EVP_Digest(content.data(), content.size(), digest.data(), &length, EVP_sha256(), nullptr) !=
      1) {
    throw std::runtime_error("no SHA-256");
  }
  return hex(digest);
}

// The source of the language model of a bundle, after every file was held against the manifest.
std::string complete_bundle(const Path& directory) {
  const auto manifest = read_manifest(directory);
  if (!manifest) throw std::runtime_error(directory.string() + " has no manifest");
  for (const ManifestFile& file : manifest->files) {
    EXPECT_EQ(sha256(read_file(directory / file.name)), file.sha256) << file.name;
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(directory), fs::directory_iterator()),
            static_cast<std::ptrdiff_t>(manifest->files.size() + 1));
  return manifest->components.at(0).source;
}

std::vector<std::string> bundle_command(const std::string& lm) {
  return {CRAFTBUNDLE_PROGRAM,      "bundle", "--lm", lm,        "--compression",
          "facebook/encodec_32khz", "-o",     "m",    "--force", "--quiet"};
}

std::string large(const std::string& name) { return std::string(CRAFTBUNDLE_LARGE) + "/" + name; }

std::string golden(const std::string& name) {
  return std::string(CRAFTBUNDLE_TEST_DATA) + "/golden/data/" + name;
}

void make_old_bundle(const TemporaryDirectory& directory) {
  const ProgramResult made = run_program(bundle_command(large("a.bin")), directory.path());
  ASSERT_EQ(made.exit_code, 0) << made.errors;
}

// Random moments of a run, spread over as long as the run takes here.
class Moments {
 public:
  explicit Moments(const Path& directory) : random_(20240229) {
    const auto start = Clock::now();
    const ProgramResult result = run_program(bundle_command(large("b.bin")), directory);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    longest_ = std::chrono::duration<double>(Clock::now() - start).count();
  }
  void wait() {
    const double seconds = std::uniform_real_distribution<double>(0, 1.1 * longest_)(random_);
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  }

 private:
  std::mt19937 random_;
  double longest_ = 0;
};

bool is_staging(const std::string& name) { return name.starts_with(".m.craftbundle-"); }

TEST(Fault, KillAtAnyMomentKeepsABundle) {
  constexpr int kKills = 60;
  const TemporaryDirectory directory;
  make_old_bundle(directory);
  Moments moments(directory.path());
  int killed = 0;
  for (int i = 0; i < kKills; ++i) {
    Program program(bundle_command(large(i % 2 == 0 ? "a.bin" : "b.bin")), directory.path());
    moments.wait();
    program.kill(SIGKILL);
    if (program.wait().signal == SIGKILL) ++killed;
    EXPECT_THAT(complete_bundle(directory / "m"), AnyOf("a.bin", "b.bin")) << "kill " << i;
    for (const std::string& name : directory.names()) {
      EXPECT_TRUE(name == "m" || is_staging(name)) << name;
    }
  }
  EXPECT_GT(killed, kKills / 4);
  // The next run cleans up.
  make_old_bundle(directory);
  EXPECT_THAT(directory.names(), ElementsAre("m"));
}

TEST(Fault, KillNeverShowsPartOfANewBundle) {
  constexpr int kKills = 30;
  const TemporaryDirectory directory;
  Moments moments(directory.path());
  for (int i = 0; i < kKills; ++i) {
    fs::remove_all(directory / "m");
    Program program(bundle_command(large("a.bin")), directory.path());
    moments.wait();
    program.kill(SIGKILL);
    program.wait();
    if (fs::exists(directory / "m")) {
      EXPECT_EQ(complete_bundle(directory / "m"), "a.bin");
    }
  }
}

void expect_clean_end(int signal) {
  constexpr int kSignals = 25;
  const TemporaryDirectory directory;
  make_old_bundle(directory);
  Moments moments(directory.path());
  int interrupted = 0;
  for (int i = 0; i < kSignals; ++i) {
    Program program(bundle_command(large(i % 2 == 0 ? "a.bin" : "b.bin")), directory.path());
    moments.wait();
    program.kill(signal);
    const ProgramResult result = program.wait();
    // Before the program has set its handlers, the signal has its default effect.
    const bool ended_by_it =
        result.signal == signal || (signal == SIGINT && result.exit_code == 130);
    EXPECT_TRUE(ended_by_it || result.exit_code == 0)
        << "exit code " << result.exit_code << ", signal " << result.signal << ": "
        << result.errors;
    if (ended_by_it && !result.errors.empty()) {
      ++interrupted;
      EXPECT_THAT(result.errors, HasSubstr("interrupted [run.interrupted]"));
    }
    EXPECT_THAT(complete_bundle(directory / "m"), AnyOf("a.bin", "b.bin"));
    EXPECT_THAT(directory.names(), ElementsAre("m"));
  }
  EXPECT_GT(interrupted, 0);
}

TEST(Fault, CtrlCLeavesTheOldBundleAlone) { expect_clean_end(SIGINT); }

TEST(Fault, TerminationLeavesTheOldBundleAlone) { expect_clean_end(SIGTERM); }

// Runs `command` once for each call that can lose data, making that call fail. `check` looks at
// what is left.
template <typename Check>
void fail_every_call(const std::vector<std::string>& command, const Path& directory, int error,
                     Check check) {
  constexpr int kMoreThanAnyRun = 1000;
  const TemporaryDirectory counting;
  for (int call = 1; call < kMoreThanAnyRun; ++call) {
    const ProgramResult result = run_program(command, directory,
                                             {{"LD_PRELOAD", CRAFTBUNDLE_FAILING_WRITE},
                                              {"ASAN_OPTIONS", "verify_asan_link_order=0"},
                                              {"FAIL_CALL", std::to_string(call)},
                                              {"FAIL_ERRNO", std::to_string(error)},
                                              {"FAIL_REPORT", (counting / "calls").string()}});
    ASSERT_EQ(result.signal, 0) << result.errors;
    if (std::stol(read_file(counting / "calls")) < call) {
      EXPECT_GT(call, 4) << "too few calls were counted: is the library preloaded?";
      EXPECT_EQ(result.exit_code, 0) << result.errors;
      return;
    }
    SCOPED_TRACE("call " + std::to_string(call) + ": " + result.errors);
    check(result);
  }
  FAIL() << "the run makes more calls than expected";
}

TEST(Fault, EveryFailingWriteOfABundleIsAnErrorThatChangesNothing) {
  const TemporaryDirectory directory;
  make_old_bundle(directory);
  auto command = bundle_command(golden("musicgen_train.th"));
  command.push_back("--allow-mismatch");
  fail_every_call(command, directory.path(), ENOSPC, [&](const ProgramResult& result) {
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.errors, HasSubstr("No space left on device [io.enospc]"));
    EXPECT_THAT(result.errors, HasSubstr("hint: free some space"));
    EXPECT_EQ(complete_bundle(directory / "m"), "a.bin");
    EXPECT_THAT(directory.names(), ElementsAre("m"));
  });
  EXPECT_EQ(complete_bundle(directory / "m"), "musicgen_train.th");
}

TEST(Fault, EveryFailingWriteOfAFileIsAnErrorThatLeavesNothing) {
  const TemporaryDirectory directory;
  const std::vector<std::string> command = {
      CRAFTBUNDLE_PROGRAM, "export", golden("encodec_train.th"), "-o", "sub/c.bin", "--quiet"};
  fail_every_call(command, directory.path(), ENOSPC, [&](const ProgramResult& result) {
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.errors, HasSubstr("No space left on device [io.enospc]"));
    EXPECT_THAT(directory.names(), IsEmpty());
  });
}

// EINVAL is how file systems say that they cannot exchange names, flush directories or reserve.
TEST(Fault, FileSystemsWithFewerAbilitiesKeepABundleToo) {
  const TemporaryDirectory directory;
  make_old_bundle(directory);
  auto command = bundle_command(golden("musicgen_train.th"));
  command.push_back("--allow-mismatch");
  int survived = 0;
  fail_every_call(command, directory.path(), EINVAL, [&](const ProgramResult& result) {
    EXPECT_THAT(result.exit_code, AnyOf(0, 1));
    if (result.exit_code == 0) ++survived;
    EXPECT_THAT(complete_bundle(directory / "m"), AnyOf("a.bin", "musicgen_train.th"));
    EXPECT_THAT(directory.names(), ElementsAre("m"));
  });
  EXPECT_GT(survived, 1);
}

// A file system of its own, where the test may make one.
class SmallDisk {
 public:
  explicit SmallDisk(const Path& place) : place_(place) {
    fs::create_directory(place);
    mounted_ = ::mount("tmpfs", place.c_str(), "tmpfs", 0, "size=16m") == 0;
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount2(place_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  std::uint64_t free_bytes() const {
    struct statvfs status {};
    if (::statvfs(place_.c_str(), &status) != 0) throw std::runtime_error("statvfs");
    return status.f_bfree * status.f_frsize;
  }

 private:
  Path place_;
  bool mounted_ = false;
};

TEST(Fault, AFullDiskKeepsTheOldBundle) {
  const TemporaryDirectory directory;
  const SmallDisk disk(directory / "disk");
  if (!disk.mounted()) GTEST_SKIP() << "mounting is not permitted; the failing writes cover it";
  auto small = bundle_command(golden("musicgen_train.th"));
  small.push_back("--allow-mismatch");
  ASSERT_EQ(run_program(small, directory / "disk").exit_code, 0);
  const std::uint64_t before = disk.free_bytes();
  const ProgramResult result = run_program(bundle_command(large("a.bin")), directory / "disk");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.errors, HasSubstr("No space left on device [io.enospc]"));
  EXPECT_EQ(complete_bundle(directory / "disk/m"), "musicgen_train.th");
  EXPECT_EQ(disk.free_bytes(), before);
}

TEST(Fault, AFileSizeLimitIsAnErrorLikeAnyOther) {
  const TemporaryDirectory directory;
  const ProgramResult result =
      run_program({"/bin/sh", "-c",
                   "ulimit -f 2000; exec " CRAFTBUNDLE_PROGRAM " export " + large("a.bin") +
                       " -o c.bin --exporter language_model"},
                  directory.path());
  EXPECT_EQ(result.exit_code, 1) << "signal " << result.signal;
  EXPECT_THAT(result.errors, HasSubstr("File too large [io.efbig]"));
  EXPECT_THAT(directory.names(), IsEmpty());
}

TEST(Fault, TwoWritersOfOneTargetGiveOneWholeBundle) {
  constexpr int kRaces = 20;
  const TemporaryDirectory directory;
  int busy = 0;
  for (int i = 0; i < kRaces; ++i) {
    fs::remove_all(directory / "m");
    Program first(bundle_command(large("a.bin")), directory.path());
    Program second(bundle_command(large("b.bin")), directory.path());
    const std::array<ProgramResult, 2> results = {first.wait(), second.wait()};
    int done = 0;
    for (const ProgramResult& result : results) {
      if (result.exit_code == 0) {
        ++done;
      } else {
        ++busy;
        EXPECT_EQ(result.exit_code, 1);
        EXPECT_THAT(result.errors, HasSubstr("is being written by another run [target.busy]"));
      }
    }
    EXPECT_GE(done, 1);
    EXPECT_THAT(complete_bundle(directory / "m"), AnyOf("a.bin", "b.bin"));
    EXPECT_THAT(directory.names(), ElementsAre("m"));
  }
  EXPECT_GT(busy, 0);
}

TEST(Fault, ClosedStandardOutputIsNoPlaceForData) {
  const TemporaryDirectory directory;
  const ProgramResult result = run_program(
      {"/bin/sh", "-c",
       "exec " CRAFTBUNDLE_PROGRAM " export " + golden("encodec_train.th") + " -o c.bin >&- 2>&-"},
      directory.path());
  EXPECT_EQ(result.exit_code, 0);
  const ProgramResult again = run_program(
      {CRAFTBUNDLE_PROGRAM, "export", golden("encodec_train.th"), "-o", "d.bin"}, directory.path());
  ASSERT_EQ(again.exit_code, 0) << again.errors;
  EXPECT_EQ(sha256(read_file(directory / "c.bin")), sha256(read_file(directory / "d.bin")));
}

}  // namespace
}  // namespace craftbundle
