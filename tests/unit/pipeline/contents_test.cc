#include "craftbundle/detail/pipeline/contents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>

#include "craftbundle/detail/checkpoint/container.h"
#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using ::testing::HasSubstr;
using testing::read_file;
using ::testing::StartsWith;
using testing::TemporaryDirectory;
using testing::write_file;

const Path kCheckpoint = Path(CRAFTBUNDLE_TEST_DATA) / "golden/data/encodec_train.th";

// One byte in the middle of the tensor data becomes another.
void damage(const Path& file) {
  std::string bytes = read_file(file);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(file, bytes);
}

class ContentsTest : public ::testing::Test {
 protected:
  Contents contents(const std::vector<FileState>& known = {}) {
    return {known, Cancellation::never()};
  }
  TemporaryDirectory directory;
};

TEST_F(ContentsTest, CheckpointsAreKnownByTheirDirectory) {
  const Path copy = directory / "copy.th";
  fs::copy_file(kCheckpoint, copy);
  EXPECT_THAT(contents().id(copy), StartsWith("zip:"));
  EXPECT_EQ(contents().id(copy), contents().id(kCheckpoint));
}

TEST_F(ContentsTest, TouchingChangesNothing) {
  const Path file = directory / "file";
  write_file(file, "text");
  const std::string id = contents().id(file);
  fs::last_write_time(file, 1000);
  EXPECT_EQ(contents().id(file), id);
  EXPECT_EQ(id, "sha256:982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1");
}

TEST_F(ContentsTest, TreesAreNamesAndContents) {
  fs::create_directories(directory / "tree/sub");
  write_file(directory / "tree/sub/a", "1");
  const std::string id = contents().id(directory / "tree");
  EXPECT_THAT(id, StartsWith("tree:"));
  write_file(directory / "tree/own", "x");
  EXPECT_NE(contents().id(directory / "tree"), id);
  EXPECT_EQ(contents().id(directory / "tree", {directory / "tree/own"}), id);
  fs::rename(directory / "tree/sub/a", directory / "tree/sub/b");
  EXPECT_NE(contents().id(directory / "tree", {directory / "tree/own"}), id);
}

TEST_F(ContentsTest, TreesHaveTheFilesThatLinksLeadTo) {
  fs::create_directories(directory / "tree");
  write_file(directory / "blob", "1");
  fs::create_symlink("../blob", directory / "tree/a");
  fs::create_symlink("../none", directory / "tree/b");
  const std::string id = contents().id(directory / "tree");
  write_file(directory / "blob", "2");
  EXPECT_NE(contents().id(directory / "tree"), id);
}

TEST_F(ContentsTest, SourcesAreKnownByTheNamesInThem) {
  fs::create_directories(directory / "model/sub");
  write_file(directory / "model/config.json", "1");
  const std::string id = contents().source_id(directory / "model");
  EXPECT_THAT(id, StartsWith("names:"));
  write_file(directory / "model/config.json", "2");
  write_file(directory / "model/sub/x", "");
  write_file(directory / "model/.hidden", "");
  EXPECT_EQ(contents().source_id(directory / "model"), id);
  write_file(directory / "model/out.bin", "");
  EXPECT_EQ(contents().source_id(directory / "model", {directory / "model/out.bin"}), id);
  EXPECT_NE(contents().source_id(directory / "model"), id);
  EXPECT_EQ(contents().source_id(kCheckpoint), contents().id(kCheckpoint));
}

TEST_F(ContentsTest, OpenedFilesAreWhatLiesThere) {
  const Path path = directory / "file";
  write_file(path, "old");
  const InputFile file(path);
  EXPECT_EQ(contents().opened_id(file), contents().id(path));
  // What was read is not what lies there now.
  write_file(directory / "new", "new");
  fs::rename(directory / "new", path);
  EXPECT_EQ(contents().opened_id(file), "replaced");
  const InputFile other(path);
  write_file(path, "longer");
  testing::expect_error(ErrorKind::input, "io.changed", ::testing::HasSubstr("file: changed"),
                        [&] { contents().opened_id(other); });
}

TEST_F(ContentsTest, DamagedOutputsAreFoundOut) {
  const Path copy = directory / "copy.th";
  fs::copy_file(kCheckpoint, copy);
  Contents first = contents();
  const std::string id = first.written_id(copy);
  EXPECT_TRUE(contents().still_is(copy, id));
  damage(copy);
  // The directory of the archive is the same; only reading all of it tells.
  EXPECT_EQ(contents().id(copy), id);
  EXPECT_FALSE(contents().still_is(copy, id));
}

TEST_F(ContentsTest, KnownFilesAreNotReadAgain) {
  const Path file = directory / "file";
  write_file(file, "text");
  FileState state = *file_state(file);
  state.id = "sha256:as remembered";
  FileState earlier = state;
  earlier.changed_ns -= 1;
  earlier.id = "sha256:of before";
  EXPECT_EQ(contents({earlier, state}).id(file), "sha256:as remembered");
  EXPECT_EQ(contents({state, earlier}).id(file), "sha256:as remembered");
  state.device = 0;  // as the journal has it
  EXPECT_EQ(contents({state}).id(file), "sha256:as remembered");
  state.device = file_state(file)->device + 1;
  EXPECT_NE(contents({state}).id(file), "sha256:as remembered");
  state.device = 0;
  write_file(file, "other");
  EXPECT_NE(contents({state}).id(file), "sha256:as remembered");
}

// Who only looked at the directory of an archive cannot say that its bytes are what they were.
TEST_F(ContentsTest, WhatWasLookedUpIsReadWhereEveryByteCounts) {
  const Path copy = directory / "copy.th";
  fs::copy_file(kCheckpoint, copy);
  const std::string id = contents().id(copy);
  damage(copy);
  FileState state = *file_state(copy);
  state.id = id;
  Contents later({}, Cancellation::never(), ContentCheck::crc, {state});
  EXPECT_FALSE(later.still_is(copy, id));
  state.id = "zip:as remembered";
  EXPECT_EQ(Contents({}, Cancellation::never(), ContentCheck::crc, {state}).id(copy),
            "zip:as remembered");
}

TEST_F(ContentsTest, TellsWhatWasAskedFor) {
  const Path file = directory / "file";
  write_file(file, "text");
  FileState state = *file_state(file);
  state.id = "sha256:as remembered";
  FileState other = state;
  other.path = "/other";
  Contents known = contents({state, other});
  EXPECT_TRUE(known.states().empty());
  known.id(file);
  EXPECT_THAT(known.states(), ::testing::ElementsAre(state));
}

TEST(CheckRecords, NamesTheDamagedRecord) {
  const TemporaryDirectory directory;
  const Path copy = directory / "copy.th";
  fs::copy_file(kCheckpoint, copy);
  EXPECT_GT(check_records(InputFile(copy), Cancellation::never()), 100u);
  damage(copy);
  testing::expect_error(ErrorKind::input, "zip.crc", HasSubstr("copy.th: record 'data/"),
                        [&] { check_records(InputFile(copy), Cancellation::never()); });
}

}  // namespace
}  // namespace craftbundle
