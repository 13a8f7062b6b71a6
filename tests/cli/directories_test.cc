// Directories as sources, from the command line and in runs: what is exported, what the manifest
// says of it, and that a stage runs again when any file that was read has changed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>
#include <nlohmann/json.hpp>

#include "craftbundle/detail/checkpoint/safetensors.h"
#include "craftbundle/detail/io/sha256.h"
#include "support/program.h"
#include "unit/checkpoint/safetensors_builder.h"
#include "unit/host/fixtures.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Program;
using testing::ProgramResult;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

constexpr const char* kConfig = R"({"model_type": "chime", "sample_rate": 16000})";
constexpr const char* kOtherConfig = R"({"model_type": "chime", "sample_rate": 24000})";

// A safetensors file of the tensor 'a', one number in four bytes.
std::string weights(const std::string& bytes = "\1\2\3\4") {
  return testing::safetensors_bytes(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                                    bytes);
}

class DirectoriesTest : public ::testing::Test {
 protected:
  DirectoriesTest() { make_model("model"); }

  void make_model(const Path& name) {
    fs::create_directories(directory.path() / name);
    write_file(directory.path() / name / "config.json", kConfig);
    write_file(directory.path() / name / "model.safetensors", weights());
  }

  // The same tensor in a checkpoint.
  void write_chime(const Path& path, const std::string& bytes = "\1\2\3\4") {
    write_file(directory / "a.safetensors", weights(bytes));
    const auto file = Safetensors::open(directory / "a.safetensors");
    testing::write_checkpoint(
        directory.path() / path,
        {{"chime", Value::Dict{{"a", std::get<Tensor>(file->tensors()[0].tensor)}}}});
  }

  ProgramResult craftbundle(std::vector<std::string> arguments, const std::string& in = ".") {
    arguments.insert(arguments.begin(), {CRAFTBUNDLE_PROGRAM, "--plugin-dir",
                                         testing::fixture("directories").string()});
    return Program(arguments, directory / in).wait();
  }

  json report_of(const std::vector<std::string>& arguments) {
    const ProgramResult result = craftbundle(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return json::parse(result.output);
  }

  TemporaryDirectory directory;
};

using Commands = DirectoriesTest;

TEST_F(Commands, ExportAndInspectTakeThem) {
  const ProgramResult result = craftbundle({"export", "model", "-o", "out.bin"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("1 tensors are there"));
  EXPECT_TRUE(fs::exists(directory / "out.bin"));
  const ProgramResult shown = craftbundle({"inspect", "model"});
  EXPECT_EQ(shown.exit_code, 0) << shown.errors;
  EXPECT_THAT(shown.output,
              AllOf(HasSubstr("model: directory of 2 files\n  file               size\n"),
                    HasSubstr("  config.json        45 B\n"),
                    HasSubstr("chime     compression  100         config.json is that of a chime"),
                    HasSubstr("  read: 'config.json' and 'model.safetensors'\n")));
  EXPECT_EQ(craftbundle({"inspect", "--config", "model"}).output, kConfig);
}

TEST_F(Commands, InspectSaysTheSameAsJson) {
  const json found = report_of({"inspect", "--json", "model"});
  EXPECT_EQ(found["source_kind"], "directory");
  EXPECT_EQ(found["directory"]["path"], "model");
  EXPECT_EQ(found["directory"]["files"][0], (json{{"name", "config.json"}, {"size", 45}}));
  // What is only looked at is not hashed.
  EXPECT_EQ(found["component"]["files_read"][0], (json{{"name", "config.json"}, {"size", 45}}));
}

TEST_F(Commands, PluginsSayWhichFilesTheyTake) {
  EXPECT_THAT(craftbundle({"plugins", "info", "chime"}).output,
              HasSubstr("takes\n  directory of a chime: 'config.json' and '*.safetensors'\n"
                        "  directory of a chime: 'config.json' and 'pytorch_model*.bin'\n"
                        "  weights of a chime beside its config.json\n"));
}

TEST_F(Commands, ManifestsListWhatWasRead) {
  EXPECT_EQ(craftbundle({"bundle", "--compression", "model", "-o", "out"}).exit_code, 0);
  const std::string text = read_file(directory / "out/bundle.json");
  const json component = json::parse(text)["components"][0];
  EXPECT_EQ(component["source"], "model");
  EXPECT_EQ(component["source_kind"], "directory");
  const auto read = [&](const char* name) {
    const InputFile file(directory / "model" / name);
    return json{{"name", name},
                {"size", file.size()},
                {"sha256", sha256_of_file(file, Cancellation::never())}};
  };
  EXPECT_EQ(component["files_read"], json({read("config.json"), read("model.safetensors")}));
  // However it is named, and whatever links lie in between.
  fs::create_directories(directory / "blobs");
  fs::rename(directory / "model/config.json", directory / "blobs/c0ffee");
  fs::create_symlink("../blobs/c0ffee", directory / "model/config.json");
  for (const std::string& given :
       {std::string("model/"), std::string("./model"), (directory / "model").string()}) {
    EXPECT_EQ(craftbundle({"bundle", "--force", "--compression", given, "-o", "out"}).exit_code, 0);
    EXPECT_EQ(read_file(directory / "out/bundle.json"), text) << given;
  }
  EXPECT_EQ(
      craftbundle({"bundle", "--force", "--compression", ".", "-o", "../out"}, "model").exit_code,
      0);
  EXPECT_EQ(read_file(directory / "out/bundle.json"), text);
}

TEST_F(Commands, FilesOfAPlainCheckpointAreNone) {
  write_chime("model/weights.pt");
  EXPECT_EQ(craftbundle({"bundle", "--compression", "model/weights.pt", "-o", "out"}).exit_code, 0);
  const json component = json::parse(read_file(directory / "out/bundle.json"))["components"][0];
  EXPECT_EQ(component["source"], "weights.pt");
  ASSERT_EQ(component["files_read"].size(), 1u);
  EXPECT_EQ(component["files_read"][0]["name"], "config.json");
}

TEST_F(Commands, AveragesAreReadToo) {
  make_model("other/model_2");
  write_file(directory / "other/model_2/model.safetensors", weights(std::string(4, '\0')));
  EXPECT_EQ(craftbundle({"bundle", "--compression", "model", "--for",
                         "compression:average=other/model_2,model", "-o", "out"})
                .exit_code,
            0);
  const json component = json::parse(read_file(directory / "out/bundle.json"))["components"][0];
  std::vector<std::string> names;
  for (const json& file : component["files_read"]) names.push_back(file["name"]);
  EXPECT_THAT(names,
              ElementsAre("config.json", "model.safetensors", "config.json", "model.safetensors"));
  EXPECT_THAT(component["checks"].dump(), HasSubstr("the mean over 2 checkpoints"));
}

TEST_F(Commands, NeverOverwriteWhatTheyRead) {
  const ProgramResult result =
      craftbundle({"export", "model", "-o", "model/config.json", "--force"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, HasSubstr("[target.is_source]"));
  EXPECT_EQ(read_file(directory / "model/config.json"), kConfig);
}

TEST_F(Commands, SayWhatADirectoryHolds) {
  fs::remove(directory / "model/config.json");
  const ProgramResult result = craftbundle({"export", "model", "-o", "out.bin"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(
      result.errors,
      "error: 'model': the directory holds no checkpoint.th, it holds 'model.safetensors' "
      "[source.no_checkpoint]\n  hint: say with --config-from which model has the configuration of "
      "these weights\n");
}

class Runs : public DirectoriesTest {
 protected:
  void script(const std::string& stages) {
    write_file(directory / "run.yaml", "version: 1\nstages:\n" + stages);
  }
  // States by stage.
  std::map<std::string, std::string> run(std::vector<std::string> further = {}) {
    further.insert(further.begin(), {"run", "run.yaml", "--json"});
    report = report_of(further);
    std::map<std::string, std::string> states;
    for (const json& stage : report["stages"]) states[stage["name"]] = stage["state"];
    return states;
  }
  std::string reasons(const std::string& name) const {
    for (const json& stage : report["stages"]) {
      if (stage["name"] == name) return stage["reasons"].dump();
    }
    return "no stage " + name;
  }
  std::string explained(const std::string& name) {
    const ProgramResult result = craftbundle({"explain", "run.yaml", name});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return result.output;
  }

  json report;
};

constexpr const char* kExports = R"(  codec: {export: model, to: out/codec.bin}
  checked: {export: model}
  pack: {bundle: {compression: checked}, to: out/pack}
)";

TEST_F(Runs, DoAStageAgainWhenOnlyItsSecondFileChanged) {
  script(kExports);
  for (const auto& [name, state] : run()) EXPECT_EQ(state, "done") << name;
  for (const auto& [name, state] : run()) EXPECT_EQ(state, "up to date") << name;
  EXPECT_THAT(explained("codec"),
              AllOf(HasSubstr("would be skipped"), HasSubstr("  reads\n    source: model\n"),
                    HasSubstr("  read last time as well\n"
                              "    config.json of source: model/config.json\n"
                              "    model.safetensors of source: model/model.safetensors\n")));

  write_file(directory / "model/config.json", kOtherConfig);
  EXPECT_THAT(
      explained("codec"),
      HasSubstr("would run, because\n    contents of config.json of source have changed\n"));
  for (const auto& [name, state] : run()) EXPECT_EQ(state, "done") << name;
  EXPECT_EQ(reasons("codec"), R"(["contents of config.json of source have changed"])");
  EXPECT_THAT(reasons("pack"), HasSubstr("contents of config.json of compression have changed"));
  EXPECT_THAT(read_file(directory / "out/pack/bundle.json"), HasSubstr("24000"));
  for (const auto& [name, state] : run()) EXPECT_EQ(state, "up to date") << name;

  write_file(directory / "model/model.safetensors", weights("\1\2\3\5"));
  EXPECT_EQ(run().at("codec"), "done");
  EXPECT_EQ(reasons("codec"), R"(["contents of model.safetensors of source have changed"])");
}

TEST_F(Runs, CompareContentsAndNotTimes) {
  script(kExports);
  run();
  write_file(directory / "model/config.json", kConfig);
  fs::last_write_time(directory / "model/model.safetensors", 1'000'000);
  for (const auto& [name, state] : run()) EXPECT_EQ(state, "up to date") << name;
}

TEST_F(Runs, NoticeFilesThatComeAndGo) {
  script(kExports);
  run();
  write_file(directory / "model/model_2.safetensors", weights());
  fs::remove(directory / "model/model.safetensors");
  EXPECT_EQ(run().at("codec"), "done");
  EXPECT_THAT(reasons("codec"),
              AllOf(HasSubstr("contents of source have changed"),
                    HasSubstr("contents of model.safetensors of source are missing")));
  fs::remove(directory / "model/config.json");
  const ProgramResult result = craftbundle({"run", "run.yaml"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, HasSubstr("run.yaml:3:19: 'model': the directory holds no "
                                       "checkpoint.th, it holds 'model_2.safetensors'"));
}

// Where a directory lies decides nothing; what is in it does.
TEST_F(Runs, FollowADirectoryThatMoves) {
  make_model("a/model");
  make_model("b/model");
  write_file(directory / "run.yaml",
             "version: 1\nvars: {in: a}\nstages:\n  codec: {export: '${in}/model', to: c.bin}\n");
  EXPECT_EQ(run().at("codec"), "done");
  EXPECT_EQ(run({"--set", "in=b"}).at("codec"), "up to date");
  write_file(directory / "b/model/config.json", kOtherConfig);
  EXPECT_EQ(run().at("codec"), "up to date");
  EXPECT_EQ(run({"--set", "in=b"}).at("codec"), "done");
}

TEST_F(Runs, OutputsInTheDirectoryAreNoInputs) {
  script("  codec: {export: model, to: model/codec.bin}\n");
  EXPECT_EQ(run().at("codec"), "done");
  EXPECT_EQ(run().at("codec"), "up to date");
}

TEST_F(Runs, KnowFilesBesideACheckpoint) {
  write_chime("model/weights.pt");
  script("  codec: {export: model/weights.pt, to: codec.bin}\n");
  EXPECT_EQ(run().at("codec"), "done");
  EXPECT_EQ(run().at("codec"), "up to date");
  write_file(directory / "model/config.json", kOtherConfig);
  EXPECT_EQ(run().at("codec"), "done");
  EXPECT_EQ(reasons("codec"), R"(["contents of config.json of source have changed"])");
}

TEST_F(Runs, KnowFilesThatOptionsName) {
  fs::create_directories(directory / "texts");
  write_file(directory / "texts/note.txt", "one");
  script("  codec: {export: model, options: {notes: texts/note.txt}, to: codec.bin}\n");
  // Paths start at the script, wherever the run is started.
  const ProgramResult first = craftbundle({"run", (directory / "run.yaml").string()}, "model");
  EXPECT_EQ(first.exit_code, 0) << first.errors;
  EXPECT_EQ(run().at("codec"), "up to date");
  write_file(directory / "texts/note.txt", "two");
  EXPECT_EQ(run().at("codec"), "done");
  EXPECT_EQ(reasons("codec"), R"(["contents of note.txt of source have changed"])");
}

TEST_F(Runs, KnowWhatStagesOfPluginsRead) {
  write_file(directory / "text.txt", "text ");
  write_file(directory / "always.txt", "always");
  script("  words: {recite: model, options: {texts: text.txt}, to: words.txt}\n");
  EXPECT_EQ(run().at("words"), "done");
  EXPECT_EQ(read_file(directory / "words.txt"), "text always");
  EXPECT_EQ(run().at("words"), "up to date");
  write_file(directory / "always.txt", "never");
  EXPECT_EQ(run().at("words"), "done");
  EXPECT_EQ(reasons("words"), R"(["contents of always.txt have changed"])");
  EXPECT_EQ(read_file(directory / "words.txt"), "text never");
}

TEST_F(Runs, TakeDirectoriesThatOtherStagesMake) {
  const std::string copy = "rm -rf fetched; cp -r model fetched";
  script("  fetch: {command: '" + copy +
         "', shell: true, inputs: model, outputs: fetched}\n"
         "  codec: {export: fetch, to: codec.bin}\n");
  EXPECT_EQ(run().at("codec"), "done");
  EXPECT_EQ(run().at("codec"), "up to date");
  write_file(directory / "model/config.json", kOtherConfig);
  EXPECT_EQ(run().at("codec"), "done");
  EXPECT_EQ(reasons("codec"), R"(["contents of config.json of source have changed"])");
  write_file(directory / "model/notes.txt", "");
  EXPECT_EQ(run().at("fetch"), "done");
  // A directory that holds a checkpoint is that checkpoint.
  write_chime("model/checkpoint.th");
  EXPECT_EQ(run().at("codec"), "done");
  write_chime("model/checkpoint.th", "\4\3\2\1");
  EXPECT_EQ(run().at("codec"), "done");
  EXPECT_THAT(reasons("codec"), HasSubstr("have changed"));
  EXPECT_EQ(run().at("codec"), "up to date");
}

// Killed after the output appeared and before the journal said so: it is done, and it is known what
// it was made of.
TEST_F(Runs, RememberWhatWasReadWhenTheyAreKilled) {
  script("  codec: {export: model, to: codec.bin}\n");
  run();
  const Path record = directory / ".craftbundle/run.yaml/stages/codec.json";
  json written = json::parse(read_file(record));
  written["state"] = "started";
  written["files"] = json::array();
  write_file(record, written.dump());
  EXPECT_EQ(run().at("codec"), "up to date");
  write_file(directory / "model/config.json", kOtherConfig);
  EXPECT_EQ(run().at("codec"), "done");
  EXPECT_EQ(reasons("codec"), R"(["contents of config.json of source have changed"])");
}

TEST_F(Runs, InspectThem) {
  script("  look: {inspect: model, to: look.json}\n");
  EXPECT_EQ(run().at("look"), "done");
  EXPECT_EQ(json::parse(read_file(directory / "look.json"))["source_kind"], "directory");
}

}  // namespace
}  // namespace craftbundle
