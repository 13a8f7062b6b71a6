#include "craftbundle/detail/io/output_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <string>
#include <tuple>
#include <vector>

#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using ::testing::Eq;
using testing::expect_error;
using ::testing::HasSubstr;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

class OutputFileTest
    : public ::testing::TestWithParam<std::tuple<Durability, OutputFile::Temporary>> {
 protected:
  OutputFile create() const {
    return OutputFile(directory_.path(), std::get<0>(GetParam()), std::get<1>(GetParam()));
  }
  // What a file that is being written shows in its directory.
  std::size_t visible() const {
    return std::get<1>(GetParam()) == OutputFile::Temporary::hidden ? 1 : 0;
  }

  TemporaryDirectory directory_;
};

TEST_P(OutputFileTest, AppearsWhenPublished) {
  OutputFile file = create();
  file.write("hello ");
  file.write("world");
  EXPECT_EQ(file.size(), 11U);
  EXPECT_EQ(directory_.names().size(), visible());
  file.publish(directory_ / "out", false);
  EXPECT_EQ(read_file(directory_ / "out"), "hello world");
  EXPECT_EQ(directory_.names(), std::vector<std::string>{"out"});
}

TEST_P(OutputFileTest, LeavesNothingWhenDropped) {
  {
    OutputFile file = create();
    file.write("part");
  }
  EXPECT_TRUE(directory_.names().empty());
}

TEST_P(OutputFileTest, KeepsAnExistingFileUnlessReplaced) {
  write_file(directory_ / "out", "old");
  {
    OutputFile file = create();
    file.write("new");
    expect_error(ErrorKind::usage, "target.exists", Eq((directory_ / "out").string() + ": exists"),
                 [&] { file.publish(directory_ / "out", false); });
  }
  EXPECT_EQ(read_file(directory_ / "out"), "old");
  OutputFile file = create();
  file.write("new");
  file.publish(directory_ / "out", true);
  EXPECT_EQ(read_file(directory_ / "out"), "new");
  EXPECT_EQ(directory_.names(), std::vector<std::string>{"out"});
}

TEST_P(OutputFileTest, HasThePermissionsOfANewFile) {
  write_file(directory_ / "ordinary", "");
  OutputFile file = create();
  file.publish(directory_ / "out", false);
  struct stat ordinary {};
  struct stat published {};
  ASSERT_EQ(::stat((directory_ / "ordinary").c_str(), &ordinary), 0);
  ASSERT_EQ(::stat((directory_ / "out").c_str(), &published), 0);
  EXPECT_EQ(published.st_mode, ordinary.st_mode);
}

TEST_P(OutputFileTest, ReservedSpaceIsNotPartOfTheFile) {
  OutputFile file = create();
  file.reserve(1 << 20);
  file.write("x");
  file.publish(directory_ / "out", false);
  EXPECT_EQ(boost::filesystem::file_size(directory_ / "out"), 1U);
}

TEST_P(OutputFileTest, CopiesPartsOfOtherFiles) {
  std::string content(3 << 20, 'x');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7 % 251);
  write_file(directory_ / "in", content);
  const InputFile source(directory_ / "in");
  OutputFile file = create();
  file.write("head");
  file.copy(source, 5, content.size() - 9);
  file.copy(source, 0, 0);
  file.write("tail");
  EXPECT_EQ(file.size(), content.size() - 1);
  file.publish(directory_ / "out", false);
  EXPECT_EQ(read_file(directory_ / "out"), "head" + content.substr(5, content.size() - 9) + "tail");
}

TEST_P(OutputFileTest, CopyBeyondTheEndIsAnError) {
  write_file(directory_ / "in", "0123456789");
  const InputFile source(directory_ / "in");
  OutputFile file = create();
  expect_error(ErrorKind::input, "io.truncated",
               Eq((directory_ / "in").string() + ": ends at byte 10, 5 more were expected"),
               [&] { file.copy(source, 5, 10); });
}

INSTANTIATE_TEST_SUITE_P(
    Ways, OutputFileTest,
    ::testing::Combine(::testing::Values(Durability::sync, Durability::no_sync),
                       ::testing::Values(OutputFile::Temporary::unnamed,
                                         OutputFile::Temporary::hidden)),
    [](const auto& test) {
      return std::string(std::get<0>(test.param) == Durability::sync ? "sync" : "no_sync") +
             (std::get<1>(test.param) == OutputFile::Temporary::unnamed ? "_unnamed" : "_hidden");
    });

TEST(OutputFile, HashesWhatIsWritten) {
  const TemporaryDirectory directory;
  OutputFile file(directory.path(), Durability::no_sync);
  file.hash_contents();
  file.write("ab");
  EXPECT_EQ(file.sha256(), "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603");
  file.write("c");
  EXPECT_EQ(file.sha256(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(OutputFile, HashesWhatIsCopied) {
  const TemporaryDirectory directory;
  write_file(directory / "in", "xabcx");
  const InputFile source(directory / "in");
  OutputFile file(directory.path(), Durability::no_sync);
  file.hash_contents();
  file.copy(source, 1, 3);
  EXPECT_EQ(file.sha256(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(OutputFile, HashMustBeAskedFor) {
  const TemporaryDirectory directory;
  const OutputFile file(directory.path(), Durability::no_sync);
  expect_error(ErrorKind::internal, "hash.none", HasSubstr("not hashed"), [&] { file.sha256(); });
}

TEST(OutputFile, MissingDirectoryIsNamed) {
  const TemporaryDirectory directory;
  const std::string missing = (directory / "none").string();
  expect_error(ErrorKind::system, "io.enoent",
               Eq(missing + ": creating a file: No such file or directory"),
               [&] { OutputFile file(missing, Durability::sync); });
}

// The size limit of the process stands for a full disk: the kernel refuses in the middle of a
// write.
TEST(OutputFile, RefusedWriteIsReported) {
  const TemporaryDirectory directory;
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small { 1 << 16, before.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  {
    OutputFile file(directory.path(), Durability::sync);
    const std::string block(1 << 15, 'x');
    file.write(block);
    file.write(block);
    expect_error(ErrorKind::system, "io.efbig",
                 Eq(directory.path().string() + ": writing a file: File too large"),
                 [&] { file.write(block); });
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_TRUE(directory.names().empty());
}

TEST(OutputFile, RemovesWhatDeadWritersLeft) {
  const TemporaryDirectory directory;
  const std::string prefix(kTemporaryPrefix);
  write_file(directory / (prefix + "0123456789ab"), "dead");
  write_file(directory / (prefix + "0123456789a"), "another's");
  write_file(directory / (prefix + "0123456789aX"), "another's");
  boost::filesystem::create_directory(directory / (prefix + "abcdefabcdef"));
  OutputFile living(directory.path(), Durability::no_sync, OutputFile::Temporary::hidden);
  { const OutputFile next(directory.path(), Durability::no_sync); }
  EXPECT_EQ(directory.names().size(), 4U);
  EXPECT_FALSE(boost::filesystem::exists(directory / (prefix + "0123456789ab")));
  living.publish(directory / "out", false);
  EXPECT_TRUE(boost::filesystem::exists(directory / "out"));
}

TEST(OutputFile, NeverReplacesADirectory) {
  const TemporaryDirectory directory;
  boost::filesystem::create_directory(directory / "out");
  write_file(directory / "out/x", "mine");
  OutputFile file(directory.path(), Durability::sync);
  expect_error(ErrorKind::system, "io.error", HasSubstr("Is a directory"),
               [&] { file.publish(directory / "out", true); });
  EXPECT_EQ(read_file(directory / "out/x"), "mine");
}

TEST(TemporaryName, IsRecognisable) {
  const Path name = temporary_name("/some/where");
  EXPECT_EQ(name.parent_path(), Path("/some/where"));
  EXPECT_EQ(name.filename().string().find(kTemporaryPrefix), 0U);
  EXPECT_NE(name, temporary_name("/some/where"));
}

}  // namespace
}  // namespace craftbundle
