#include "craftbundle/detail/pipeline/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>

#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using testing::expect_error;
using ::testing::HasSubstr;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

StageRecord example(const std::string& stage) {
  StageRecord record;
  record.stage = stage;
  record.state = StageRecord::State::done;
  record.key = {{"kind", "export"}, {"option state", "ema"}};
  record.read = {{"config.json of source", "source", "config.json", "sha256:12"},
                 {"note.txt of source", "", "/elsewhere/note.txt", "sha256:34"}};
  record.outputs = {{"file", "zip:12"}};
  record.files = {{"/a/b", 12, -5, 7, 99, "sha256:ab"}, {"/a/c", 1, 2, 3, 4, ""}};
  record.result.bytes = 1ull << 40;
  record.result.summary = {{"tensors", "36"}};
  record.result.checks = {"all is well", "with \"quotes\"\n"};
  record.result.warnings = {"caf\u00e9"};
  record.result.tools = {{"exporter x", "1"}};
  record.seconds = 1.5;
  record.finished = "2026-11-23T19:10:00Z";
  return record;
}

class JournalTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory;
  Journal journal{directory / "state"};
};

TEST_F(JournalTest, KnowsNothingAtFirstAndWritesNothing) {
  EXPECT_FALSE(journal.read("a"));
  EXPECT_TRUE(journal.known_files().empty());
  EXPECT_FALSE(fs::exists(directory / "state"));
}

TEST_F(JournalTest, ReadsWhatItWrote) {
  const StageRecord record = example("lm-small@2");
  journal.write(record);
  const auto read = Journal(directory / "state").read("lm-small@2");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->state, StageRecord::State::done);
  EXPECT_EQ(read->key, record.key);
  EXPECT_EQ(read->outputs, record.outputs);
  ASSERT_EQ(read->read.size(), 2u);
  EXPECT_EQ(read->read[0].name, "config.json of source");
  EXPECT_EQ(read->read[0].input, "source");
  EXPECT_EQ(read->read[0].file, "config.json");
  EXPECT_EQ(read->read[0].id, "sha256:12");
  EXPECT_EQ(read->read[1].input, "");
  ASSERT_EQ(read->files.size(), 2u);
  EXPECT_EQ(read->files[0].path, "/a/b");
  EXPECT_EQ(read->files[0].modified_ns, -5);
  EXPECT_EQ(read->files[0].id, "sha256:ab");
  EXPECT_EQ(read->result.bytes, record.result.bytes);
  EXPECT_EQ(read->result.checks, record.result.checks);
  EXPECT_EQ(read->result.warnings, record.result.warnings);
  EXPECT_EQ(read->result.tools, record.result.tools);
  EXPECT_EQ(read->seconds, 1.5);
  EXPECT_EQ(read->finished, record.finished);
}

TEST_F(JournalTest, StaysOutOfRepositories) {
  journal.write(example("a"));
  EXPECT_EQ(read_file(directory / "state/.gitignore"), "*\n");
}

TEST_F(JournalTest, RecordsThatCannotBeReadAreNone) {
  journal.write(example("a"));
  const Path file = directory / "state/stages/a.json";
  const std::string text = read_file(file);
  for (const std::string& broken :
       {text.substr(0, text.size() / 2), std::string(), std::string("[]"), std::string("{}"),
        std::string(text).replace(text.find("\"done\""), 6, "\"gone\""),
        // Numbers that nothing they are read as can hold.
        std::string(text).insert(text.find("\"size\": ") + 8, "1e300, \"x\": "),
        std::string(text).insert(text.find("\"changed_ns\": ") + 14, "1e19, \"x\": "),
        std::string(text).insert(text.find("\"seconds\": ") + 11, "1e999, \"x\": "),
        std::string(text).replace(text.find("\"a\""), 3, "\"b\"")}) {
    write_file(file, broken);
    EXPECT_FALSE(journal.read("a")) << broken;
  }
  EXPECT_TRUE(journal.known_files().empty());
}

// As they were written when nothing but inputs was known of.
TEST_F(JournalTest, RecordsMayNotSayWhatWasReadBesideInputs) {
  journal.write(example("a"));
  const Path file = directory / "state/stages/a.json";
  std::string text = read_file(file);
  const std::size_t begin = text.find(" \"read\": [");
  const std::size_t end = text.find(" \"outputs\"");
  ASSERT_TRUE(begin != std::string::npos && end != std::string::npos && begin < end);
  write_file(file, text.erase(begin, end - begin));
  const auto read = journal.read("a");
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->read.empty());
  EXPECT_EQ(read->outputs.size(), 1u);
}

TEST_F(JournalTest, KnowsTheFilesOfAllStages) {
  journal.write(example("a"));
  StageRecord other = example("b");
  other.files = {{"/d", 1, 1, 1, 1, "sha256:cd"}};
  journal.write(other);
  std::vector<std::string> known;
  for (const FileState& file : journal.known_files()) known.push_back(file.path + " " + file.id);
  EXPECT_THAT(known, ::testing::UnorderedElementsAre("/a/b sha256:ab", "/d sha256:cd"));
}

TEST_F(JournalTest, KeepsOtherRunsAway) {
  Journal second(directory / "state");
  {
    Journal first(directory / "state");
    first.lock(false);
    expect_error(ErrorKind::system, "run.busy",
                 ::testing::AllOf(HasSubstr("another run of this script is going on"),
                                  HasSubstr("/state/lock")),
                 [&] { second.lock(false); });
    expect_error(ErrorKind::system, "run.busy", ::testing::_, [&] { second.lock(true); });
  }
  second.lock(false);
}

TEST_F(JournalTest, StagesOfEnginesShareTheScript) {
  Journal first(directory / "state");
  Journal second(directory / "state");
  first.lock(true);
  second.lock(true);
  first.lock_stage("a");
  second.lock_stage("b");
  expect_error(ErrorKind::system, "run.busy", HasSubstr("stage 'a'"),
               [&] { second.lock_stage("a"); });
}

TEST_F(JournalTest, SaysWhereItCannotWrite) {
  write_file(directory / "state", "a file is in the way");
  expect_error(ErrorKind::system, "io.enotdir", HasSubstr("/state"),
               [&] { journal.write(example("a")); });
}

TEST(Fingerprint, IsAboutWhatWasReadToo) {
  StageRecord record = example("a");
  const std::string before = fingerprint_of(record);
  EXPECT_EQ(before, fingerprint_of(example("b")));
  record.read[0].id = "sha256:99";
  EXPECT_NE(fingerprint_of(record), before);
}

TEST(Fingerprint, TellsEverythingApart) {
  EXPECT_EQ(fingerprint({{"a", "b"}}), fingerprint({{"a", "b"}}));
  EXPECT_NE(fingerprint({{"a", "b"}}), fingerprint({{"ab", ""}}));
  EXPECT_NE(fingerprint({{"a", "b"}, {"c", "d"}}), fingerprint({{"a", "b"}}));
}

}  // namespace
}  // namespace craftbundle
