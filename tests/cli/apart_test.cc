// A plugin that takes the process down, as users meet it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "craftbundle/detail/checkpoint/package.h"
#include "support/program.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Program;
using testing::ProgramResult;
using ::testing::StartsWith;
using testing::TemporaryDirectory;
using testing::write_file;

class ApartTest : public ::testing::Test {
 protected:
  ApartTest() {
    fs::copy_file(Path(CRAFTBUNDLE_TEST_DATA) / "golden/data/encodec_train.th", root / "codec.th");
  }

  // A source that makes a function of the plugin end so.
  void source(const std::string& name, const std::string& function, const std::string& how) {
    OutputFile file(root.path(), Durability::no_sync);
    write_package(Value(Value::Dict{{"unruly", std::int64_t{50}}, {function, how}}), file, {});
    file.publish(root / name, true);
  }

  std::vector<std::string> command(const std::vector<std::string>& arguments) const {
    std::vector<std::string> words = {CRAFTBUNDLE_PROGRAM, "--plugin-dir",
                                      CRAFTBUNDLE_FIXTURES "/unruly"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
  }
  ProgramResult craftbundle(const std::vector<std::string>& arguments) const {
    return testing::run_program(command(arguments), root.path());
  }
  static std::string culprit(const std::string& what) {
    return fs::canonical(CRAFTBUNDLE_FIXTURES "/unruly/fixture_unruly.so").string() + ": " + what;
  }

  TemporaryDirectory root;
};

TEST_F(ApartTest, CrashOfPrepareIsAnError) {
  source("bad.th", "prepare", "crash");
  const ProgramResult result = craftbundle({"export", "bad.th", "-o", "out.bin"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.errors, HasSubstr("error: " + culprit("exporter 'unruly': prepare() crashed "
                                                           "with signal SIGSEGV [plugin.crash]")));
  EXPECT_FALSE(fs::exists(root / "out.bin"));
}

TEST_F(ApartTest, ExitOfProbeIsNoSuccess) {
  source("bad.th", "probe", "exit");
  const ProgramResult result = craftbundle({"export", "bad.th", "-o", "out.bin"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.errors,
              AllOf(HasSubstr(culprit("exporter 'unruly': probe() ended the process, with exit "
                                      "status 0")),
                    HasSubstr("[exporter.none]")));
}

TEST_F(ApartTest, OtherStagesGoOn) {
  source("bad.th", "prepare", "exit");
  write_file(root / "run.yaml",
             "version: 1\n"
             "stages:\n"
             "  bad: {export: bad.th, to: bad.bin}\n"
             "  good: {export: codec.th, to: good.bin}\n"
             "  after: {checksum: good, to: SUMS}\n");
  const ProgramResult result =
      craftbundle({"run", "run.yaml", "-j", "2", "--keep-going", "--json"});
  ASSERT_EQ(result.exit_code, 1) << result.errors;
  const json report = json::parse(result.output);
  std::map<std::string, std::string> states;
  for (const json& stage : report["stages"]) states[stage["name"]] = stage["state"];
  EXPECT_EQ(states, (std::map<std::string, std::string>{
                        {"bad", "failed"}, {"good", "done"}, {"after", "done"}}));
  EXPECT_THAT(result.errors + result.output, HasSubstr("prepare() ended the process"));
}

TEST_F(ApartTest, TimeoutsReachALoop) {
  source("bad.th", "prepare", "loop");
  write_file(root / "run.yaml",
             "version: 1\nstages:\n  bad: {export: bad.th, to: bad.bin, timeout: 1s}\n");
  const auto begin = std::chrono::steady_clock::now();
  const ProgramResult result = craftbundle({"run", "run.yaml"});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.errors + result.output, HasSubstr("took longer than 1 s"));
}

TEST_F(ApartTest, TheFirstSignalEndsALoop) {
  source("bad.th", "prepare", "loop");
  for (const int signal : {SIGINT, SIGTERM}) {
    Program program(command({"export", "bad.th", "-o", "out.bin"}), root.path());
    std::this_thread::sleep_for(1s);
    program.kill(signal);
    const ProgramResult result = program.wait();
    EXPECT_EQ(result.exit_code, signal == SIGINT ? 130 : -1);
    EXPECT_EQ(result.signal, signal == SIGINT ? 0 : SIGTERM);
  }
}

// Stages and codecs run in the program itself.
TEST_F(ApartTest, ACrashOfAStageNamesIt) {
  for (const auto& [how, words] : std::map<std::string, std::string>{
           {"crash", "run() crashed with signal SIGSEGV [plugin.crash]"},
           {"abort", "run() crashed with signal SIGABRT [plugin.crash]"},
           {"exit", "run() ended the process [plugin.exit]"},
           {"quick exit", "run() ended the process [plugin.exit]"}}) {
    write_file(root / "run.yaml",
               "version: 1\nstages:\n  bad: {unruly: codec.th, options: {how: " + how + "}}\n");
    const ProgramResult result = craftbundle({"run", "run.yaml"});
    EXPECT_NE(result.exit_code, 0) << how;
    EXPECT_TRUE(result.exit_code == 1 || words.find("crashed") != words.npos) << how;
    EXPECT_THAT(result.errors, HasSubstr("error: " + culprit("stage 'unruly': " + words) + "\n"))
        << how;
    if (how == "abort") continue;  // its last words are no JSON
    const ProgramResult in_json = craftbundle({"--log-format", "json", "run", "run.yaml"});
    bool found = false;
    std::istringstream lines(in_json.errors);
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("{")) continue;
      const json event = json::parse(line);
      if (event["event"] != "error") continue;
      found = event["message"].get<std::string>().starts_with(culprit("stage 'unruly': run() "));
    }
    EXPECT_TRUE(found) << in_json.errors;
  }
}

TEST_F(ApartTest, BundlesOfAnExporterThatIsNotInstalled) {
  fs::copy_file(Path(CRAFTBUNDLE_TEST_DATA) / "golden/data/musicgen_train.th", root / "lm.th");
  source("own.th", "prepare", "nothing");
  const ProgramResult made = craftbundle(
      {"bundle", "--lm", "lm.th", "--compression", "own.th", "-o", "model", "--allow-mismatch"});
  ASSERT_EQ(made.exit_code, 0) << made.errors;
  // No loader is known to take that codec.
  EXPECT_THAT(made.output, Not(HasSubstr("MusicGen")));
  for (const std::string command : {"verify", "inspect"}) {
    const ProgramResult result =
        testing::run_program({CRAFTBUNDLE_PROGRAM, command, "model"}, root.path());
    EXPECT_EQ(result.exit_code, 4) << command << result.errors;
    EXPECT_THAT(result.output,
                AllOf(HasSubstr("was made by exporter 'unruly' of a plugin of version 1.0.0, which "
                                "is not installed, and no other understands it"),
                      HasSubstr("MusicGen")))
        << command << result.errors;
  }
  const ProgramResult verified =
      testing::run_program({CRAFTBUNDLE_PROGRAM, "verify", "model"}, root.path());
  EXPECT_THAT(verified.output, HasSubstr("36 tensors of best_state have the names and shapes"));
}

class PluginsCheck : public ApartTest {
 protected:
  // The checks by name, of a command that ends so.
  std::map<std::string, json> checks(const std::string& library, std::vector<std::string> sources,
                                     int exit_code) {
    std::vector<std::string> words = {CRAFTBUNDLE_PROGRAM, "plugins", "check", "--json",
                                      std::string(CRAFTBUNDLE_FIXTURES) + "/" + library};
    words.insert(words.end(), sources.begin(), sources.end());
    const ProgramResult result = testing::run_program(words, root.path());
    EXPECT_EQ(result.exit_code, exit_code) << result.errors << result.output;
    report = json::parse(result.output);
    std::map<std::string, json> found;
    for (const json& check : report["checks"]) found[check["name"]] = check;
    return found;
  }
  json report;
};

TEST_F(PluginsCheck, SaysWhereAndWithWhatItFailed) {
  source("bad.th", "probe", "crash");
  auto found = checks("unruly/fixture_unruly.so", {"bad.th"}, 4);
  EXPECT_EQ(report["passed"], false);
  EXPECT_EQ(found["probe"]["state"], "failed");
  EXPECT_THAT(found["probe"]["detail"], HasSubstr("crashed with signal SIGSEGV"));
  EXPECT_EQ(found["probe"]["during"],
            "exporter 'unruly': probe() of '" + (root / "bad.th").string() + "'");
  EXPECT_EQ(found["probe"]["kept"], json());
  EXPECT_EQ(found["prepare"]["state"], "ok");
  const ProgramResult text =
      testing::run_program({CRAFTBUNDLE_PROGRAM, "plugins", "check",
                            CRAFTBUNDLE_FIXTURES "/unruly/fixture_unruly.so", "bad.th"},
                           root.path());
  EXPECT_EQ(text.exit_code, 4);
  EXPECT_THAT(text.output, AllOf(HasSubstr("FAILED   probe: "),
                                 HasSubstr("\n         in exporter 'unruly': probe() of '"),
                                 HasSubstr("the plugin breaks the contract\n")));
}

TEST_F(PluginsCheck, KeepsTheInputThatItMadeUp) {
  auto found = checks("careless/fixture_careless.so", {}, 4);
  const Path kept = found["probe"]["kept"].get<std::string>();
  EXPECT_TRUE(fs::is_directory(kept)) << kept;
  EXPECT_THAT(found["probe"]["holds"], HasSubstr("'config.json'"));
  fs::remove_all(kept.parent_path());
}

TEST_F(PluginsCheck, FindsOutput) {
  source("loud.th", "prepare", "print");
  auto found = checks("unruly/fixture_unruly.so", {"loud.th"}, 4);
  EXPECT_EQ(found["prepare"]["state"], "ok");
  EXPECT_EQ(found["quiet"]["state"], "failed");
  EXPECT_THAT(found["quiet"]["detail"], HasSubstr("printed where it must not"));
}

TEST_F(PluginsCheck, SaysWhatItDidNotCheck) {
  auto found = checks("directories/fixture_directories.so", {}, 0);
  EXPECT_EQ(report["passed"], true);
  EXPECT_EQ(report["complete"], false);
  EXPECT_EQ(found["prepare"]["state"], "not all");
  EXPECT_EQ(found["prepare"]["not_checked"].size(), 1u);
  EXPECT_THAT(found["prepare"]["not_checked"][0],
              AllOf(StartsWith("exporter 'chime' has made no component"),
                    HasSubstr("give a source that it takes")));
  checks("directories/fixture_directories.so", {"--strict"}, 4);
  const ProgramResult missing = testing::run_program(
      {CRAFTBUNDLE_PROGRAM, "plugins", "check", "x.so", "nowhere.th"}, root.path());
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_THAT(missing.errors, HasSubstr("'nowhere.th' is not there"));
}

}  // namespace
}  // namespace craftbundle
