// Codecs of plugins at work: what verify --run says of those that lie, of several rates, in
// scripts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/program.h"
#include "unit/host/fixtures.h"

namespace craftbundle {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using testing::ProgramResult;
using testing::read_file;
using testing::write_file;

class CodecsTest : public ::testing::Test {
 protected:
  ProgramResult craftbundle(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {CRAFTBUNDLE_PROGRAM, "--plugin-dir", testing::fixture("liars").string()});
    return testing::run_program(arguments, root.path());
  }

  // A file that the exporter of this name takes, in the form of an exported one.
  std::string checkpoint_of(const std::string& exporter) {
    testing::write_checkpoint(root / (exporter + ".th"),
                              {{exporter, std::int64_t{100}}, {"pretrained", exporter}});
    return exporter + ".th";
  }

  // A WAV file of 16 bits with two tones.
  void write_wav(const std::string& name, std::uint32_t rate, std::uint32_t samples) {
    const auto little = [](std::uint32_t number, int bytes) {
      std::string text;
      for (int i = 0; i < bytes; ++i) text += static_cast<char>(number >> (8 * i));
      return text;
    };
    std::string data;
    for (std::uint32_t i = 0; i < samples; ++i) {
      const double level = 9'000 * std::sin(i * 0.03) + 9'000 * std::sin(i * 0.011);
      data += little(static_cast<std::uint32_t>(static_cast<std::int32_t>(level)), 2);
    }
    const auto size = static_cast<std::uint32_t>(data.size());
    write_file(root / name, "RIFF" + little(36 + size, 4) + "WAVEfmt " + little(16, 4) +
                                little(1, 2) + little(1, 2) + little(rate, 4) +
                                little(2 * rate, 4) + little(2, 2) + little(16, 2) + "data" +
                                little(size, 4) + data);
  }

  testing::TemporaryDirectory root;
};

// "CODE: TEXT" of the findings of an outcome that have a code.
std::vector<std::string> findings(const ProgramResult& result, const std::string& outcome) {
  std::vector<std::string> all;
  const json document = json::parse(result.output);
  for (const json& finding : document["findings"]) {
    if (finding["outcome"] != outcome || finding["code"] == "") continue;
    all.push_back(finding["code"].get<std::string>() + ": " + finding["text"].get<std::string>());
  }
  return all;
}

TEST_F(CodecsTest, OfSeveralRatesAreMeasured) {
  const ProgramResult text = craftbundle({"verify", checkpoint_of("means"), "--run"});
  EXPECT_EQ(text.exit_code, 0) << text.output << text.errors;
  // 7 bits x 2000 frames x (1/4 + 1/2 + 1).
  EXPECT_THAT(
      text.output,
      AllOf(HasSubstr("20,000 frames of 3, a code for 4, 2, 1 of them, 24.50 kbit/s"),
            ContainsRegex("\n +0 +[0-9]+ of 128 +[0-9.]+ +3\\.50\n"),
            ContainsRegex("\n +1 +[0-9]+ of 128 +[0-9.]+ +10\\.50\n"),
            ContainsRegex("\n +2 +[0-9]+ of 128 +[0-9.]+ +24\\.50\n"), Not(HasSubstr("repeats"))));
  const ProgramResult result =
      craftbundle({"verify", "means.th", "--run", "--codebooks", "2", "--json"});
  const json codec = json::parse(result.output)["codec"];
  EXPECT_EQ(codec["bits_per_second"], 10'500);
  EXPECT_EQ(codec["codebooks"].size(), 2u);
  EXPECT_EQ(codec["codebooks"][0]["frames_per_code"], 4);
  EXPECT_EQ(codec["codebooks"][1]["bits_per_second_so_far"], 10'500);
  EXPECT_EQ(codec["repeats"], true);
}

// 12 seconds go through in two pieces.
TEST_F(CodecsTest, OfSeveralRatesCodeLongAudio) {
  checkpoint_of("means");
  const auto si_snr = [&](const std::string& seconds) {
    const ProgramResult result =
        craftbundle({"verify", "means.th", "--run", "--seconds", seconds, "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
    return json::parse(result.output)["codec"]["si_snr_db"].get<double>();
  };
  EXPECT_GT(si_snr("12"), 4);
  EXPECT_NEAR(si_snr("12"), si_snr("8"), 1);
}

TEST_F(CodecsTest, ThatLieAreFound) {
  const auto fails = [&](const std::string& exporter, const std::string& finding) {
    checkpoint_of(exporter);
    const ProgramResult result = craftbundle({"verify", exporter + ".th", "--run", "--json"});
    EXPECT_EQ(result.exit_code, 4) << exporter << result.errors;
    EXPECT_THAT(findings(result, "fails"), ElementsAre(finding)) << exporter;
    EXPECT_EQ(json::parse(result.output)["sound"], false);
    const ProgramResult text = craftbundle({"verify", exporter + ".th", "--run"});
    EXPECT_EQ(text.exit_code, 4);
    EXPECT_THAT(text.output, AllOf(HasSubstr("FAILED"), HasSubstr("checks do not hold")));
  };
  fails("other-rate",
        "codec.facts: the codec has sample_rate 16000, its component states 8000 (the plugin)");
  fails("no-numbers",
        "codec.not_finite: the codec does not code audio: 1 of 8000 decoded samples are no "
        "numbers");
  fails("halved",
        "codec.length: decode() makes 4000 samples of 2000 frames, hop_length is 4; encoded were "
        "7999");
  fails("restless",
        "codec.varies: decoding the same codes twice gives other audio, which its properties do "
        "not say ('varies')");
}

TEST_F(CodecsTest, MaySayThatTwoCallsDiffer) {
  const ProgramResult result = craftbundle({"verify", checkpoint_of("openly-restless"), "--run"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("no: its decoder adds a little"));
}

TEST_F(CodecsTest, ThatNoTrainingMakesAreWarnings) {
  const auto warns = [&](const std::string& exporter, const std::string& finding) {
    checkpoint_of(exporter);
    const ProgramResult result = craftbundle({"verify", exporter + ".th", "--run", "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
    EXPECT_THAT(findings(result, "warns"), ElementsAre(finding));
    EXPECT_EQ(craftbundle({"verify", exporter + ".th", "--run", "--strict"}).exit_code, 4);
    EXPECT_EQ(craftbundle({"verify", exporter + ".th", "--run", "--strict", "--json"}).exit_code,
              4);
    EXPECT_THAT(craftbundle({"-q", "verify", exporter + ".th", "--run", "--strict"}).output,
                HasSubstr("warning"));
  };
  warns("silent", "codec.silence: the codec makes silence of sound");
  warns("collapsed", "codec.collapsed: codebook 0 has collapsed: one entry of 128 is used");
  EXPECT_EQ(craftbundle({"verify", checkpoint_of("means"), "--run", "--strict"}).exit_code, 0);
}

TEST_F(CodecsTest, ThatAreSlowShowProgress) {
  const ProgramResult result =
      craftbundle({"--log-format", "json", "verify", checkpoint_of("slow"), "--run"});
  EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
  std::vector<std::string> tasks;
  std::istringstream lines(result.errors);
  for (std::string line; std::getline(lines, line);) {
    const json event = json::parse(line);
    if (event["event"] != "progress") continue;
    const auto task = event["task"].get<std::string>();
    if (tasks.empty() || tasks.back() != task) tasks.push_back(task);
    EXPECT_LE(event["done"], event["total"]);
  }
  EXPECT_THAT(tasks, IsSupersetOf({"loading the codec of slow.th", "trying the codec of slow.th",
                                   "running the codec of slow.th"}));
}

TEST_F(CodecsTest, ThatLieFailTheirStage) {
  for (const char* exporter : {"restless", "silent", "means"}) checkpoint_of(exporter);
  write_file(root / "run.yaml", R"(version: 1
stages:
  sound: {verify: means.th, run: true, strict: true}
  warns: {verify: silent.th, run: true}
  strict: {verify: silent.th, run: true, strict: true, allow_failure: true}
  lies: {verify: restless.th, run: true, allow_failure: true}
)");
  const ProgramResult result = craftbundle({"run", "run.yaml"});
  EXPECT_THAT(result.output + result.errors,
              AllOf(HasSubstr("silent.th: the codec makes silence of sound"),
                    HasSubstr("decoding the same codes twice gives other audio")));
  const json report = json::parse(craftbundle({"run", "run.yaml", "--json"}).output);
  std::vector<std::string> states;
  for (const json& stage : report["stages"]) {
    states.push_back(stage["name"].get<std::string>() + " " + stage["state"].get<std::string>());
  }
  EXPECT_THAT(states,
              ElementsAre("sound up to date", "warns up to date", "strict failed", "lies failed"));
}

TEST_F(CodecsTest, ThatLieDoNotPassTheirChecks) {
  const auto check = [&](const std::string& exporter) {
    return testing::run_program(
        {CRAFTBUNDLE_SCANNER, "--check", (testing::fixture("liars") / "fixture_liars.so").string(),
         "--source", checkpoint_of(exporter)},
        root.path());
  };
  const auto fails = [&](const std::string& exporter, const std::string& what) {
    const ProgramResult result = check(exporter);
    EXPECT_NE(result.exit_code, 0) << exporter;
    EXPECT_THAT(result.output + result.errors, HasSubstr(what)) << exporter;
  };
  fails("silent", "the codec makes silence of sound");
  fails("no-numbers", "of 8000 decoded samples are no numbers");
  fails("halved", "decode() makes 4000 samples of 2000 frames");
  fails("restless", "decoding the same codes twice gives other audio");
  fails("other-rate", "the codec has sample_rate 16000, its component states 8000");
  fails("facts-nan", "the fact 'frame_rate' is nan, expected a number");
  for (const char* exporter : {"means", "openly-restless", "collapsed"}) {
    EXPECT_THAT(check(exporter).output, ContainsRegex("ok +codecs")) << exporter;
  }
}

TEST_F(CodecsTest, WithFactsThatAreNoneAreRefused) {
  const auto refuses = [&](const std::string& exporter, const std::string& what) {
    const ProgramResult result = craftbundle({"export", checkpoint_of(exporter), "-o", "out.bin"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.errors, AllOf(HasSubstr("exporter '" + exporter + "': " + what),
                                     HasSubstr("[plugin.facts]")));
  };
  refuses("facts-nan", "the fact 'frame_rate' is nan, expected a number");
  refuses("facts-negative", "the fact 'codebooks' is -4, expected a whole number above 0");
  refuses("facts-text", "the fact 'sample_rate' is the text '8 kHz', expected a whole number");
}

// ---- what is not known ----

TEST_F(CodecsTest, ThatANameMayBeAreExportedAndNotBundled) {
  const std::string name = "somebody/snac_24khz";
  const ProgramResult exported = craftbundle({"export", name, "-o", "out.bin"});
  EXPECT_EQ(exported.exit_code, 0) << exported.errors;
  EXPECT_THAT(exported.output + exported.errors,
              HasSubstr("'somebody/snac_24khz' may be an EnCodec on Hugging Face"));
  const ProgramResult refused = craftbundle({"bundle", "--compression", name, "-o", "a"});
  EXPECT_EQ(refused.exit_code, 4);
  EXPECT_THAT(refused.errors,
              AllOf(HasSubstr("whether 'somebody/snac_24khz' is what is wanted cannot be told"),
                    HasSubstr("[bundle.guess]"), HasSubstr("--for compression:exporter=encodec")));
  EXPECT_FALSE(boost::filesystem::exists(root / "a"));
  EXPECT_EQ(craftbundle({"bundle", "--compression", name, "--for", "compression:exporter=encodec",
                         "-o", "a"})
                .exit_code,
            0);
  EXPECT_EQ(craftbundle({"bundle", "--compression", name, "--allow-mismatch", "-o", "b"}).exit_code,
            0);
  write_file(root / "run.yaml",
             "version: 1\nstages:\n  model: {bundle: {compression: " + name + "}, to: c}\n");
  const ProgramResult run = craftbundle({"run", "run.yaml"});
  EXPECT_EQ(run.exit_code, 2) << run.output;
  EXPECT_THAT(run.output + run.errors,
              AllOf(HasSubstr("[bundle.guess]"), HasSubstr("'allow_mismatch: true'")));
}

TEST_F(CodecsTest, OfABundleAreComparedAsFarAsOthersSay) {
  const Path data = Path(CRAFTBUNDLE_TEST_DATA) / "golden/data";
  ASSERT_EQ(craftbundle({"bundle", "--lm", (data / "musicgen_train.th").string(), "--compression",
                         (data / "encodec_train.th").string(), "-o", "model"})
                .exit_code,
            0);
  const ProgramResult text = craftbundle({"verify", "model"});
  EXPECT_EQ(text.exit_code, 0) << text.output;
  EXPECT_THAT(text.output, ContainsRegex("\nnot compared: text_width: lm needs [0-9]+ \\(.*\\), no "
                                         "other component states it\n"));
  const json unstated =
      json::parse(craftbundle({"verify", "model", "--json"}).output)["not_compared"];
  ASSERT_EQ(unstated.size(), 1u);
  EXPECT_EQ(unstated[0]["fact"], "text_width");
  EXPECT_EQ(unstated[0]["component"], "lm");
  // Of a single component nothing is compared.
  const ProgramResult alone = craftbundle({"verify", "model/state_dict.bin", "--json"});
  EXPECT_THAT(json::parse(alone.output)["not_compared"], IsEmpty());
}

// ---- stages that run codecs ----

TEST_F(CodecsTest, AreLoadedByStages) {
  checkpoint_of("means");
  write_wav("a.wav", 8'000, 100'000);
  write_file(root / "run.yaml", R"(version: 1
stages:
  coded: {run-codec: means.th, to: figures.txt, options: {audio: a.wav}}
)");
  const ProgramResult result = craftbundle({"run", "run.yaml"});
  EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
  EXPECT_EQ(read_file(root / "figures.txt"), "100000 samples, 25000 frames, 43750 codes\n");
  EXPECT_THAT(craftbundle({"run", "run.yaml"}).output, HasSubstr("up to date"));
  // The audio is something that the stage has read.
  write_wav("a.wav", 8'000, 50'000);
  EXPECT_EQ(craftbundle({"run", "run.yaml"}).exit_code, 0);
  EXPECT_EQ(read_file(root / "figures.txt"), "50000 samples, 12504 frames, 21882 codes\n");
}

TEST_F(CodecsTest, ForStagesAreRefusedWithTheirAudio) {
  checkpoint_of("means");
  write_file(root / "a.wav", "no audio");
  write_wav("b.wav", 16'000, 100);
  write_file(root / "run.yaml", R"(version: 1
stages:
  none: {run-codec: means.th, to: a.txt, options: {audio: a.wav}}
  other: {run-codec: means.th, to: b.txt, options: {audio: b.wav}}
  missing: {run-codec: means.th, to: c.txt, options: {audio: c.wav}}
)");
  const ProgramResult result = craftbundle({"run", "run.yaml", "--keep-going"});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.output + result.errors,
              AllOf(HasSubstr("no audio that can be read"), HasSubstr("[audio.file]"),
                    HasSubstr("the audio has 16000 Hz (sample rate), the codec takes 8000"),
                    HasSubstr("[io.enoent]")));
}

}  // namespace
}  // namespace craftbundle
