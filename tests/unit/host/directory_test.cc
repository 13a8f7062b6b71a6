// Directories as sources: which exporter takes one, and what it has read of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include "fixtures.h"
#include "support/error_matchers.h"
#include "unit/checkpoint/safetensors_builder.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using ::testing::ElementsAre;
using testing::expect_error;
using testing::fixture;
using ::testing::HasSubstr;
using testing::is_mapped;
using testing::only;
using testing::safetensors_bytes;
using testing::TemporaryDirectory;
using testing::write_file;

constexpr const char* kConfig = R"({"model_type": "chime", "sample_rate": 16000})";

// A safetensors file of one tensor, [1] of float32.
std::string weights(const std::string& name) {
  return safetensors_bytes(
      R"({")" + name + R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "\1\2\3\4");
}

class DirectoryTest : public ::testing::Test {
 protected:
  DirectoryTest() { fs::create_directory(directory_ / "model"); }

  void write(const std::string& name, const std::string& text) {
    write_file(directory_ / "model" / name, text);
  }
  void write_model() {
    write("config.json", kConfig);
    write("model.safetensors", weights("a"));
  }
  Source resolve(const std::string& given = "model") {
    return resolve_source(given, {{}, directory_.path()}, host_);
  }
  PreparedComponent prepare(const std::string& given = "model",
                            std::vector<OptionValue> options = {}) {
    return host_.prepare({resolve(given), {}, {}, std::move(options), {}, directory_.path()});
  }
  // A checkpoint of the tensor 'a'.
  void write_chime(const Path& path) {
    write_file(directory_ / "a.safetensors", weights("a"));
    const auto file = Safetensors::open(directory_ / "a.safetensors");
    testing::write_checkpoint(
        path, {{"chime", Value::Dict{{"a", std::get<Tensor>(file->tensors()[0].tensor)}}}});
  }
  // A directory of the same files, as the cache of a hub has it.
  void make_snapshot() {
    const Path blobs = directory_ / "models--x--y/blobs";
    const Path snapshot = directory_ / "models--x--y/snapshots/0123abcd";
    fs::create_directories(blobs);
    fs::create_directories(snapshot);
    write_file(blobs / "c0ffee", kConfig);
    write_file(blobs / "f00d", weights("a"));
    fs::create_symlink("../../blobs/c0ffee", snapshot / "config.json");
    fs::create_symlink("../../blobs/f00d", snapshot / "model.safetensors");
  }

  TemporaryDirectory directory_;
  Host host_{only({fixture("good"), fixture("directories")})};
};

// The names that were read, those elsewhere in brackets.
std::vector<std::string> names_read(const PreparedComponent& prepared) {
  std::vector<std::string> names;
  for (const ReadFile& read : prepared.read) {
    names.push_back(read.is_below ? read.name : "(" + read.name + ")");
  }
  return names;
}

std::vector<std::string> tensor_names(const PreparedComponent& prepared) {
  std::vector<std::string> names;
  for (const NamedTensor& named : prepared.component.model()->tensors) names.push_back(named.name);
  return names;
}

TEST_F(DirectoryTest, IsListedByNames) {
  write_model();
  write(".hidden", "");
  fs::create_directory(directory_ / "model/sub");
  const Source source = resolve();
  EXPECT_EQ(source.kind(), AcceptedSource::Kind::directory);
  EXPECT_EQ(source.given(), "model");
  EXPECT_EQ(source.directory().path(), directory_ / "model");
  EXPECT_THAT(source.directory().files(), ElementsAre("config.json", "model.safetensors"));
  EXPECT_TRUE(source.directory().has("config.json"));
  EXPECT_FALSE(source.directory().has("config"));
  EXPECT_FALSE(source.directory().has(".hidden"));
  expect_error(ErrorKind::system, "io.enoent", HasSubstr("none"),
               [&] { SourceDirectory(directory_ / "none"); });
}

TEST_F(DirectoryTest, IsExportedByWhoNamesItsFiles) {
  write_model();
  const PreparedComponent prepared = prepare();
  EXPECT_EQ(prepared.exporter.name, "chime");
  EXPECT_EQ(prepared.probe.confidence, 100);
  EXPECT_EQ(prepared.component.model()->family, "chime");
  EXPECT_THAT(tensor_names(prepared), ElementsAre("a"));
  EXPECT_THAT(names_read(prepared), ElementsAre("config.json", "model.safetensors"));
  EXPECT_EQ(prepared.read[0].file->size(), std::string(kConfig).size());
}

TEST_F(DirectoryTest, MayHaveShardsOrPickledWeights) {
  write("config.json", kConfig);
  write("model-00001-of-00002.safetensors", weights("a"));
  write("model-00002-of-00002.safetensors", weights("b"));
  write("model.safetensors.index.json",
        R"({"weight_map": {"a": "model-00001-of-00002.safetensors",
                           "b": "model-00002-of-00002.safetensors"}})");
  const PreparedComponent sharded = prepare();
  EXPECT_THAT(tensor_names(sharded), ElementsAre("a", "b"));
  EXPECT_THAT(names_read(sharded),
              ElementsAre("config.json", "model-00001-of-00002.safetensors",
                          "model-00002-of-00002.safetensors", "model.safetensors.index.json"));
  fs::remove_all(directory_ / "model");
  fs::create_directory(directory_ / "model");
  write("config.json", kConfig);
  write_chime(directory_ / "model/pytorch_model.bin");
  const PreparedComponent pickled = prepare();
  EXPECT_THAT(tensor_names(pickled), ElementsAre("a"));
  EXPECT_THAT(names_read(pickled), ElementsAre("config.json", "pytorch_model.bin"));
}

TEST_F(DirectoryTest, OfLinksIsReadByItsNames) {
  make_snapshot();
  const PreparedComponent prepared = prepare("models--x--y/snapshots/0123abcd");
  EXPECT_THAT(names_read(prepared), ElementsAre("config.json", "model.safetensors"));
  EXPECT_THAT(tensor_names(prepared), ElementsAre("a"));
  // A link to the directory itself is as good.
  fs::create_directory_symlink("models--x--y/snapshots/0123abcd", directory_ / "link");
  EXPECT_THAT(names_read(prepare("link")), ElementsAre("config.json", "model.safetensors"));
}

TEST_F(DirectoryTest, WithADanglingLinkSaysSo) {
  make_snapshot();
  fs::remove(directory_ / "models--x--y/blobs/f00d");
  try {
    resolve("models--x--y/snapshots/0123abcd");
    ADD_FAILURE() << "was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "source.no_checkpoint");
    EXPECT_EQ(error.hint(),
              "'model.safetensors' is a link to '../../blobs/f00d', which does not exist: copy "
              "what it links to as well");
  }
}

TEST_F(DirectoryTest, OfAHubIsGivenByItsSnapshot) {
  make_snapshot();
  try {
    resolve("models--x--y");
    ADD_FAILURE() << "was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "source.no_checkpoint");
    EXPECT_EQ(error.message(),
              "'models--x--y' is a model in the cache of a hub, with its revisions in 'snapshots'");
    EXPECT_EQ(error.hint(),
              "give '" + (directory_ / "models--x--y/snapshots/0123abcd").string() + "'");
  }
}

TEST_F(DirectoryTest, ThatNobodyTakesSaysWhatItHolds) {
  write("config.json", kConfig);
  write("notes.txt", "");
  expect_error(ErrorKind::input, "source.no_checkpoint",
               "'model': the directory holds no checkpoint.th, it holds 'config.json' and "
               "'notes.txt'",
               [&] { resolve(); });
  // By its names alone: nothing was mapped to find out.
  EXPECT_FALSE(host_.takes_directory(std::vector<std::string>{"config.json", "notes.txt"}));
  EXPECT_TRUE(host_.takes_directory(std::vector<std::string>{"config.json", "x.safetensors"}));
  EXPECT_FALSE(host_.takes_directory(std::vector<std::string>{}));
}

TEST_F(DirectoryTest, WithACheckpointIsThat) {
  write_model();
  testing::write_checkpoint(directory_ / "model/checkpoint.th", {{"tone", std::int64_t{50}}});
  EXPECT_EQ(resolve().kind(), AcceptedSource::Kind::checkpoint);
  EXPECT_EQ(prepare().exporter.name, "tone");
}

TEST_F(DirectoryTest, OfAnotherModelIsRefusedWithTheReason) {
  write_model();
  write("config.json", R"({"model_type": "gong"})");
  expect_error(ErrorKind::input, "exporter.none",
               "no exporter understands 'model': chime (0%): config.json names another model",
               [&] { prepare(); });
  write("config.json", "{");
  expect_error(ErrorKind::input, "exporter.none", HasSubstr("config.json is no configuration"),
               [&] { prepare(); });
}

TEST_F(DirectoryTest, IsNothingForExportersOfFiles) {
  write_model();
  expect_error(ErrorKind::usage, "exporter.kind",
               "exporter 'tone' does not take directories, and 'model' is one", [&] {
                 host_.prepare({resolve(), {}, "tone", {}, {}});
               });
}

TEST_F(DirectoryTest, OfOtherFilesIsNotAskedFor) {
  write("other.bin", "");
  const auto listed = std::make_shared<const SourceDirectory>(directory_ / "model");
  const Host alone(only({testing::copy_plugin("fixture_codecs", directory_.path()).parent_path()}));
  EXPECT_TRUE(alone.probe(Source::of_directory("model", listed)).empty());
  const std::vector<Candidate> answers = host_.probe(Source::of_directory("model", listed));
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].exporter, "chime");
  EXPECT_EQ(answers[0].probe.confidence, 0);
  EXPECT_EQ(answers[0].probe.reason,
            "takes directories of other files: 'config.json' and '*.safetensors', or 'config.json' "
            "and 'pytorch_model*.bin'");
}

TEST_F(DirectoryTest, MapsOnlyWhoseFilesAreThere) {
  TemporaryDirectory plugins;
  const Path from = fixture("directories/fixture_directories.so");
  const Path copy = plugins / "fixture_directories.so";
  fs::copy_file(from, copy);
  fs::copy_file(sidecar_path(from), sidecar_path(copy));
  const Host host(only({plugins.path()}));
  write("config.json", kConfig);
  EXPECT_THROW(resolve_source("model", {{}, directory_.path()}, host), Error);
  host.probe(
      Source::of_directory("model", std::make_shared<const SourceDirectory>(directory_ / "model")));
  EXPECT_FALSE(is_mapped(copy));
  write_model();
  // probe() of a plugin that is not part of the installation is called elsewhere.
  EXPECT_EQ(host.probe(resolve_source("model", {{}, directory_.path()}, host)).size(), 1u);
  EXPECT_FALSE(is_mapped(copy));
  host.prepare({resolve_source("model", {{}, directory_.path()}, host), {}, {}, {}});
  EXPECT_TRUE(is_mapped(copy));
}

TEST_F(DirectoryTest, FilesBesideACheckpointAreReadToo) {
  make_snapshot();
  const Path snapshot = directory_ / "models--x--y/snapshots/0123abcd";
  write_chime(directory_ / "models--x--y/blobs/bead");
  // Beside the name, not beside what it links to.
  fs::create_symlink("../../blobs/bead", snapshot / "weights.pt");
  const PreparedComponent prepared = prepare("models--x--y/snapshots/0123abcd/weights.pt");
  EXPECT_EQ(prepared.source.kind(), AcceptedSource::Kind::checkpoint);
  EXPECT_THAT(names_read(prepared), ElementsAre("config.json"));
}

// Revisions in the cache of a hub share what they have in common.
TEST_F(DirectoryTest, CheckpointsThatAreOneFileHaveTheirOwnNeighbours) {
  write_chime(directory_ / "blob");
  for (const char* name : {"one", "two"}) {
    fs::create_directory(directory_ / name);
    fs::create_symlink("../blob", directory_ / name / "weights.pt");
  }
  write_file(directory_ / "one/config.json", kConfig);
  write_file(directory_ / "two/config.json", R"({"model_type": "chime", "sample_rate": 8000})");
  const PreparedComponent one = prepare("one/weights.pt");
  const PreparedComponent two = prepare("two/weights.pt");
  EXPECT_EQ(one.component.provides[0].value, FactValue(std::int64_t{16000}));
  EXPECT_EQ(two.component.provides[0].value, FactValue(std::int64_t{8000}));
}

TEST_F(DirectoryTest, OptionsNameFilesFromTheScriptOn) {
  write_model();
  write_file(directory_ / "note.txt", "from the script");
  write("note.txt", "from the source");
  const PreparedComponent prepared = prepare("model", {{"notes", "note.txt"}});
  EXPECT_THAT(names_read(prepared), ElementsAre("config.json", "model.safetensors", "(note.txt)"));
  const auto& extra = prepared.component.model()->extra;
  ASSERT_EQ(extra.size(), 1u);
  EXPECT_EQ(*extra[0].second.get_if<std::string>(), "from the script");
  expect_error(ErrorKind::system, "io.enoent", HasSubstr((directory_ / "none.txt").string()), [&] {
    prepare("model", {{"notes", "none.txt"}});
  });
}

using FileReaderTest = DirectoryTest;

TEST_F(FileReaderTest, RemembersEachFileOnce) {
  write_model();
  write_file(directory_ / "far.txt", "far");
  FileReader reader(directory_ / "model", &Checkpoint::open);
  reader.open_file("config.json");
  reader.open_file("../model/config.json");
  reader.open_file(directory_ / "model/config.json");
  reader.open_file("../far.txt");
  std::vector<std::string> names;
  for (const ReadFile& read : reader.read()) {
    names.push_back(read.name + (read.is_below ? " below" : ""));
  }
  EXPECT_THAT(names, ElementsAre("far.txt", "config.json below"));
  expect_error(ErrorKind::input, "io.not_a_file", HasSubstr("is a directory"),
               [&] { reader.open_file("."); });
}

TEST_F(FileReaderTest, NeedsAPlaceForRelativePaths) {
  FileReader reader(std::nullopt, &Checkpoint::open);
  expect_error(ErrorKind::plugin, "read.relative",
               "asks for the file 'config.json' beside a source that lies in no directory",
               [&] { reader.open_file("config.json"); });
  write_model();
  EXPECT_EQ(reader.open_file(directory_ / "model/config.json")->size(),
            std::string(kConfig).size());
}

TEST_F(FileReaderTest, TextsAreSmall) {
  write("config.json", kConfig);
  ReadingContext<ExportContext> context(directory_ / "model", &Checkpoint::open, Sink::none(),
                                        Cancellation::never());
  EXPECT_EQ(context.read_text("config.json"), kConfig);
  expect_error(ErrorKind::input, "read.too_large", HasSubstr("45 B, expected at most 44 B"),
               [&] { context.read_text("config.json", 44); });
  ASSERT_EQ(::truncate((directory_ / "model/config.json").c_str(), 65 << 20), 0);
  const SourceDirectory listed(directory_ / "model");
  expect_error(ErrorKind::input, "read.too_large",
               HasSubstr("config.json: has 65.0 MiB, expected at most 64.0 MiB"),
               [&] { listed.text("config.json"); });
  EXPECT_TRUE(listed.read().empty());
}

}  // namespace
}  // namespace craftbundle
