// In little memory, whatever the limit, a command does what it was asked for or ends with exit code
// 1 and says why; it is never ended by a signal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "support/program.h"

namespace craftbundle {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using testing::ProgramResult;
using testing::run_program;
using testing::TemporaryDirectory;

constexpr std::uint64_t kMegabyte = 1 << 20;
constexpr std::uint64_t kPlenty = std::uint64_t{16} << 30;

Path golden(const std::string& name) { return Path(CRAFTBUNDLE_TEST_DATA) / "golden/data" / name; }

class LittleMemory : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "sanitizers need address space of their own";
#endif
  }

  ProgramResult run(std::uint64_t limit, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"prlimit", "--core=0", "--as=" + std::to_string(limit), CRAFTBUNDLE_PROGRAM});
    return run_program(arguments, root.path());
  }

  // The least limit, to a megabyte, at which the command does what it is asked for.
  std::uint64_t enough_for(const std::vector<std::string>& arguments) {
    std::uint64_t too_little = 0;
    std::uint64_t enough = kPlenty;
    EXPECT_EQ(run(enough, arguments).exit_code, 0);
    while (enough - too_little > kMegabyte) {
      const std::uint64_t middle = (too_little + enough) / 2;
      (run(middle, arguments).exit_code == 0 ? enough : too_little) = middle;
    }
    return enough;
  }

  void try_limits(std::uint64_t from, std::uint64_t to, std::uint64_t step,
                  const std::vector<std::string>& arguments) {
    for (std::uint64_t limit = from; limit <= to; limit += step) {
      SCOPED_TRACE(arguments.front() + " in " + std::to_string(limit / 1024) + " KiB");
      const ProgramResult result = run(limit, arguments);
      EXPECT_EQ(result.signal, 0) << result.errors;
      EXPECT_THAT(result.exit_code, AnyOf(0, 1)) << result.errors;
      if (result.exit_code == 0) continue;
      EXPECT_THAT(result.errors, AnyOf(HasSubstr("[run.memory]"), HasSubstr("[run.threads]"),
                                       HasSubstr("[io.enomem]"), HasSubstr("out of memory"),
                                       HasSubstr("Thread creation failed")));  // libgomp's own word
    }
  }

  TemporaryDirectory root;
};

TEST_F(LittleMemory, CommandsSayWhatIsMissing) {
  const std::string source = golden("encodec_train.th").string();
  testing::write_file(root / "run.yaml", "version: 1\nstages:\n  codec: {export: " + source +
                                             ", to: codec.bin}\n"
                                             "  model: {bundle: {compression: codec}, to: model}\n"
                                             "  check: {verify: model}\n");
  ASSERT_EQ(
      run(kPlenty, {"bundle", "--component", "compression=" + source, "-o", "ready"}).exit_code, 0);
  // Below this the dynamic linker has the word.
  const std::uint64_t begin = enough_for({"--version"});
  const std::vector<std::vector<std::string>> commands = {
      {"export", source, "-o", "out.bin", "--force"},
      {"bundle", "--component", "compression=" + source, "-o", "out", "--force"},
      {"inspect", "ready"},
      {"verify", "ready"},
      {"run", "run.yaml", "--rerun", "--jobs", "4"},
  };
  for (const std::vector<std::string>& command : commands) {
    try_limits(begin + kMegabyte, begin + 25 * kMegabyte, 2 * kMegabyte, command);
  }
}

#ifdef CRAFTBUNDLE_CODECS
class CodecInLittleMemory : public LittleMemory,
                            public ::testing::WithParamInterface<const char*> {};

TEST_P(CodecInLittleMemory, SaysWhatIsMissing) {
  const std::string source = golden(GetParam()).string();
  ASSERT_EQ(
      run(kPlenty, {"bundle", "--component", "compression=" + source, "-o", "ready"}).exit_code, 0);
  const std::vector<std::string> command = {"verify", "ready", "--run", "--seconds", "1"};
  // In what is missing here LibTorch is mapped, compiles and computes.
  const std::uint64_t enough = enough_for(command);
  try_limits(enough - 320 * kMegabyte, enough + 16 * kMegabyte, 16 * kMegabyte, command);
}

INSTANTIATE_TEST_SUITE_P(All, CodecInLittleMemory,
                         ::testing::Values("encodec_exported.bin", "dac_weights.pth"),
                         [](const auto& param) {
                           const std::string name = param.param;
                           return name.substr(0, name.find('_'));
                         });
#endif

}  // namespace
}  // namespace craftbundle
