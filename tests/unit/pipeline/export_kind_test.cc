// Export stages that average checkpoints, and those that write the codec as a program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>

#include "craftbundle/detail/pipeline/workflow.h"
#include "craftbundle/detail/tensor/convert.h"
#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Eq;
using testing::expect_error;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

const Path kGolden = Path(CRAFTBUNDLE_TEST_DATA) / "golden/data";

class ExportKindTest : public ::testing::Test {
 protected:
  ExportKindTest() {
    fs::copy_file(kGolden / "musicgen_train.th", directory / "lm.th");
    fs::copy_file(kGolden / "musicgen_train.th", directory / "lm_2.th");
    fs::copy_file(kGolden / "encodec_train.th", directory / "codec.th");
  }

  // The text below "stages:".
  Workflow read(const std::string& stages) {
    write_file(directory / "run.yaml", "version: 1\nstages:\n" + stages);
    ScriptProblems found;
    const Script script = read_script(directory / "run.yaml", {}, found);
    Workflow workflow = make_workflow(
        script, standard_stages(host),
        [](const std::string&) -> std::optional<std::string> { return std::nullopt; }, found);
    problems.clear();
    for (const ScriptProblem& problem : found.sorted()) {
      problems.push_back(std::to_string(problem.mark.line) + ": " + problem.message +
                         (problem.hint.empty() ? "" : "; " + problem.hint));
    }
    return workflow;
  }

  // Runs all stages; the result of the last.
  StageResult run(const std::string& stages) {
    const Workflow workflow = read(stages);
    EXPECT_THAT(problems, IsEmpty());
    StageResult result;
    const std::vector<Path> disposable;
    for (const std::size_t i : run_order(workflow.graph())) {
      const WorkflowStage& stage = workflow.stages[i];
      StageRun run{stage.name,          host, Sink::none(), Cancellation::never(),
                   Durability::no_sync, true, disposable,   directory / "log"};
      result = stage.stage->run(run);
    }
    return result;
  }

  const Stage& stage(const Workflow& workflow, const std::string& name) const {
    return *workflow.stages.at(*workflow.find(name)).stage;
  }

  bool runs_codecs() const { return host.can_run("encodec"); }

  TemporaryDirectory directory;
  std::vector<std::string> problems;
  Host host{[] {
    Host::Options options;
    options.search = {{CRAFTBUNDLE_PLUGINS}, false, false, false};
    return options;
  }()};
};

std::vector<std::string> described(const std::vector<StageInput>& inputs) {
  std::vector<std::string> result;
  for (const StageInput& input : inputs) {
    result.push_back(input.name + " = " + input.path.filename().string() +
                     (input.stage.empty() ? "" : " of " + input.stage));
  }
  return result;
}

std::vector<std::string> described(const std::vector<KeyPart>& key) {
  std::vector<std::string> result;
  for (const KeyPart& part : key) result.push_back(part.name + " = " + part.value);
  return result;
}

// ---- average ----

using ExportAverage = ExportKindTest;

TEST_F(ExportAverage, TakesFilesAndStages) {
  const Workflow workflow = read(R"(  other: {export: lm_2.th, state: ema, to: ema.bin}
  mean: {export: lm.th, average: [lm_2.th, other], to: mean.bin}
  alone: {export: lm.th, average: other, to: alone.bin}
)");
  EXPECT_THAT(problems, IsEmpty());
  EXPECT_THAT(described(stage(workflow, "mean").inputs()),
              ElementsAre("source = lm.th", "average of lm_2.th = lm_2.th",
                          "average of other = ema.bin of other"));
  EXPECT_THAT(described(stage(workflow, "mean").key()),
              AllOf(Contains("name of average of lm_2.th = lm_2.th"),
                    Contains("name of average of other = ema.bin")));
  EXPECT_THAT(described(stage(workflow, "alone").inputs()),
              ElementsAre("source = lm.th", "average of other = ema.bin of other"));
  EXPECT_EQ(workflow.stages.at(*workflow.find("alone")).needs.size(), 1u);
  EXPECT_THAT(described(stage(workflow, "other").key()), Not(Contains(HasSubstr("average"))));
}

TEST_F(ExportAverage, WritesTheMean) {
  const std::string stages = R"(  ema: {export: lm.th, state: ema, to: ema.bin}
  mean: {export: lm.th, average: [lm_2.th, ema], to: mean.bin}
)";
  const StageResult result = run(stages);
  EXPECT_THAT(result.checks, Contains("weights are the mean over 3 checkpoints"));
  EXPECT_EQ(result.bytes, fs::file_size(directory / "mean.bin"));
  const auto numbers = [&](const char* file) {
    const auto checkpoint = Checkpoint::open(directory / file);
    const ElementsPtr elements =
        elements_of(checkpoint->tensor(checkpoint->root().at("best_state").at("emb.0.weight")));
    std::vector<double> all(elements->size());
    elements->read(0, all);
    return all;
  };
  run("  best: {export: lm.th, to: best.bin}\n");
  const std::vector<double> best = numbers("best.bin");
  const std::vector<double> ema = numbers("ema.bin");
  const std::vector<double> mean = numbers("mean.bin");
  ASSERT_EQ(mean.size(), best.size());
  EXPECT_NE(best, ema);
  // The best state has half the bits of the moving average, and the type of the first counts.
  std::vector<double> expected;
  for (std::size_t i = 0; i < best.size(); ++i) {
    expected.push_back((best[i] + best[i] + ema[i]) / 3);
  }
  std::vector<std::byte> rounded(2 * expected.size());
  encode(DType::float16, expected, rounded);
  decode(DType::float16, rounded, expected);
  EXPECT_EQ(mean, expected);
}

TEST_F(ExportAverage, IsPartOfTheBundlesThatUseTheStage) {
  const std::string stages = R"(  mean: {export: lm.th, average: lm_2.th}
  model: {bundle: {lm: mean, compression: codec.th}, to: model}
)";
  const Workflow workflow = read(stages);
  EXPECT_THAT(described(stage(workflow, "model").inputs()),
              ElementsAre("lm = lm.th", "average of lm_2.th = lm_2.th", "compression = codec.th"));
  EXPECT_THAT(described(stage(workflow, "model").key()),
              Contains("name of average of lm_2.th = lm_2.th"));
  const StageResult result = run(stages);
  EXPECT_THAT(result.checks, Contains("lm: weights are the mean over 2 checkpoints"));
  ASSERT_TRUE(result.manifest);
  // The manifest does not say where the files lie.
  EXPECT_EQ(option_value(result.manifest->components.at(0).options, "average"), "lm_2.th");
}

TEST_F(ExportAverage, IsForecast) {
  const Workflow workflow = read("  mean: {export: lm.th, average: lm_2.th, to: mean.bin}\n");
  const Forecast forecast = stage(workflow, "mean").forecast(host);
  run("  mean: {export: lm.th, average: lm_2.th, to: mean.bin}\n");
  EXPECT_EQ(forecast.bytes, fs::file_size(directory / "mean.bin"));
}

TEST_F(ExportAverage, RefusesWhatIsNoFile) {
  read("  a: {export: lm.th}\n  b: {export: lm.th, average: a}\n");
  EXPECT_THAT(problems, ElementsAre("4: stage 'a' leaves no file that could be used; give it a "
                                    "place with 'to'"));
  read("  b: {export: lm.th, average: ''}\n");
  EXPECT_THAT(problems, ElementsAre("3: found an empty text, expected a stage or a path"));
  read("  b: {export: lm.th, average: {a: lm.th}}\n");
  EXPECT_THAT(problems, ElementsAre(HasSubstr("3: 'average' is a map")));
  read("  b: {export: lm.th, average: 'lm-*'}\n");
  EXPECT_THAT(problems, ElementsAre(HasSubstr("3: no stage matches 'lm-*'")));
}

// Else the stage would not be done again when such a file has changed.
TEST_F(ExportAverage, IsNoOption) {
  read("  b:\n    export: lm.th\n    options: {average: lm_2.th}\n");
  EXPECT_THAT(problems,
              ElementsAre("5: 'average' among the options names files that the run does not look "
                          "at; write 'average' beside 'export'"));
}

TEST_F(ExportAverage, FailsWithWhatIsWrong) {
  expect_error(ErrorKind::system, "io.enoent", HasSubstr("none.th"),
               [&] { run("  m: {export: lm.th, average: none.th}\n"); });
  expect_error(ErrorKind::input, "package.family", HasSubstr("a codec, not a language model"),
               [&] { run("  m: {export: lm.th, average: codec.th}\n"); });
  fs::copy_file(directory / "lm.th", directory / "a,b.th");
  expect_error(ErrorKind::usage, "option.value",
               AllOf(HasSubstr("a,b.th has a comma in its path"), HasSubstr("separates files")),
               [&] { run("  m: {export: lm.th, average: 'a,b.th'}\n"); });
  expect_error(
      ErrorKind::usage, "option.value",
      Eq("this is a reference to 'facebook/encodec_32khz': it holds no weights to cast, fold, "
         "average or merge into"),
      [&] { run("  m: {export: facebook/encodec_32khz, average: codec.th}\n"); });
}

// ---- merge ----

using ExportMerge = ExportKindTest;

void copy_adapter(const std::string& name, const Path& to) {
  fs::create_directories(to);
  for (const char* file : {"adapter_config.json", "adapter_model.safetensors"}) {
    fs::copy_file(kGolden / "adapters" / name / file, to / file);
  }
}

TEST_F(ExportMerge, TakesDirectoriesFilesAndStages) {
  copy_adapter("lora", directory / "one");
  copy_adapter("dora", directory / "two");
  const Workflow workflow = read(R"(  made: {command: [sh, -c, "true"], outputs: {adapter: three}}
  m: {export: lm.th, merge: [one, two/adapter_model.safetensors, made], to: m.bin}
  model: {bundle: {lm: n, compression: codec.th}, to: model}
  n: {export: lm.th, merge: one, average: lm_2.th}
)");
  EXPECT_THAT(problems, IsEmpty());
  EXPECT_THAT(described(stage(workflow, "m").inputs()),
              ElementsAre("source = lm.th", "merge of one = one",
                          "merge of two/adapter_model.safetensors = adapter_model.safetensors",
                          "merge of made = three of made"));
  EXPECT_THAT(
      described(stage(workflow, "m").key()),
      Contains("name of merge of two/adapter_model.safetensors = adapter_model.safetensors"));
  EXPECT_THAT(described(stage(workflow, "model").inputs()),
              ElementsAre("lm = lm.th", "average of lm_2.th = lm_2.th", "merge of one = one",
                          "compression = codec.th"));
}

// The order decides too: what an adapter replaces, the next one adds to.
TEST_F(ExportMerge, MergesAndSaysWhatItRead) {
  copy_adapter("lora", directory / "one");
  copy_adapter("dora", directory / "two");
  const Workflow workflow = read("  m: {export: lm.th, merge: [one, two], to: m.bin}\n");
  const std::vector<Path> disposable;
  StageRun run{"m",  host,       Sink::none(),     Cancellation::never(), Durability::no_sync,
               true, disposable, directory / "log"};
  std::vector<std::string> read_files;
  run.read = [&](const std::vector<StageRead>& files) {
    for (const StageRead& file : files) {
      read_files.push_back(file.name + " = " +
                           file.file.lexically_relative(directory.path()).string());
    }
  };
  const StageResult result = stage(workflow, "m").run(run);
  EXPECT_THAT(result.checks,
              AllOf(Contains("adapter one merged into 5 tensors: LoRA of ranks 2 to 4; replaces 3 "
                             "tensors"),
                    Contains("adapter two merged into 2 tensors: DoRA of rank 3")));
  EXPECT_THAT(
      read_files,
      ElementsAre("adapter_config.json of source = one/adapter_config.json",
                  "adapter_model.safetensors of source = one/adapter_model.safetensors",
                  "adapter_config.json of source (2) = two/adapter_config.json",
                  "adapter_model.safetensors of source (2) = two/adapter_model.safetensors"));
  EXPECT_EQ(result.bytes, fs::file_size(directory / "m.bin"));
}

TEST_F(ExportMerge, IsNoOption) {
  read("  b:\n    export: lm.th\n    options: {merge: one}\n");
  EXPECT_THAT(problems,
              ElementsAre("5: 'merge' among the options names files that the run does not look at; "
                          "write 'merge' beside 'export'"));
}

// ---- layout ----

using ExportLayout = ExportKindTest;

TEST_F(ExportLayout, IsPartOfTheKey) {
  const Workflow workflow = read(R"(  program: {export: codec.th, layout: torchscript, to: codec.ts}
  package: {export: codec.th, layout: audiocraft, to: codec.bin}
  plain: {export: codec.th, to: plain.bin}
)");
  EXPECT_THAT(problems, IsEmpty());
  EXPECT_THAT(described(stage(workflow, "program").key()), Contains("layout = torchscript"));
  EXPECT_THAT(described(stage(workflow, "package").key()), Not(Contains(HasSubstr("layout"))));
  EXPECT_EQ(stage(workflow, "package").key(), stage(workflow, "plain").key());
  // Bundles cannot write it.
  EXPECT_EQ(stage(workflow, "program").recipe(), nullptr);
  EXPECT_NE(stage(workflow, "package").recipe(), nullptr);
}

TEST_F(ExportLayout, NeedsAPlace) {
  read("  p: {export: codec.th, layout: torchscript}\n");
  EXPECT_THAT(problems, ElementsAre("3: 'layout: torchscript' makes a file of its own, and there "
                                    "is no 'to'; name the file with 'to'"));
}

TEST_F(ExportLayout, IsOneOfTwo) {
  read("  p: {export: codec.th, layout: onnx, to: x}\n");
  EXPECT_THAT(problems, ElementsAre(AllOf(HasSubstr("3: "), HasSubstr("'onnx'"),
                                          HasSubstr("'audiocraft'"), HasSubstr("'torchscript'"))));
}

TEST_F(ExportLayout, WritesTheCodecAsAProgram) {
  if (!runs_codecs()) GTEST_SKIP() << "no plugin of this build runs codecs";
  const std::string stages = "  p: {export: codec.th, layout: torchscript, to: out/codec.ts}\n";
  const Workflow workflow = read(stages);
  // How large it will be is not known.
  EXPECT_EQ(stage(workflow, "p").forecast(host).bytes, 0u);
  const StageResult result = run(stages);
  EXPECT_EQ(result.bytes, fs::file_size(directory / "out/codec.ts"));
  expect_error(ErrorKind::input, "format.torchscript", HasSubstr("TorchScript"),
               [&] { Checkpoint::open(directory / "out/codec.ts"); });
}

TEST_F(ExportLayout, NeedsACodec) {
  const std::string stages = "  p: {export: lm.th, layout: torchscript, to: lm.ts}\n";
  const Workflow workflow = read(stages);
  try {
    static_cast<void>(stage(workflow, "p").forecast(host));
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::mismatch);
    EXPECT_EQ(error.code(), "layout.role");
    EXPECT_EQ(error.message(), "layout 'torchscript': it has no place for a component 'lm'");
    EXPECT_EQ(error.hint(), "choose another layout; 'craftbundle plugins list' shows them");
  }
  expect_error(ErrorKind::mismatch, "layout.role", HasSubstr("no place for a component 'lm'"),
               [&] { run(stages); });
  EXPECT_FALSE(fs::exists(directory / "lm.ts"));
}

TEST_F(ExportLayout, OfSeveralFilesIsADirectory) {
  const StageResult result = run("  p: {export: codec.th, layout: safetensors, to: out/codec}\n");
  EXPECT_TRUE(fs::exists(directory / "out/codec/compression.safetensors"));
  EXPECT_TRUE(fs::exists(directory / "out/codec/compression.yaml"));
  EXPECT_GT(result.bytes, fs::file_size(directory / "out/codec/compression.safetensors"));
}

}  // namespace
}  // namespace craftbundle
