// craftbundle run as a whole: what runs again and what does not, kills, locks, other engines, and
// the scripts in examples/runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "support/program.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using testing::Program;
using testing::ProgramResult;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

using States = std::map<std::string, std::string>;

const Path kGolden = Path(CRAFTBUNDLE_TEST_DATA) / "golden/data";

class RunTest : public ::testing::Test {
 protected:
  RunTest() {
    const std::map<std::string, std::string> trainings = {
        {"77aa", "encodec_train.th"}, {"9f2c", "musicgen_train.th"}, {"3b1d", "musicgen_train.th"}};
    for (const auto& [signature, file] : trainings) {
      fs::create_directories(directory / "xps" / signature);
      fs::copy_file(kGolden / file, directory / "xps" / signature / "checkpoint.th");
    }
  }

  static std::vector<std::string> command(const std::vector<std::string>& arguments) {
    std::vector<std::string> words = {CRAFTBUNDLE_PROGRAM, "run", "run.yaml"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
  }

  ProgramResult run(const std::vector<std::string>& arguments = {}) const {
    return Program(command(arguments), directory.path()).wait();
  }

  // States by stage, of a run that ends with this exit code.
  States states(std::vector<std::string> arguments = {}, int exit_code = 0) {
    arguments.push_back("--json");
    const ProgramResult result = run(arguments);
    EXPECT_EQ(result.exit_code, exit_code) << result.errors;
    States states;
    report = json::parse(result.output);
    if (!report.contains("stages")) return states;
    for (const json& stage : report["stages"]) states[stage["name"]] = stage["state"];
    return states;
  }

  const json& stage(const std::string& name) const {
    for (const json& stage : report["stages"]) {
      if (stage["name"] == name) return stage;
    }
    throw std::runtime_error("no stage " + name);
  }

  void script(const std::string& text) const {
    write_file(directory / "run.yaml", "version: 1\n" + text);
  }

  // Every file below a directory with its contents.
  std::map<std::string, std::string> tree(const Path& root) const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(directory.path() / root)) {
      if (!fs::is_regular_file(entry.path())) continue;
      files[entry.path().lexically_relative(directory.path() / root).string()] =
          read_file(entry.path());
    }
    return files;
  }

  TemporaryDirectory directory;
  json report;
};

constexpr const char* kRelease = R"(
vars: {state: best, out: out}
stages:
  codec: {export: xps/77aa/checkpoint.th}
  lm: {export: xps/9f2c/checkpoint.th, state: "${state}"}
  bundle: {bundle: {lm: lm, compression: codec}, to: "${out}/model"}
  check: {verify: bundle}
  card: {card: bundle}
  sums: {checksum: bundle, to: "${out}/SHA256SUMS"}
  pack: {needs: check, archive: [bundle, sums], to: "${out}/all.tar"}
)";

TEST_F(RunTest, SecondTimeNothingRuns) {
  script(kRelease);
  for (const auto& [name, state] : states()) EXPECT_EQ(state, "done") << name;
  for (const auto& [name, state] : states()) EXPECT_EQ(state, "up to date") << name;
  const auto sums = testing::run_program({"sha256sum", "-c", "SHA256SUMS"}, directory / "out");
  EXPECT_EQ(sums.exit_code, 0) << sums.errors;
  EXPECT_THAT(sums.output, HasSubstr("model/README.md: OK"));
}

TEST_F(RunTest, TouchedAndCopiedInputsAreUnchanged) {
  script(kRelease);
  states();
  const Path checkpoint = directory / "xps/9f2c/checkpoint.th";
  fs::last_write_time(checkpoint, 1'000'000);
  fs::rename(checkpoint, directory / "old");
  fs::copy_file(directory / "old", checkpoint);
  fs::last_write_time(directory / "out/model/state_dict.bin", 5);
  for (const auto& [name, state] : states()) EXPECT_EQ(state, "up to date") << name;
}

TEST_F(RunTest, AChangedOptionRunsWhatDependsOnIt) {
  script(kRelease);
  states();
  const States again = states({"--set", "state=ema"});
  EXPECT_EQ(again.at("codec"), "up to date");
  EXPECT_EQ(again.at("lm"), "done");
  EXPECT_EQ(again.at("bundle"), "done");
  EXPECT_EQ(again.at("pack"), "done");
  EXPECT_THAT(stage("bundle")["reasons"][0], "option state of lm was 'best', is 'ema'");
}

TEST_F(RunTest, AChangedInputRunsWhatDependsOnIt) {
  script(kRelease);
  states();
  fs::copy_file(kGolden / "musicgen_fsdp_train.th", directory / "xps/9f2c/checkpoint.th",
                fs::copy_options::overwrite_existing);
  EXPECT_EQ(states().at("lm"), "done");
  EXPECT_EQ(stage("lm")["reasons"][0], "contents of source have changed");
  EXPECT_EQ(stage("codec")["state"], "up to date");
}

TEST_F(RunTest, CardsKeepWhatPeopleWrite) {
  script(kRelease);
  states();
  const Path card = directory / "out/model/README.md";
  const std::string made = read_file(card);
  write_file(card, made + "\n## Limits\n\nIt hums.\n");
  EXPECT_EQ(states()["card"], "done");
  EXPECT_THAT(read_file(card), HasSubstr("It hums."));
  // The bundle is replaced as a whole, and the card comes back.
  EXPECT_EQ(states({"--set", "state=ema"})["bundle"], "done");
  EXPECT_THAT(read_file(card), HasSubstr("It hums."));
  EXPECT_EQ(states({"--set", "state=ema"})["card"], "up to date");

  // One that is changed within its marks, or has none, stays, and everything else runs.
  write_file(card, "# My own\n");
  EXPECT_EQ(states()["card"], "done");
  EXPECT_EQ(read_file(card), "# My own\n");
  EXPECT_THAT(stage("card")["result"]["warnings"].dump(), HasSubstr("by hand"));
  EXPECT_EQ(stage("pack")["state"], "done");
  EXPECT_EQ(read_file(card), "# My own\n");
  states();
  EXPECT_EQ(read_file(card), "# My own\n");
}

TEST_F(RunTest, MissingOutputsAreMadeAgainAndNothingElse) {
  script(kRelease);
  states();
  fs::remove(directory / "out/model/README.md");
  fs::remove(directory / "out/all.tar");
  const States again = states();
  EXPECT_EQ(again.at("bundle"), "up to date");
  EXPECT_EQ(again.at("card"), "done");
  // The card is what it was, so the sums are too.
  EXPECT_EQ(again.at("sums"), "up to date");
  EXPECT_EQ(again.at("pack"), "done");
}

TEST_F(RunTest, ChangedOutputsAreNotOverwritten) {
  script(kRelease);
  states();
  std::string bytes = read_file(directory / "out/model/state_dict.bin");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(directory / "out/model/state_dict.bin", bytes);
  const ProgramResult refused = run();
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.errors, HasSubstr("which was changed since this script made it"));
  EXPECT_EQ(read_file(directory / "out/model/state_dict.bin"), bytes);
  EXPECT_EQ(states({"--force"}).at("bundle"), "done");
  for (const auto& [name, state] : states()) EXPECT_EQ(state, "up to date") << name;
}

TEST_F(RunTest, DamageFailsTheCheck) {
  script(kRelease + std::string("  again: {verify: out/model}\n"));
  states();
  script("stages: {check: {verify: out/model}}\n");
  std::string manifest = read_file(directory / "out/model/bundle.json");
  manifest.replace(manifest.find("\"sha256\": \"") + 11, 4, "0000");
  write_file(directory / "out/model/bundle.json", manifest);
  EXPECT_EQ(states({"--state-dir", "other"}, 4).at("check"), "failed");
  EXPECT_EQ(stage("check")["error"]["code"], "verify.failed");
  EXPECT_THAT(stage("check")["error"]["message"].get<std::string>(),
              HasSubstr("the manifest says 0000"));
}

TEST_F(RunTest, OnlyAndUntilChoose) {
  script(kRelease);
  EXPECT_EQ(run({"--only", "check"}).exit_code, 2);
  EXPECT_THAT(run({"--only", "check"}).errors, HasSubstr("has not made yet [run.input]"));
  const States until = states({"--until", "check"});
  EXPECT_EQ(until.at("check"), "done");
  EXPECT_EQ(until.at("card"), "left out");
  const States only = states({"--only", "check", "--rerun"});
  EXPECT_EQ(only.at("check"), "done");
  EXPECT_EQ(only.at("bundle"), "left out");
}

TEST_F(RunTest, DryRunDoesNothing) {
  script(kRelease);
  const ProgramResult result = run({"--dry-run"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, AllOf(HasSubstr("7 of 7 stages to run, "),
                                   HasSubstr(" to read and 440.6 KiB to write")));
  EXPECT_FALSE(fs::exists(directory / "out"));
  EXPECT_FALSE(fs::exists(directory / ".craftbundle"));
}

TEST_F(RunTest, FailuresAndKeepGoing) {
  script(R"(
stages:
  bad: {command: [sh, -c, "echo some words; exit 3"]}
  after: {needs: bad, command: ["true"]}
  other: {command: ["true"]}
)");
  States first = states({}, 1);
  EXPECT_EQ(first.at("bad"), "failed");
  EXPECT_EQ(first.at("other"), "not run");
  EXPECT_EQ(stage("bad")["error"]["message"], "'sh' ended with exit code 3\n    some words");
  first = states({"--keep-going"}, 1);
  EXPECT_EQ(first.at("after"), "blocked");
  EXPECT_EQ(first.at("other"), "done");
}

TEST_F(RunTest, AllowedFailuresRetriesAndTimeLimits) {
  script(R"(
stages:
  slow: {command: [sleep, "30"], timeout: 1s, allow_failure: true}
  flaky: {command: [sh, -c, "echo x >> tries; test $(wc -l < tries) -ge 2"], retries: 3}
  after: {needs: [slow, flaky], command: ["true"]}
)");
  const States first = states();
  EXPECT_EQ(first.at("slow"), "failed");
  EXPECT_EQ(stage("slow")["error"]["code"], "run.timeout");
  EXPECT_EQ(stage("flaky")["attempts"], 2);
  EXPECT_EQ(first.at("after"), "done");
}

TEST_F(RunTest, CommandsDeclareWhatTheyMake) {
  script(R"(
stages:
  make: {command: [sh, -c, "cat xps/77aa/checkpoint.th | wc -c > size"], inputs: xps/77aa/checkpoint.th, outputs: {size: size}}
  use: {command: [cp, "${stage:make,size}", copy], outputs: [copy]}
  lie: {needs: use, command: ["true"], outputs: [nowhere]}
)");
  EXPECT_EQ(states({}, 1).at("use"), "done");
  EXPECT_EQ(read_file(directory / "copy"), read_file(directory / "size"));
  EXPECT_EQ(stage("lie")["error"]["code"], "command.output");
  fs::remove(directory / "size");
  EXPECT_EQ(states({}, 1).at("make"), "done");
  EXPECT_EQ(stage("use")["state"], "up to date");
}

TEST_F(RunTest, SecretsAreKeptNowhere) {
  script(R"(
vars: {token: '${oc.env:CRAFTBUNDLE_TEST_TOKEN}', password: none}
stages:
  use:
    command: [/bin/sh, -c, 'test "$HF_TOKEN" = "$1" && test "$PASSWORD"', sh, '${token}']
    env: {HF_TOKEN: '${oc.env:CRAFTBUNDLE_TEST_TOKEN}', PASSWORD: '${password}'}
    secret: PASSWORD
  tell:
    needs: use
    command: [/bin/sh, -c, 'echo "the token is $HF_TOKEN"; exit 1']
    env: {HF_TOKEN: '${token}'}
)");
  std::string shown;
  std::string token = "first-token";
  const auto call = [&](std::vector<std::string> arguments) {
    const ProgramResult result =
        Program(std::move(arguments), directory.path(), {{"CRAFTBUNDLE_TEST_TOKEN", token}}).wait();
    shown += result.output + result.errors;
    return result;
  };
  const auto run_with = [&](const std::string& password, const std::string& format) {
    return call(command({"--set", "password=" + password, "--keep-going", format}));
  };
  run_with("first-password", "--json");
  EXPECT_EQ(fs::status(directory / ".craftbundle/run.yaml").permissions(), fs::owner_all);
  for (const auto& [name, text] : tree(".craftbundle")) {
    if (Path(name).extension() != ".json" || name.find("stages/") == std::string::npos) continue;
    EXPECT_EQ(fs::status(directory / ".craftbundle" / name).permissions(),
              fs::owner_read | fs::owner_write)
        << name;
  }
  // Nothing to do for what is as it was.
  run_with("first-password", "--json");
  EXPECT_THAT(shown, HasSubstr("nothing it depends on has changed"));
  EXPECT_THAT(shown, HasSubstr("the token is ***"));
  token = "second-token";
  const std::vector<std::string> set = {"--set", "password=second-password"};
  const ProgramResult why =
      call({CRAFTBUNDLE_PROGRAM, "explain", "run.yaml", "use", set[0], set[1]});
  EXPECT_THAT(why.output, HasSubstr("word 5 has changed"));
  EXPECT_THAT(why.output, HasSubstr("environment variable HF_TOKEN has changed"));
  EXPECT_THAT(why.output, HasSubstr("environment variable PASSWORD has changed"));
  call(command({set[0], set[1], "--dry-run"}));
  for (const char* engine : {"make", "ninja"}) call(command({"--emit", engine}));
  run_with("second-password", "-v");

  for (const auto& [name, text] : tree(".")) {
    // What programs print themselves.
    if (Path(name).extension() == ".log") continue;
    shown += text;
  }
  for (const char* secret : {"first-token", "second-token", "first-password", "second-password"}) {
    EXPECT_EQ(shown.find(secret), std::string::npos)
        << secret << " in ..." << shown.substr(shown.find(secret), 200);
  }
}

TEST_F(RunTest, TwoRunsOfAScriptDoNotMix) {
  script("stages: {wait: {command: [sh, -c, 'touch there; sleep 30']}}\n");
  Program first(command({}), directory.path());
  while (!fs::exists(directory / "there")) std::this_thread::sleep_for(5ms);
  const ProgramResult second = run();
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.errors, HasSubstr("another run of this script is going on"));
  EXPECT_THAT(second.errors, HasSubstr("[run.busy]"));
  first.kill(SIGINT);
  EXPECT_EQ(first.wait().exit_code, 130);
  EXPECT_EQ(run({"--dry-run"}).exit_code, 0);
}

TEST_F(RunTest, StagesOfPlugins) {
  const std::vector<std::string> with_plugin = {"--plugin-dir", CRAFTBUNDLE_FIXTURES};
  script(R"(
stages:
  sums: {checksum: xps/77aa/checkpoint.th, to: sums}
  twice: {join: [sums, sums], to: twice, options: {between: "-\n", times: "2"}}
  parts: {number: [twice, sums], to: parts}
  sound: {judge: parts/1, needs: parts}
)");
  for (const auto& [name, state] : states(with_plugin)) EXPECT_EQ(state, "done") << name;
  const std::string sums = read_file(directory / "sums");
  EXPECT_EQ(read_file(directory / "twice"), sums + "-\n" + sums + "-\n" + sums + "-\n" + sums);
  EXPECT_THAT(tree("parts"),
              ElementsAre(Pair("0", read_file(directory / "twice")), Pair("1", sums)));
  EXPECT_EQ(stage("twice")["result"]["summary"][0]["value"], "2");
  EXPECT_EQ(stage("twice")["result"]["warnings"], json::array({"a warning"}));
  EXPECT_EQ(stage("sound")["result"]["checks"], json::array({"no file is empty"}));
  for (const auto& [name, state] : states(with_plugin)) EXPECT_EQ(state, "up to date") << name;
  EXPECT_THAT(states({}, 2), IsEmpty());  // without the plugin these kinds are unknown
}

TEST_F(RunTest, StagesOfPluginsThatMisbehaveLeaveNothing) {
  const auto fails = [&](const std::string& how, const std::string& expected) {
    script("stages:\n  bad: {misbehave: run.yaml, to: out, options: {how: " + how + "}}\n");
    const ProgramResult result = run({"--plugin-dir", CRAFTBUNDLE_FIXTURES});
    EXPECT_EQ(result.exit_code, 1) << how;
    EXPECT_THAT(result.output + result.errors, HasSubstr(expected)) << how;
    EXPECT_FALSE(fs::exists(directory / "out")) << how;
  };
  fails("throw", "stage 'misbehave': bad day");
  fails("twice", "the stage creates 'first', its output is a directory, and this was created");
  fails("climb", "the stage creates '../first', its output is a directory");
  fails("unnamed", "the stage creates '', its output is a directory");
}

TEST_F(RunTest, OptionsOfPluginStagesAreChecked) {
  script("stages:\n  a: {join: run.yaml, to: b, options: {time: 2, times: 3}}\n");
  const ProgramResult result = run({"--plugin-dir", CRAFTBUNDLE_FIXTURES});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors,
              HasSubstr("run.yaml:3:40: the kind of stage 'join' has no option 'time'"));
  EXPECT_THAT(result.errors, HasSubstr("run.yaml:3:56: option 'times'"));
}

TEST_F(RunTest, InterruptedRunsSaySoAndGoOn) {
  script(
      "stages: {quick: {command: ['true']}, wait: {command: [sh, -c, 'touch there; sleep 30']}}\n");
  Program first(command({"--json"}), directory.path());
  while (!fs::exists(directory / "there")) std::this_thread::sleep_for(5ms);
  first.kill(SIGTERM);
  const ProgramResult result = first.wait();
  EXPECT_EQ(result.signal, SIGTERM) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("the run was interrupted [run.interrupted]"));
  const std::string page = read_file(directory / ".craftbundle/run.yaml/report.html");
  EXPECT_THAT(page, HasSubstr("interrupted"));
  script("stages: {quick: {command: ['true']}, wait: {command: ['true']}}\n");
  EXPECT_EQ(states().at("quick"), "up to date");
}

// Killed at 20 random moments and run again each time, a script ends with the bytes that a run
// without kills makes, nothing half done lies about, and what was finished is not done again.
TEST_F(RunTest, SurvivesKills) {
  script(R"(
stages:
  "lm-${n}": {matrix: {n: [1, 2, 3, 4, 5, 6]}, export: xps/9f2c/checkpoint.th, to: "out/lm-${n}.bin"}
  codec: {export: xps/77aa/checkpoint.th}
  "model-${n}": {matrix: {n: [1, 2, 3]}, bundle: {lm: "lm-${n}", compression: codec}, to: "out/model-${n}"}
  "card-${n}": {matrix: {n: [1, 2, 3]}, card: "model-${n}"}
  copy: {copy: model-1, to: out/copy}
  pack: {archive: ["model-*", "lm-*"], to: out/all.tar.gz}
)");
  states();
  const auto expected = tree("out");
  const auto clean = [&] {
    fs::remove_all(directory / "out");
    fs::remove_all(directory / ".craftbundle");
  };
  clean();
  const auto begin = std::chrono::steady_clock::now();
  run();
  const auto whole = std::chrono::steady_clock::now() - begin;
  std::mt19937 random(20);
  int killed = 0;
  for (int round = 0; round < 20; ++round) {
    clean();
    const double share = std::uniform_real_distribution<>(0.05, 1.0)(random);
    Program program(command({"-j", "2"}), directory.path());
    std::this_thread::sleep_for(share * whole);
    program.kill(SIGKILL);
    killed += program.wait().signal == SIGKILL ? 1 : 0;
    // Whoever has a record is done, and only that.
    std::vector<std::string> finished;
    const Path records = directory / ".craftbundle/run.yaml/stages";
    for (const auto& entry :
         fs::exists(records) ? fs::directory_iterator(records) : fs::directory_iterator()) {
      if (entry.path().extension() != ".json") continue;
      const json record = json::parse(read_file(entry.path()));
      if (record["state"] == "done") finished.push_back(record["stage"]);
    }
    const States resumed = states();
    EXPECT_EQ(resumed.size(), 15u);
    for (const auto& [name, state] : resumed) {
      EXPECT_TRUE(state == "done" || state == "up to date") << name << " " << state;
    }
    for (const std::string& name : finished) EXPECT_EQ(resumed.at(name), "up to date") << name;
    EXPECT_EQ(tree("out"), expected) << "round " << round;
    for (const auto& entry : fs::directory_iterator(directory / "out")) {
      EXPECT_FALSE(entry.path().filename().string().starts_with(".")) << entry.path();
    }
  }
  EXPECT_GT(killed, 0);
}

// Killed after the directory appeared and before its lock went: the stage is done, so nobody will
// write there again.
TEST_F(RunTest, RemovesTheLockOfAStageThatWasKilledWhenItWasDone) {
  fs::create_directory(directory / "in");
  write_file(directory / "in/file", "x");
  script("stages: {copied: {copy: in, to: out}}\n");
  EXPECT_EQ(states(), (States{{"copied", "done"}}));
  const Path record = directory / ".craftbundle/run.yaml/stages/copied.json";
  json started = json::parse(read_file(record));
  started["state"] = "started";
  started["files"] = json::array();
  write_file(record, started.dump());
  write_file(directory / ".out.craftbundle-lock", "");
  EXPECT_EQ(states(), (States{{"copied", "up to date"}}));
  EXPECT_FALSE(fs::exists(directory / ".out.craftbundle-lock"));
  EXPECT_EQ(read_file(directory / "out/file"), "x");
}

TEST_F(RunTest, ThreeHundredStagesPlanAndRun) {
  std::string sizes;
  for (int i = 0; i < 300; ++i) sizes += (i > 0 ? ", " : "") + std::to_string(i);
  script("stages:\n  \"s-${n}\": {matrix: {n: [" + sizes +
         "]}, copy: run.yaml, to: \"out/${n}\"}\n");
  EXPECT_EQ(json::parse(run({"--dry-run", "--json"}).output)["stages"].size(), 300u);
  EXPECT_EQ(states({"-j", "4"}).size(), 300u);
}

TEST_F(RunTest, MakeRunsTheStages) {
  if (!fs::exists("/usr/bin/make")) GTEST_SKIP() << "there is no make";
  script(kRelease);
  write_file(directory / "run.mk", run({"--emit", "make"}).output);
  const auto made = testing::run_program({"make", "-f", "run.mk", "-j", "2"}, directory.path());
  EXPECT_EQ(made.exit_code, 0) << made.errors;
  // The last stage knows of all.
  const json left = json::parse(read_file(directory / ".craftbundle/run.yaml/report.json"));
  EXPECT_EQ(left["jobs"], 0);
  ASSERT_EQ(left["stages"].size(), 7u);
  for (const json& stage : left["stages"]) EXPECT_EQ(stage["state"], "done") << stage["name"];
  EXPECT_THAT(read_file(directory / ".craftbundle/run.yaml/report.html"),
              HasSubstr("by another engine"));
  for (const auto& [name, state] : states()) EXPECT_EQ(state, "up to date") << name;
}

TEST_F(RunTest, JsonEventsAreLines) {
  script(kRelease);
  const ProgramResult result =
      Program({CRAFTBUNDLE_PROGRAM, "--log-format", "json", "run", "run.yaml", "-q"},
              directory.path())
          .wait();
  EXPECT_EQ(result.errors, "");
  const ProgramResult told =
      Program({CRAFTBUNDLE_PROGRAM, "--log-format", "json", "run", "run.yaml", "--rerun"},
              directory.path())
          .wait();
  std::istringstream lines(told.errors);
  int finished = 0;
  for (std::string line; std::getline(lines, line);) {
    finished += json::parse(line)["event"] == "stage_finished" ? 1 : 0;
  }
  EXPECT_EQ(finished, 7);
}

TEST_F(RunTest, SchemaIsTheOneInDocs) {
  const ProgramResult result = run({"--schema"});
  EXPECT_EQ(result.output, read_file(Path(CRAFTBUNDLE_SOURCES) / "docs/run_script.schema.json"));
}

std::vector<std::string> examples() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(Path(CRAFTBUNDLE_SOURCES) / "examples/runs")) {
    names.push_back(entry.path().stem().string());
  }
  return names;
}

class ExampleTest : public RunTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(ExampleTest, Runs) {
  for (const std::string& name : examples()) {
    fs::copy_file(Path(CRAFTBUNDLE_SOURCES) / "examples/runs" / (name + ".yaml"),
                  directory / (name + ".yaml"));
  }
  fs::copy_file(directory / (GetParam() + ".yaml"), directory / "run.yaml");
  // The first one reads this repository.
  std::vector<std::string> options = {"-j", "2"};
  if (GetParam() == "first") {
    options.insert(options.end(), {"--set", "data=" + kGolden.string(), "--set", "out=out"});
  }
  const States first = states(options);
  EXPECT_THAT(first, ::testing::Not(IsEmpty()));
  for (const auto& [name, state] : first) {
    EXPECT_TRUE(state == "done" || state == "left out") << name << " " << state;
  }
  for (const auto& [name, state] : states(options)) {
    EXPECT_TRUE(state == "up to date" || state == "left out") << name << " " << state;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ExampleTest, ::testing::ValuesIn(examples()),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace craftbundle
