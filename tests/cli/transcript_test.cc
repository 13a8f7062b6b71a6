// Runs the commands of tests/cli/transcripts/*.txt and compares what they say, character for
// character.
//
//   % <shell command>   prepares something; must succeed
//   $ <shell command>   is under test; its standard output follows, then, when there is any, a line
//                       "--- errors" and its standard error, then "--- exit <code>"
//   # <text>            a comment; "# needs codecs" in the first line: LibTorch must be there
//
// Every transcript runs in an empty directory with `data` and `errors` (golden checkpoints),
// `broken` (damaged ones) and `scripts` (faulty run scripts) in it. $DIR stands for that directory
// and $PLUGINS for the plugins of the build. With CRAFTBUNDLE_UPDATE_TRANSCRIPTS=1 in the
// environment the files are rewritten: look at the difference before you commit it.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <cstdlib>
#include <sstream>
#include <string_view>

#include "support/program.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

constexpr std::string_view kNeedsCodecs = "# needs codecs";

Path transcripts() { return Path(CRAFTBUNDLE_TEST_DATA) / "cli/transcripts"; }

void replace_all(std::string& text, const std::string& what, const std::string& by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at)) {
    text.replace(at, what.size(), by);
    at += by.size();
  }
}

class Stage {
 public:
  Stage() {
    fs::create_directory_symlink(Path(CRAFTBUNDLE_TEST_DATA) / "golden/data", directory_ / "data");
    fs::create_directory_symlink(Path(CRAFTBUNDLE_TEST_DATA) / "cli/data", directory_ / "broken");
    fs::create_directory_symlink(Path(CRAFTBUNDLE_TEST_DATA) / "cli/scripts",
                                 directory_ / "scripts");
    fs::create_directory_symlink(Path(CRAFTBUNDLE_TEST_DATA) / "golden/errors",
                                 directory_ / "errors");
  }

  void prepare(const std::string& command) const {
    const auto result = run(command);
    if (result.exit_code != 0) throw std::runtime_error(command + " failed: " + result.errors);
  }

  // What the command did, as a transcript says it.
  std::string play(const std::string& command) const {
    const auto result = run(command);
    std::string text = result.output;
    if (!result.errors.empty()) text += "--- errors\n" + result.errors;
    text += "--- exit " +
            (result.signal ? "by signal " + std::to_string(result.signal)
                           : std::to_string(result.exit_code)) +
            "\n";
    replace_all(text, CRAFTBUNDLE_PLUGINS, "$PLUGINS");
    replace_all(text, directory_.path().string(), "$DIR");
    return text;
  }

 private:
  testing::ProgramResult run(const std::string& command) const {
    const std::string path = std::string(CRAFTBUNDLE_PROGRAM_DIRECTORY) + ":/usr/bin:/bin";
    return testing::run_program({"/bin/sh", "-c", command}, directory_.path(),
                                {{"PATH", path}, {"HOME", directory_.path().string()}});
  }

  TemporaryDirectory directory_;
};

// The transcript as it reads when its commands are run now.
std::string replay(const std::string& transcript) {
  const Stage stage;
  std::string replayed;
  std::istringstream lines(transcript);
  // Everything before the first command is kept; output of commands is replaced.
  bool in_output = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("$ ")) {
      replayed += line + "\n" + stage.play(line.substr(2));
      in_output = true;
    } else if (line.starts_with("% ") || !in_output) {
      if (line.starts_with("% ")) stage.prepare(line.substr(2));
      replayed += line + "\n";
    } else if (line.starts_with("--- exit")) {
      in_output = false;
    }
  }
  return replayed;
}

class Transcript : public ::testing::TestWithParam<std::string> {};

TEST_P(Transcript, ReadsAsWritten) {
  const Path file = transcripts() / (GetParam() + ".txt");
  const std::string written = read_file(file);
  ASSERT_NE(written.find("\n$ "), std::string::npos) << file.string() << " holds no command";
  if (written.starts_with(kNeedsCodecs) && !fs::exists(Path(CRAFTBUNDLE_PLUGINS) / "codecs.so")) {
    GTEST_SKIP() << "built without LibTorch";
  }
  const std::string replayed = replay(written);
  if (std::getenv("CRAFTBUNDLE_UPDATE_TRANSCRIPTS")) {
    write_file(file, replayed);
  } else {
    EXPECT_EQ(replayed, written);
  }
}

std::vector<std::string> transcript_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(transcripts())) {
    names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, Transcript, ::testing::ValuesIn(transcript_names()),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace craftbundle
