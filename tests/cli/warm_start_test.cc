// What a plan opens of sources that are as they were, and of others: counted with strace.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "support/program.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Program;
using testing::ProgramResult;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

constexpr const char* kTracer = "/usr/bin/strace";
const Path kGolden = Path(CRAFTBUNDLE_TEST_DATA) / "golden/data";

constexpr const char* kScript = R"(version: 1
stages:
  codec: {export: codec.th}
  small: {export: small.th, to: out/small.bin}
  large: {export: large.th, to: out/large.bin, options: {dtype: float16}}
  model: {bundle: {lm: small.th, compression: codec}, to: out/model}
)";

// Names of the checkpoints that were opened.
using Opened = std::set<std::string>;

class WarmStartTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kTracer)) GTEST_SKIP() << "strace is not installed";
    if (testing::run_program({kTracer, "-qq", "true"}, directory.path()).exit_code != 0) {
      GTEST_SKIP() << "tracing is not allowed here";
    }
    fs::copy_file(kGolden / "encodec_train.th", directory / "codec.th");
    fs::copy_file(kGolden / "musicgen_train.th", directory / "small.th");
    fs::copy_file(kGolden / "musicgen_train.th", directory / "large.th");
    write_file(directory / "run.yaml", kScript);
    settle();
  }

  // Until the times of files would tell of a further change.
  static void settle() { std::this_thread::sleep_for(60ms); }

  std::vector<std::string> command(const std::vector<std::string>& arguments) const {
    std::vector<std::string> words = {CRAFTBUNDLE_PROGRAM, "run", "run.yaml"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
  }

  void run(const std::vector<std::string>& arguments = {}) const {
    const ProgramResult result = testing::run_program(command(arguments), directory.path());
    EXPECT_EQ(result.exit_code, 0) << result.errors;
  }

  // What a plan opens, which is left in `plan`.
  Opened opened(const std::vector<std::string>& arguments = {}) {
    const TemporaryDirectory log;
    std::vector<std::string> words = {
        kTracer, "-f", "-qq", "-e", "trace=open,openat,openat2", "-o", (log / "log").string()};
    std::vector<std::string> planning = {"--dry-run", "--json"};
    planning.insert(planning.end(), arguments.begin(), arguments.end());
    for (const std::string& word : command(planning)) words.push_back(word);
    const ProgramResult result = testing::run_program(words, directory.path());
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    plan = json::parse(result.output);
    Opened names;
    std::istringstream lines(read_file(log / "log"));
    for (std::string line; std::getline(lines, line);) {
      const std::size_t end = line.find(".th\"");
      if (end == std::string::npos || line.find("ENOENT") != std::string::npos) continue;
      const std::size_t begin = line.find_last_of("/\"", end - 1) + 1;
      names.insert(line.substr(begin, end + 3 - begin));
    }
    return names;
  }

  std::string decision(const std::string& name) const {
    for (const json& stage : plan["stages"]) {
      if (stage["name"] == name) return stage["decision"];
    }
    return "none";
  }

  Path learnt() const { return directory / ".craftbundle/run.yaml/learnt"; }

  TemporaryDirectory directory;
  json plan;
};

TEST_F(WarmStartTest, WhatIsUpToDateOpensNoCheckpoint) {
  run();
  opened();
  EXPECT_THAT(opened(), IsEmpty());
  EXPECT_EQ(decision("model"), "up to date");
}

TEST_F(WarmStartTest, WhatWouldRunOpensNoCheckpoint) {
  run({"--only", "small"});
  EXPECT_THAT(opened(), ElementsAre("codec.th", "large.th", "small.th"));
  const json before = plan;
  EXPECT_THAT(opened(), IsEmpty());
  EXPECT_EQ(plan, before);
  EXPECT_EQ(decision("large"), "run");
  EXPECT_THAT(plan["stages"].dump(), HasSubstr("by exporter"));
}

TEST_F(WarmStartTest, PartOfAPlanForgetsNothing) {
  run({"--only", "small"});
  opened();
  opened({"--only", "small"});
  EXPECT_THAT(opened(), IsEmpty());
}

TEST_F(WarmStartTest, WhereNothingWasRunNothingIsKept) {
  opened();
  EXPECT_FALSE(fs::exists(directory / ".craftbundle"));
  EXPECT_THAT(opened(), ElementsAre("codec.th", "large.th", "small.th"));
}

TEST_F(WarmStartTest, TouchedSourcesAreLookedAtOnce) {
  run();
  fs::last_write_time(directory / "small.th", 1000);
  settle();
  EXPECT_THAT(opened(), ElementsAre("small.th"));
  EXPECT_EQ(decision("small"), "up to date");
  EXPECT_THAT(opened(), IsEmpty());
}

// The new one has the same size and time.
TEST_F(WarmStartTest, ReplacedSourcesAreLookedAt) {
  run();
  opened();
  const Path file = directory / "small.th";
  const std::time_t time = fs::last_write_time(file);
  std::string bytes = read_file(file);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(directory / "other", bytes);
  fs::last_write_time(directory / "other", time);
  fs::rename(directory / "other", file);
  settle();
  EXPECT_THAT(opened(), ElementsAre("small.th"));
  EXPECT_THAT(opened(), IsEmpty());
}

TEST_F(WarmStartTest, SwappedSourcesAreLookedAt) {
  fs::copy_file(directory / "codec.th", directory / "copy");
  run();
  opened();
  // The name leads to another file that was there all along.
  fs::remove(directory / "codec.th");
  fs::create_hard_link(directory / "copy", directory / "codec.th");
  settle();
  EXPECT_THAT(opened(), ElementsAre("codec.th"));
  EXPECT_EQ(decision("codec"), "up to date");
}

TEST_F(WarmStartTest, OtherPluginsAreAsked) {
  run({"--only", "small"});
  opened();
  const TemporaryDirectory plugins;
  for (const char* name : {"encodec.so", "encodec.plugin.yaml"}) {
    fs::copy_file(Path(CRAFTBUNDLE_PLUGINS) / name, plugins / name);
  }
  EXPECT_THAT(opened({"--plugin-dir", plugins.path().string()}),
              ElementsAre("codec.th", "large.th", "small.th"));
}

TEST_F(WarmStartTest, DamageChangesNoPlan) {
  run({"--only", "small"});
  opened();
  opened();
  const json before = plan;
  const std::string text = read_file(learnt());
  for (const std::string& damaged : {std::string(), text.substr(0, text.size() / 2),
                                     std::string(1000, '\xff'), std::string("{}"), text + "x"}) {
    write_file(learnt(), damaged);
    EXPECT_THAT(opened(), ElementsAre("codec.th", "large.th", "small.th"));
    EXPECT_EQ(plan, before);
    EXPECT_THAT(opened(), IsEmpty());
    EXPECT_EQ(plan, before);
  }
}

TEST_F(WarmStartTest, SeveralPlansAtOnceAgree) {
  run({"--only", "small"});
  opened();
  const json before = plan;
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<Program>> programs;
    for (int i = 0; i < 6; ++i) {
      if (i == 3) fs::last_write_time(directory / "large.th", 1000 + round);
      programs.push_back(
          std::make_unique<Program>(command({"--dry-run", "--json"}), directory.path()));
    }
    for (const auto& program : programs) {
      const ProgramResult result = program->wait();
      EXPECT_EQ(result.exit_code, 0) << result.errors;
      EXPECT_EQ(json::parse(result.output), before);
    }
  }
}

}  // namespace
}  // namespace craftbundle
