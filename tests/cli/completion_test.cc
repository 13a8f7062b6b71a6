// What completes a word, asked of the program and by the shells, and the manual page.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>
#include <sstream>

#include "support/program.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using testing::TemporaryDirectory;

constexpr const char* kProgram = CRAFTBUNDLE_PROGRAM_DIRECTORY "/craftbundle";

// What completes the last of `words`: first the kind of other candidates, then the values.
class Completion : public ::testing::Test {
 protected:
  std::vector<std::string> complete(std::vector<std::string> words) const {
    std::vector<std::string> command = {kProgram, "complete-words"};
    command.insert(command.end(), words.begin(), words.end());
    const testing::ProgramResult result = testing::run_program(command, directory_.path());
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_EQ(result.errors, "");
    return values(result.output);
  }
  static std::vector<std::string> values(const std::string& output) {
    std::vector<std::string> found;
    std::istringstream lines(output);
    for (std::string line; std::getline(lines, line);) {
      found.push_back(line.substr(0, line.find('\t')));
    }
    return found;
  }
  // A shell that has read the script of its kind; nullopt where the shell is missing.
  std::optional<std::vector<std::string>> shell(const std::string& name,
                                                const std::string& text) const {
    const Path path = "/usr/bin/" + name;
    if (!fs::exists(path)) return std::nullopt;
    const auto script = testing::run_program({kProgram, "completion", name}, directory_.path());
    EXPECT_EQ(script.exit_code, 0);
    testing::write_file(directory_ / "script", script.output);
    testing::write_file(directory_ / "test", text);
    const auto result = testing::run_program(
        {path.string(), (directory_ / "test").string()}, directory_.path(),
        {{"PATH", std::string(CRAFTBUNDLE_PROGRAM_DIRECTORY) + ":/usr/bin:/bin"}});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    EXPECT_EQ(result.errors, "");
    return values(result.output);
  }

  TemporaryDirectory directory_;
};

TEST_F(Completion, KnowsCommandsAndOptions) {
  EXPECT_THAT(complete({"ex"}), ElementsAre("words", "export", "explain"));
  EXPECT_THAT(complete({"plugins", ""}), IsSupersetOf({"list", "info", "dirs"}));
  EXPECT_THAT(complete({"help", "plugins", "d"}), ElementsAre("words", "dirs"));
  EXPECT_THAT(complete({"export", "--dty"}), ElementsAre("words", "--dtype", "--dtype-of"));
  // Those of the program are taken behind a command too.
  EXPECT_THAT(complete({"export", "--log"}), ElementsAre("words", "--log-format"));
  EXPECT_THAT(complete({"-q", "export", "x.th", "--stat"}), ElementsAre("words", "--state"));
}

TEST_F(Completion, KnowsValues) {
  EXPECT_THAT(complete({"export", "--state", ""}), ElementsAre("words", "best", "ema", "last"));
  EXPECT_THAT(complete({"export", "--state=b"}), ElementsAre("words", "--state=best"));
  // As bash takes it apart.
  EXPECT_THAT(complete({"export", "--state", "=", "b"}), ElementsAre("words", "best"));
  EXPECT_THAT(complete({"export", "--state", "="}), ElementsAre("words", "best", "ema", "last"));
  EXPECT_THAT(complete({"export", "--exporter", "enc"}), ElementsAre("words", "encodec"));
  EXPECT_THAT(complete({"bundle", "--lm-exporter", "lang"}),
              ElementsAre("words", "language_model"));
  EXPECT_THAT(complete({"bundle", "--layout", ""}), IsSupersetOf({"audiocraft", "safetensors"}));
  EXPECT_THAT(complete({"bundle", "--layout", "audiocraft+safe"}),
              ElementsAre("words", "audiocraft+safetensors"));
  EXPECT_THAT(complete({"plugins", "info", "safe"}), Contains("safetensors"));
  EXPECT_THAT(complete({"run", "--emit", "s"}), ElementsAre("words", "slurm"));
}

TEST_F(Completion, KnowsOptionsOfExportersAndTheirChoices) {
  EXPECT_THAT(complete({"export", "--exporter", "encodec", "-O", "st"}),
              ElementsAre("words", "state="));
  EXPECT_THAT(complete({"export", "-O", "state=b"}), ElementsAre("words", "state=best"));
  EXPECT_THAT(complete({"export", "-O", "dtype=bf"}), ElementsAre("words", "dtype=bfloat16"));
  EXPECT_THAT(complete({"run", "--set", ""}), ElementsAre("words"));
}

TEST_F(Completion, LeavesPathsToTheShell) {
  EXPECT_THAT(complete({"export", "x"}), ElementsAre("files"));
  EXPECT_THAT(complete({"export", "-o", ""}), ElementsAre("files"));
  EXPECT_THAT(complete({"export", "--xps", ""}), ElementsAre("directories"));
  EXPECT_THAT(complete({"bundle", "--compression", "facebook/"}),
              AllOf(Contains("files"), Contains("facebook/encodec_32khz")));
}

TEST_F(Completion, KnowsTheStagesOfAScript) {
  testing::write_file(directory_ / "run.yaml", R"(version: 1
stages:
  lm-${size}:
    matrix: {size: [small, large]}
    command: [true]
  check: {command: [true], needs: lm-*}
)");
  EXPECT_THAT(complete({"run", "run.yaml", "--only", ""}),
              ElementsAre("words", "lm-small", "lm-large", "check"));
  EXPECT_THAT(complete({"explain", "run.yaml", "lm-l"}), ElementsAre("words", "lm-large"));
  // Nothing is said of a script that is not there.
  const auto result = testing::run_program({kProgram, "complete-words", "explain", "no.yaml", ""},
                                           directory_.path());
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.output + result.errors, "");
}

TEST_F(Completion, WorksInBash) {
  testing::write_file(directory_ / "a.th", "");
  const auto found = shell("bash", R"(source ./script
compopt() { :; }  # there is no line to complete
ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _craftbundle; printf '%s\n' "${COMPREPLY[@]}" .; }
ask craftbundle export --layout = safe
ask craftbundle export a
ask craftbundle verify --check ''
)");
  if (!found) GTEST_SKIP() << "there is no bash";
  EXPECT_THAT(*found, ElementsAre("safetensors", ".", "a.th", ".", "crc", "structure", "."));
}

TEST_F(Completion, WorksInZsh) {
  const auto found = shell("zsh", R"(
compdef() { }
source ./script
compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -l -- "$@" }
_files() { print -- "files $*" }
compset() { }
ask() { words=("$@"); CURRENT=$#; _craftbundle; print . }
ask craftbundle export --layout safe
ask craftbundle export --xps ''
ask craftbundle export --state=b
ask craftbundle export x
)");
  if (!found) GTEST_SKIP() << "there is no zsh";
  EXPECT_THAT(*found,
              ElementsAre("safetensors", ".", "files -/", ".", "--state=best", ".", "files ", "."));
}

TEST_F(Completion, WorksInFish) {
  testing::write_file(directory_ / "a.th", "");
  const auto found = shell("fish", R"(source ./script
complete -C 'craftbundle export --layout safe'
complete -C 'craftbundle verify --check '
complete -C 'craftbundle export a'
complete -C 'craftbundle export --state=b'
)");
  if (!found) GTEST_SKIP() << "there is no fish";
  EXPECT_THAT(*found, ElementsAre("safetensors", "crc", "structure", "a.th", "--state=best"));
}

TEST_F(Completion, TheManualPageIsReadByMan) {
  const auto page = testing::run_program({kProgram, "help", "--man"}, directory_.path());
  EXPECT_THAT(page.output, HasSubstr(".SS craftbundle export SOURCE \\-o PATH [OPTIONS]"));
  EXPECT_THAT(page.output, HasSubstr("Exit codes"));
  if (!fs::exists("/usr/bin/man") || !fs::exists("/usr/bin/groff"))
    GTEST_SKIP() << "there is no man";
  testing::write_file(directory_ / "craftbundle.1", page.output);
  const auto shown =
      testing::run_program({"/usr/bin/man", "--warnings=w", "-P", "cat", "-l", "craftbundle.1"},
                           directory_.path(), {{"MANWIDTH", "100"}});
  EXPECT_EQ(shown.exit_code, 0);
  EXPECT_EQ(shown.errors, "");
  EXPECT_THAT(shown.output, HasSubstr("plugins list"));
}

}  // namespace
}  // namespace craftbundle
