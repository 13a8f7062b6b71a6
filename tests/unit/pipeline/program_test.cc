#include "craftbundle/detail/io/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using namespace std::chrono_literals;
using testing::expect_error;
using ::testing::HasSubstr;
using testing::read_file;
using testing::TemporaryDirectory;

class ProgramTest : public ::testing::Test {
 protected:
  ProgramEnd run(std::vector<std::string> arguments,
                 const Cancellation& cancellation = Cancellation::never()) {
    call.arguments = std::move(arguments);
    call.output = directory / "log";
    return run_program(call, cancellation);
  }
  std::string log() const { return read_file(directory / "log"); }

  TemporaryDirectory directory;
  ProgramCall call;
};

TEST_F(ProgramTest, ArgumentsAreNoShellText) {
  EXPECT_EQ(run({"printf", "%s|", "$HOME", "a b", "*;ls"}).exit_code, 0);
  EXPECT_EQ(log(), "$HOME|a b|*;ls|");
}

TEST_F(ProgramTest, EnvironmentDirectoryAndInput) {
  call.environment = {{"COLOUR", "red"}};
  call.directory = directory.path();
  EXPECT_EQ(run({"sh", "-c", "echo $COLOUR; pwd; cat; echo error >&2"}).exit_code, 0);
  EXPECT_EQ(log(), "red\n" + directory.path().string() + "\nerror\n");
}

TEST_F(ProgramTest, ExitCodesAndSignals) {
  EXPECT_EQ(run({"sh", "-c", "exit 7"}).exit_code, 7);
  EXPECT_EQ(run({"sh", "-c", "kill -9 $$"}).signal, 9);
}

TEST_F(ProgramTest, WhatIsMissingIsNamed) {
  expect_error(ErrorKind::usage, "program.not_found", "there is no program 'no-such-program'",
               [&] { run({"no-such-program"}); });
  call.directory = directory / "nowhere";
  expect_error(ErrorKind::system, "io.enoent", HasSubstr("starting 'true' in "),
               [&] { run({"true"}); });
}

TEST_F(ProgramTest, SignalsAreAsAFreshProgramExpects) {
  EXPECT_EQ(run({"sh", "-c", "kill -PIPE $$"}).signal, SIGPIPE);
}

TEST_F(ProgramTest, CancellationEndsTheWholeGroup) {
  Cancellation cancellation;
  std::thread later([&] {
    std::this_thread::sleep_for(100ms);
    cancellation.cancel();
  });
  expect_error(ErrorKind::interrupted, "run.interrupted", ::testing::_, [&] {
    run({"sh", "-c", "sleep 60 & echo $!; wait"}, cancellation);
  });
  later.join();
  const int grandchild = std::stoi(log());
  for (int i = 0; i < 500 && ::kill(grandchild, 0) == 0; ++i) std::this_thread::sleep_for(10ms);
  // A zombie that nobody reaped in this container counts as gone.
  const std::string status = "/proc/" + std::to_string(grandchild) + "/stat";
  std::string state;
  try {
    state = read_file(status);
  } catch (const std::exception&) {
  }
  EXPECT_TRUE(state.empty() || state.find(") Z") != std::string::npos) << state;
}

}  // namespace
}  // namespace craftbundle
