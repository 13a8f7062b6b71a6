// What a terminal is shown of an untrusted file, and what a pipe gets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <sstream>

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
std::string on_a_terminal(const std::vector<std::string>& arguments,
                          const std::map<std::string, std::string>& environment = {},
                          unsigned short columns = 400) {
  int terminal = -1;
  winsize size{};
  size.ws_col = columns;
  size.ws_row = 50;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, &size);
  if (child == 0) {
    for (const char* variable : {"NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"}) ::unsetenv(variable);
    ::setenv("TERM", "xterm", 1);
    ::setenv("CRAFTBUNDLE_PLUGIN_PATH", CRAFTBUNDLE_PLUGINS, 1);
    for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
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

std::string golden(const std::string& name) {
  return (Path(CRAFTBUNDLE_TEST_DATA) / "golden/data" / name).string();
}

TEST(Colours, AreThereForThoseWhoLook) {
  const std::string shown = on_a_terminal({"verify", golden("encodec_exported.bin")});
  EXPECT_THAT(shown, HasSubstr("\x1b[32mok\x1b[0m"));
  EXPECT_THAT(shown, HasSubstr("\x1b[32mverified:\x1b[0m"));
  const std::string refused = on_a_terminal({"export", "./no.th", "-o", "x.bin"});
  EXPECT_THAT(refused, HasSubstr("\x1b[1;31merror:\x1b[0m './no.th'"));
  EXPECT_THAT(refused, HasSubstr("\x1b[2m[source.not_found]\x1b[0m"));
  EXPECT_THAT(on_a_terminal({"plugins", "list"}), HasSubstr("\x1b[1mexporter\x1b[0m"));
}

TEST(Colours, CanBeSwitchedOff) {
  using Variables = std::map<std::string, std::string>;
  for (const Variables& off :
       {Variables{{"NO_COLOR", "1"}}, Variables{{"CLICOLOR", "0"}}, Variables{{"TERM", "dumb"}},
        Variables{{"NO_COLOR", "1"}, {"CLICOLOR_FORCE", "1"}}}) {
    const std::string shown = on_a_terminal({"verify", golden("encodec_exported.bin")}, off);
    EXPECT_THAT(shown, HasSubstr("verified: "));
    EXPECT_THAT(shown, Not(HasSubstr("\x1b[3"))) << off.begin()->first;
    EXPECT_THAT(on_a_terminal({"export", "./no.th", "-o", "x.bin"}, off), Not(HasSubstr("\x1b[1")));
  }
  // An empty value does not count.
  EXPECT_THAT(on_a_terminal({"verify", golden("encodec_exported.bin")}, {{"NO_COLOR", ""}}),
              HasSubstr("\x1b[32m"));
}

TEST(Colours, GoIntoAPipeOnlyWhenForced) {
  const auto piped = [](const testing::Program::Environment& environment) {
    return testing::run_program({kProgram, "verify", golden("encodec_exported.bin")}, "/",
                                environment)
        .output;
  };
  EXPECT_THAT(piped({{"TERM", "xterm"}}), Not(HasSubstr("\x1b")));
  EXPECT_THAT(piped({{"CLICOLOR_FORCE", "1"}}), HasSubstr("\x1b[32mok\x1b[0m"));
}

TEST(Colours, NeverComeFromAFile) {
  // What marks a tone inside the program.
  const std::string mark =
      "./no\x01"
      "ax";
  EXPECT_THAT(on_a_terminal({"export", mark, "-o", "x.bin"}), HasSubstr("no\\x01ax"));
}

TEST(StandardOutput, TakesNoFileWhenItIsATerminal) {
  const std::string shown =
      on_a_terminal({"export", golden("encodec_train.th"), "-o", "-"}, {{"NO_COLOR", "1"}});
  EXPECT_THAT(shown, HasSubstr("error: standard output is a terminal [target.stdout]"));
  EXPECT_THAT(shown, HasSubstr("hint: name a file, or lead it into a program or file"));
}

TEST(DumbTerminal, IsNeverDrawnOver) {
  const TemporaryDirectory directory;
  testing::write_file(directory / "run.yaml", "version: 1\nstages:\n  e: {export: " +
                                                  golden("encodec_train.th") + ", to: e.bin}\n");
  const std::vector<std::string> run = {"run", (directory / "run.yaml").string(), "--rerun",
                                        "--force"};
  EXPECT_THAT(on_a_terminal(run, {{"TERM", "dumb"}}), Not(HasSubstr("\x1b")));
}

// Lines as a terminal shows them.
std::vector<std::string> lines_of(const std::string& shown) {
  std::vector<std::string> lines;
  std::istringstream in(shown);
  for (std::string line; std::getline(in, line);) {
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(line);
  }
  return lines;
}

TEST(Tables, FitTheTerminal) {
  const std::map<std::string, std::string> plain = {{"NO_COLOR", "1"}};
  for (const unsigned short columns : std::vector<unsigned short>{60, 80, 120}) {
    const std::string shown =
        on_a_terminal({"inspect", "--tensors", golden("encodec_train.th")}, plain, columns);
    for (const std::string& line : lines_of(shown)) {
      EXPECT_TRUE(!line.starts_with("  ") || line.size() <= columns) << line;
    }
    // Nothing is left out: names go on in the next line.
    EXPECT_THAT(shown, HasSubstr("weight_ih_"));
  }
  EXPECT_THAT(on_a_terminal({"inspect", "--tensors", golden("encodec_train.th")}, plain, 400),
              HasSubstr("  best_state.model.encoder.model.0.conv.conv.weight_g "));
}

}  // namespace
}  // namespace craftbundle
