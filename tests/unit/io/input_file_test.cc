#include "craftbundle/detail/io/input_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>

#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using ::testing::Eq;
using testing::expect_error;
using testing::TemporaryDirectory;
using testing::write_file;

TEST(InputFile, ReadsAtRandomPositions) {
  const TemporaryDirectory directory;
  write_file(directory / "file", "0123456789");
  const InputFile file(directory / "file");
  EXPECT_EQ(file.size(), 10U);
  EXPECT_EQ(file.read_text(7, 3), "789");
  EXPECT_EQ(file.read_text(0, 1), "0");
  EXPECT_EQ(file.read_text(10, 0), "");
}

TEST(InputFile, MissingFileIsNamed) {
  const TemporaryDirectory directory;
  const std::string path = (directory / "none").string();
  expect_error(ErrorKind::system, "io.enoent", Eq(path + ": No such file or directory"),
               [&] { InputFile file(path); });
}

TEST(InputFile, OnlyRegularFiles) {
  const TemporaryDirectory directory;
  const std::string folder = directory.path().string();
  expect_error(ErrorKind::input, "io.not_a_file", Eq(folder + ": is a directory, expected a file"),
               [&] { InputFile file(folder); });
  const std::string fifo = (directory / "fifo").string();
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  expect_error(ErrorKind::input, "io.not_a_file", Eq(fifo + ": is a FIFO, expected a file"),
               [&] { InputFile file(fifo); });
  expect_error(ErrorKind::input, "io.not_a_file", Eq("/dev/null: is a device, expected a file"),
               [&] { InputFile file("/dev/null"); });
}

TEST(InputFile, ShrinkingIsAnErrorNotASignal) {
  const TemporaryDirectory directory;
  const Path path = directory / "file";
  write_file(path, "0123456789");
  const InputFile file(path);
  boost::filesystem::resize_file(path, 4);
  std::array<std::byte, 4> buffer{};
  expect_error(ErrorKind::input, "io.truncated",
               Eq(path.string() + ": ends at byte 4, 2 more were expected"),
               [&] { file.read(2, buffer); });
  expect_error(ErrorKind::input, "io.changed", Eq(path.string() + ": changed while it was read"),
               [&] { file.check_unchanged(); });
}

// Whoever writes can set the time of the last write back, and with it the look of the file.
TEST(InputFile, OverwrittenFileWithItsOldTimesIsChanged) {
  const TemporaryDirectory directory;
  const Path path = directory / "file";
  write_file(path, "0123456789");
  const InputFile file(path);
  struct stat before {};
  ASSERT_EQ(::stat(path.c_str(), &before), 0);
  struct stat after = before;
  // Times stand still for some milliseconds.
  while (after.st_ctim.tv_sec == before.st_ctim.tv_sec &&
         after.st_ctim.tv_nsec == before.st_ctim.tv_nsec) {
    write_file(path, "9876543210");
    const timespec times[] = {before.st_atim, before.st_mtim};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    ASSERT_EQ(::stat(path.c_str(), &after), 0);
  }
  ASSERT_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
  expect_error(ErrorKind::input, "io.changed", Eq(path.string() + ": changed while it was read"),
               [&] { file.check_unchanged(); });
}

TEST(InputFile, UnchangedFilePasses) {
  const TemporaryDirectory directory;
  write_file(directory / "file", "x");
  const InputFile file(directory / "file");
  EXPECT_NO_THROW(file.check_unchanged());
}

TEST(InputFile, KnowsItselfThroughLinks) {
  const TemporaryDirectory directory;
  write_file(directory / "file", "x");
  write_file(directory / "other", "x");
  boost::filesystem::create_symlink(directory / "file", directory / "link");
  const InputFile file(directory / "file");
  EXPECT_TRUE(file.is_same_file(directory / "link"));
  EXPECT_FALSE(file.is_same_file(directory / "other"));
  EXPECT_FALSE(file.is_same_file(directory / "none"));
}

}  // namespace
}  // namespace craftbundle
