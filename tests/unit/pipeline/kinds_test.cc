// The kinds of stages that core has, each run alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/filesystem.hpp>
#include <set>

#include "craftbundle/detail/io/sha256.h"
#include "craftbundle/detail/pipeline/card.h"
#include "craftbundle/detail/pipeline/workflow.h"
#include "support/error_matchers.h"
#include "support/program.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::expect_error;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

const Path kGolden = Path(CRAFTBUNDLE_TEST_DATA) / "golden/data";

class KindsTest : public ::testing::Test {
 protected:
  KindsTest() {
    for (const char* name : {"encodec_train.th", "musicgen_train.th"}) {
      fs::copy_file(kGolden / name, directory / name);
    }
  }

  // Runs stages, given as the text below "stages:", one after the other; the result of the last.
  StageResult run(const std::string& stages, bool replace = false) {
    write_file(directory / "run.yaml", "version: 1\nstages:\n" + stages);
    ScriptProblems problems;
    const Script script = read_script(directory / "run.yaml", {}, problems);
    const Workflow workflow = make_workflow(
        script, standard_stages(host),
        [](const std::string&) -> std::optional<std::string> { return std::nullopt; }, problems);
    for (const ScriptProblem& problem : problems.sorted()) ADD_FAILURE() << problem.message;
    StageResult result;
    const std::vector<Path> disposable;
    for (const std::size_t i : run_order(workflow.graph())) {
      const WorkflowStage& stage = workflow.stages[i];
      StageRun run{stage.name,          host,    Sink::none(), Cancellation::never(),
                   Durability::no_sync, replace, disposable,   directory / (stage.name + ".log")};
      result = stage.stage->run(run);
    }
    return result;
  }

  StageResult model() {
    return run("  m: {bundle: {lm: musicgen_train.th, compression: encodec_train.th}, to: m}\n");
  }

  TemporaryDirectory directory;
  Host host{[] {
    Host::Options options;
    options.search = {{CRAFTBUNDLE_PLUGINS}, false, false, false};
    return options;
  }()};
};

TEST_F(KindsTest, ExportWritesTheComponent) {
  const StageResult result = run("  e: {export: encodec_train.th, to: a/b/c.bin}\n");
  EXPECT_EQ(result.bytes, fs::file_size(directory / "a/b/c.bin"));
  ASSERT_EQ(result.tools.size(), 2u);
  EXPECT_EQ(result.tools[0].name, "exporter encodec");
  EXPECT_EQ(result.tools[1].name, "layout audiocraft");
  EXPECT_THAT(result.checks, Contains(HasSubstr("names and shapes that xp.cfg implies")));
  expect_error(ErrorKind::usage, "target.exists", HasSubstr("c.bin"),
               [&] { run("  e: {export: encodec_train.th, to: a/b/c.bin}\n"); });
  run("  e: {export: encodec_train.th, to: a/b/c.bin}\n", true);
}

TEST_F(KindsTest, ExportWithoutAPlaceOnlyChecks) {
  const StageResult result = run("  e: {export: musicgen_train.th, state: ema}\n");
  EXPECT_EQ(result.bytes, 0u);
  EXPECT_THAT(directory.names(), ElementsAre("encodec_train.th", "musicgen_train.th", "run.yaml"));
}

TEST_F(KindsTest, VerifySaysWhatHoldsAndWhatDoesNot) {
  model();
  const StageResult result = run("  v: {verify: m}\n");
  EXPECT_THAT(result.checks,
              Contains("state_dict.bin: size and SHA-256 are those of the manifest"));
  ASSERT_TRUE(result.manifest);
  EXPECT_EQ(result.manifest->components.size(), 2u);

  const Path file = directory / "m/state_dict.bin";
  const std::string good = read_file(file);
  std::string bytes = good;
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(file, bytes);
  expect_error(ErrorKind::mismatch, "verify.failed",
               ::testing::AllOf(HasSubstr("state_dict.bin: has the SHA-256 "), HasSubstr("CRC-32")),
               [&] { run("  v: {verify: m}\n"); });
  write_file(file, good.substr(0, good.size() - 1));
  expect_error(ErrorKind::mismatch, "verify.failed",
               HasSubstr("state_dict.bin: has " + std::to_string(good.size() - 1) +
                         " bytes, the manifest says " + std::to_string(good.size())),
               [&] { run("  v: {verify: m}\n"); });
  fs::remove(file);
  expect_error(ErrorKind::mismatch, "verify.failed", HasSubstr("state_dict.bin: is missing"),
               [&] { run("  v: {verify: m}\n"); });
}

TEST_F(KindsTest, VerifyTakesFilesAndBundlesWithoutManifest) {
  model();
  fs::remove(directory / "m/bundle.json");
  EXPECT_THAT(run("  v: {verify: m}\n").warnings,
              Contains(HasSubstr("there is no bundle.json to compare")));
  EXPECT_THAT(run("  v: {verify: m/state_dict.bin}\n").checks,
              Contains(HasSubstr("the CRC-32 of ")));
  fs::create_directory(directory / "empty");
  expect_error(ErrorKind::input, "bundle.none", HasSubstr("empty"),
               [&] { run("  v: {verify: empty}\n"); });
}

TEST_F(KindsTest, ChecksumsAreWhatSha256sumReads) {
  model();
  write_file(directory / "odd \\ name", "x");
  run("  c: {checksum: [m, \"odd \\\\ name\"], to: out/SUMS}\n");
  const auto checked =
      testing::run_program({"sha256sum", "-c", "--strict", "out/SUMS"}, directory.path());
  // Names in the list start at its directory.
  EXPECT_NE(checked.exit_code, 0);
  const auto inside =
      testing::run_program({"sha256sum", "-c", "--strict", "SUMS"}, directory / "out");
  EXPECT_EQ(inside.exit_code, 0) << inside.output << inside.errors
                                 << read_file(directory / "out/SUMS");
  EXPECT_THAT(inside.output, HasSubstr("../m/state_dict.bin: OK"));
  EXPECT_THAT(read_file(directory / "out/SUMS"), HasSubstr(sha256_of_text("x")));
}

TEST_F(KindsTest, CardsSayWhatTheManifestSays) {
  model();
  run(R"(  c:
    card: m
    title: "A *model* <b>"
    description: |
      Trained on [birds](https://example.org).
    metadata: {license: cc-by-nc-4.0, tags: [music, "a: b"]}
    config: [transformer_lm.n_q, sample_rate]
)");
  const std::string card = read_file(directory / "m/README.md");
  EXPECT_THAT(card, ::testing::StartsWith("---\n# craftbundle: begin "));
  EXPECT_THAT(card, HasSubstr("\nlicense: cc-by-nc-4.0\ntags:\n- music\n- \"a: b\"\n"));
  EXPECT_THAT(card, HasSubstr("Trained on [birds](https://example.org)."));
  EXPECT_THAT(card, HasSubstr("| family | MusicGen |"));
  EXPECT_THAT(card, HasSubstr("MusicGen(d, loaders.load_compression_model(d), lm,"));
  EXPECT_THAT(card, HasSubstr("| `transformer_lm.n_q` | 4 |"));
  EXPECT_THAT(card, HasSubstr(sha256_of_text(read_file(directory / "m/state_dict.bin"))));
  EXPECT_THAT(card, Not(HasSubstr("<b>")));
}

TEST_F(KindsTest, FrontMatterIsWrittenAsItStands) {
  model();
  run(R"(  c:
    card: m
    metadata:
      language: [en]
      inference: false
      quoted: "false"
      norwegian: no
      share: 0.50
      version: "1.10"
      empty: []
      base_model: ""
      widget:
      - text: |
          two
          lines
        example_title: 'it''s "x"'
      model-index:
      - name: m
        results:
        - task: {type: text-to-audio}
          dataset: {type: musiccaps, name: MusicCaps}
          metrics: [{type: fad, value: 1.4}]
)");
  const std::string card = read_file(directory / "m/README.md");
  const std::size_t begin = card.find('\n', card.find("begin ")) + 1;
  EXPECT_EQ(card.substr(begin, card.find("# craftbundle: end") - begin), R"(language:
- en
inference: false
quoted: "false"
norwegian: "no"
share: 0.50
version: "1.10"
empty: []
widget:
- text: "two\nlines\n"
  example_title: "it's \"x\""
model-index:
- name: m
  results:
  - task:
      type: text-to-audio
    dataset:
      type: musiccaps
      name: MusicCaps
    metrics:
    - type: fad
      value: 1.4
library_name: audiocraft
pipeline_tag: text-to-audio
tags:
- musicgen
- encodec
)");
}

TEST_F(KindsTest, CardsKeepWhatPeopleWriteAroundThem) {
  model();
  const std::string script = "  c: {card: m, title: First}\n";
  run(script);
  const std::string first = read_file(directory / "m/README.md");
  const CardOptions second{.title = "Second", .description = {}, .metadata = {}, .config = {}};
  const std::string card = make_card(directory / "m", second, host);

  const auto updated = update_card(first + "\n## Limits\n", card);
  ASSERT_TRUE(updated);
  EXPECT_THAT(*updated, HasSubstr("# Second\n"));
  EXPECT_THAT(*updated, Not(HasSubstr("# First\n")));
  EXPECT_THAT(*updated, ::testing::EndsWith("\n## Limits\n"));

  // Metadata that was changed stays, the rest follows.
  std::string hub = first;
  hub.replace(hub.find("text-to-audio"), 13, "text-to-music");
  const auto kept = update_card(hub, card);
  ASSERT_TRUE(kept);
  EXPECT_THAT(*kept, HasSubstr("text-to-music"));
  EXPECT_THAT(*kept, HasSubstr("# Second\n"));

  std::string edited = first;
  edited.replace(edited.find("## Components"), 13, "## My components");
  EXPECT_EQ(update_card(edited, card), std::nullopt);
  EXPECT_EQ(update_card("# My own card\n", card), std::nullopt);
}

TEST_F(KindsTest, CopiesAreTheSameBytes) {
  model();
  const StageResult result = run("  c: {copy: m, to: n}\n");
  EXPECT_EQ(read_file(directory / "n/state_dict.bin"), read_file(directory / "m/state_dict.bin"));
  EXPECT_EQ(read_file(directory / "n/bundle.json"), read_file(directory / "m/bundle.json"));
  EXPECT_GT(result.bytes, 0u);
  run("  c: {copy: m/bundle.json, to: deep/er/x.json}\n");
  EXPECT_EQ(read_file(directory / "deep/er/x.json"), read_file(directory / "m/bundle.json"));
}

TEST_F(KindsTest, ArchivesOfEveryKindUnpackToTheSame) {
  model();
  for (const std::string suffix : {".tar", ".tar.gz", ".tgz", ".tar.zst", ".zip"}) {
    const std::string archive = "all" + suffix;
    run("  a: {archive: [m, run.yaml], to: " + archive + ", level: 1}\n");
    const Path place = directory / ("unpacked" + suffix);
    fs::create_directory(place);
    const auto unpacked = testing::run_program(
        {"/usr/bin/python3", "-c",
         "import sys, tarfile, zipfile\n"
         "a = sys.argv[1]\n"
         "(zipfile.ZipFile(a) if a.endswith('.zip') else tarfile.open(a)).extractall(sys.argv[2])",
         (directory / archive).string(), place.string()},
        directory.path());
    if (suffix == ".tar.zst") continue;  // Python has no reader of it
    ASSERT_EQ(unpacked.exit_code, 0) << suffix << unpacked.errors;
    EXPECT_EQ(read_file(place / "m/state_dict.bin"), read_file(directory / "m/state_dict.bin"))
        << suffix;
    EXPECT_TRUE(fs::exists(place / "run.yaml")) << suffix;
  }
}

TEST_F(KindsTest, ArchivesOfEqualFilesAreEqual) {
  model();
  run("  a: {archive: m, to: a.tar.gz}\n");
  fs::last_write_time(directory / "m/state_dict.bin", 5);
  ::chmod((directory / "m/state_dict.bin").c_str(), 0600);
  run("  a: {archive: m, to: b.tar.gz}\n");
  EXPECT_EQ(read_file(directory / "a.tar.gz"), read_file(directory / "b.tar.gz"));
  fs::create_directories(directory / "x/m");
  write_file(directory / "x/m/state_dict.bin", "other");
  expect_error(ErrorKind::usage, "archive.name", HasSubstr("'m/state_dict.bin'"),
               [&] { run("  a: {archive: [m, x/m], to: c.tar}\n"); });
}

TEST_F(KindsTest, CommandsTellWhatTheyPrinted) {
  expect_error(ErrorKind::system, "command.failed",
               ::testing::Eq("'sh' ended with exit code 3\n    out\n    err"),
               [&] { run("  c: {command: [sh, -c, 'echo out; echo err >&2; exit 3']}\n"); });
  EXPECT_EQ(read_file(directory / "c.log"), "out\nerr\n");
}

TEST_F(KindsTest, EveryKeyOfScriptsIsReservedForThem) {
  const std::set<std::string_view> reserved(std::begin(kReservedStageNames),
                                            std::end(kReservedStageNames));
  for (const auto& reader : standard_stages(host)) {
    EXPECT_TRUE(reserved.contains(reader->name())) << reader->name();
  }
  for (const StageKey& key : common_stage_keys()) {
    EXPECT_TRUE(reserved.contains(key.name)) << key.name;
  }
}

}  // namespace
}  // namespace craftbundle
