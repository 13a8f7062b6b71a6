// What a terminal is shown of an untrusted file, and what a pipe gets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "support/program.h"

namespace craftbundle {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::TemporaryDirectory;

constexpr const char* kProgram = CRAFTBUNDLE_PROGRAM_DIRECTORY "/craftbundle";
// Turns around what a terminal shows after it; YAML allows it.
constexpr const char* kHidden = "\xE2\x80\xAE";
constexpr const char* kShown = "\\u{202E}";

// What the program writes when a terminal is its output and error output.
std::string on_a_terminal(const std::vector<std::string>& arguments) {
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) {
    std::vector<char*> words = {const_cast<char*>(kProgram)};
    for (const std::string& argument : arguments)
      words.push_back(const_cast<char*>(argument.c_str()));
    words.push_back(nullptr);
    ::execv(kProgram, words.data());
    ::_exit(127);
  }
  std::string shown;
  std::array<char, 4096> buffer{};
  // A terminal whose other side is gone is an error to read from.
  for (ssize_t count = 0; (count = ::read(terminal, buffer.data(), buffer.size())) > 0;) {
    shown.append(buffer.data(), static_cast<std::size_t>(count));
  }
  ::close(terminal);
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 127);
  return shown;
}

// An exported file whose configuration has the hidden character.
class Terminal : public ::testing::Test {
 protected:
  Terminal() {
    const auto source =
        Checkpoint::open(Path(CRAFTBUNDLE_TEST_DATA) / "golden/data/encodec_exported.bin");
    Value::Dict root = *to_value(source->root(), *source, "").get_if<Value::Dict>();
    for (auto& [key, value] : root) {
      if (key == "xp.cfg") value = *value.get_if<std::string>() + "note: " + kHidden + "x\n";
    }
    OutputFile output(directory_.path(), Durability::no_sync);
    write_package(Value(root), output, {});
    output.publish(file(), false);
  }
  Path file() const { return directory_ / "x.bin"; }

 private:
  const TemporaryDirectory directory_;
};

TEST_F(Terminal, GetsAConfigurationEscaped) {
  const std::string shown = on_a_terminal({"inspect", "--config", file().string()});
  EXPECT_THAT(shown, HasSubstr(std::string("note: ") + kShown + "x\r\n"));
  EXPECT_THAT(shown, Not(HasSubstr(kHidden)));
}

TEST_F(Terminal, GetsItAsItIsWhenAskedFor) {
  EXPECT_THAT(on_a_terminal({"inspect", "--config", "--raw", file().string()}), HasSubstr(kHidden));
}

TEST_F(Terminal, APipeGetsEveryByte) {
  const testing::ProgramResult result = testing::run_program(
      {kProgram, "inspect", "--config", file().string()}, file().parent_path());
  EXPECT_THAT(result.output, HasSubstr(std::string("note: ") + kHidden + "x\n"));
}

TEST_F(Terminal, GetsErrorsEscaped) {
  const std::string shown = on_a_terminal({"inspect", std::string("./no\x1b[2J") + kHidden});
  EXPECT_THAT(shown, Not(HasSubstr("\x1b[2J")));
  EXPECT_THAT(shown, Not(HasSubstr(kHidden)));
}

}  // namespace
}  // namespace craftbundle
