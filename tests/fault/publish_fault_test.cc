// Every call that can lose data fails once while a package is written and published: the target is
// then as it was before, and nothing else is left beside it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <string>
#include <tuple>

#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::read_file;
using ::testing::StartsWith;
using testing::TemporaryDirectory;
using testing::write_file;

struct Outcome {
  int status = -1;
  std::string output;
};

// Through a pipe: the preload counts writes to regular files.
Outcome run(const std::string& command) {
  Outcome outcome;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run a command");
  std::array<char, 4096> buffer{};
  while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    outcome.output.append(buffer.data(), size);
  }
  const int status = ::pclose(pipe);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

class PublishFault : public ::testing::TestWithParam<std::tuple<bool, const char*>> {
 protected:
  void SetUp() override {
    write_file(directory_ / "source", std::string(5 << 20, 's'));
    boost::filesystem::create_directory(directory_ / "out");
  }

  bool replaces() const { return std::get<0>(GetParam()); }
  Path target() const { return directory_ / "out" / "target"; }

  void reset_target() const {
    boost::filesystem::remove_all(directory_ / "out");
    boost::filesystem::create_directory(directory_ / "out");
    if (replaces()) write_file(target(), "old");
  }

  // The n-th counted call fails with `error`; 0: none.
  Outcome publish(int failing_call, int error) const {
    reset_target();
    // The preload comes before a sanitizer's own, if there is one; it does not mind.
    return run("FAIL_CALL=" + std::to_string(failing_call) + " FAIL_ERRNO=" +
               std::to_string(error) + " FAIL_REPORT='" + (directory_ / "count").string() +
               "' ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD='" CRAFTBUNDLE_FAILING_WRITE
               "' '" CRAFTBUNDLE_PUBLISH "' '" +
               (directory_ / "source").string() + "' '" + target().string() + "' " +
               (replaces() ? "replace " : "keep ") + std::get<1>(GetParam()) + " 2>&1");
  }

  int counted_calls() const { return std::stoi(read_file(directory_ / "count")); }

  void expect_untouched() const {
    if (replaces()) {
      EXPECT_EQ(read_file(target()), "old");
    } else {
      EXPECT_FALSE(boost::filesystem::exists(target()));
    }
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : boost::filesystem::directory_iterator(directory_ / "out")) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  TemporaryDirectory directory_;
};

TEST_P(PublishFault, NothingIsLostWhicheverCallFails) {
  const Outcome sound = publish(0, 0);
  ASSERT_EQ(sound.status, 0) << sound.output;
  ASSERT_GT(boost::filesystem::file_size(target()), 5U << 20);
  ASSERT_THAT(names(), ElementsAre("target"));
  const int calls = counted_calls();
  ASSERT_GE(calls, 8);  // five writes or copies, two flushes, and what gives the file its name
  for (int call = 1; call <= calls; ++call) {
    SCOPED_TRACE("call " + std::to_string(call) + " of " + std::to_string(calls));
    const Outcome full = publish(call, ENOSPC);
    EXPECT_EQ(full.status, 1);
    EXPECT_THAT(full.output, StartsWith("io.enospc: " + directory_.path().string()));
    EXPECT_THAT(full.output, HasSubstr("No space left on device"));
    expect_untouched();
    EXPECT_EQ(names().size(), replaces() ? 1U : 0U);
  }
}

TEST_P(PublishFault, InterruptedCallsAreRepeated) {
  ASSERT_EQ(publish(0, 0).status, 0);
  const std::string expected = read_file(target());
  // After the file's own flush it is named (replacing takes three calls when it had no name), and
  // the directory is flushed. Naming is never interrupted.
  const bool three_calls = replaces() && std::get<1>(GetParam()) == std::string("unnamed");
  const int flush = counted_calls() - (three_calls ? 4 : 2);
  for (int call = 1; call <= flush; ++call) {
    SCOPED_TRACE("call " + std::to_string(call));
    const Outcome outcome = publish(call, EINTR);
    EXPECT_EQ(outcome.status, 0) << outcome.output;
    EXPECT_TRUE(read_file(target()) == expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, PublishFault,
                         ::testing::Combine(::testing::Bool(),
                                            ::testing::Values("unnamed", "hidden")),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param) ? "replace_" : "new_") +
                                  std::get<1>(test.param);
                         });

}  // namespace
}  // namespace craftbundle
