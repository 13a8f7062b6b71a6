#include "craftbundle/detail/io/output_directory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/filesystem.hpp>
#include <string>
#include <vector>

#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using ::testing::ElementsAre;
using testing::expect_error;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

class Warnings final : public Sink {
 public:
  void log(LogLevel level, std::string_view text) noexcept override {
    if (level == LogLevel::warning) texts.emplace_back(text);
  }
  std::vector<std::string> texts;
};

class OutputDirectoryTest : public ::testing::TestWithParam<Durability> {
 protected:
  Place place() const { return place_of(root / "d"); }
  OutputDirectory output(OutputDirectory::Removable removable = contents_of) {
    return OutputDirectory(place(), GetParam(), warnings, std::move(removable));
  }
  // A directory "d" that holds "a" and "sub/b".
  void publish(const std::string& text, bool replace = false) {
    OutputDirectory out = output();
    out.create("a").write(text);
    out.create("sub/b").write(text);
    out.publish(replace);
  }

  TemporaryDirectory root;
  Warnings warnings;
};

TEST_P(OutputDirectoryTest, AppearsWhenPublished) {
  OutputDirectory out(place_of(root / "x/y/d"), GetParam(), warnings, contents_of);
  out.create("a").write("1");
  out.create("sub/deep/b").write("2");
  out.create("sub/c").write("3");
  out.complete();
  EXPECT_FALSE(fs::exists(root / "x/y/d"));
  out.publish(false);
  EXPECT_THAT(contents_of(root / "x/y/d"),
              ElementsAre("a", "sub/", "sub/c", "sub/deep/", "sub/deep/b"));
  EXPECT_EQ(read_file(root / "x/y/d/sub/deep/b"), "2");
}

TEST_P(OutputDirectoryTest, LeavesNothingBeside) {
  publish("old");
  publish("new", true);
  EXPECT_THAT(root.names(), ElementsAre("d"));
  EXPECT_EQ(read_file(root / "d/sub/b"), "new");
  EXPECT_THAT(warnings.texts, IsEmpty());
}

TEST_P(OutputDirectoryTest, LeavesNothingWhenDropped) {
  {
    OutputDirectory out(place_of(root / "x/y/d"), GetParam(), warnings, contents_of);
    for (int i = 0; i < 100; ++i) {
      out.create("sub/" + std::to_string(i)).write("x");
      out.complete();
    }
  }
  EXPECT_THAT(root.names(), IsEmpty());
}

TEST_P(OutputDirectoryTest, HasMoreFilesThanCanBeOpen) {
  constexpr int kFiles = 1500;
  OutputDirectory out = output();
  for (int i = 0; i < kFiles; ++i) {
    out.create(std::to_string(i)).write("x");
    out.complete();
  }
  out.publish(false);
  EXPECT_EQ(contents_of(root / "d").size(), std::size_t{kFiles});
}

TEST_P(OutputDirectoryTest, TakesAnEmptyDirectoryAndNoOther) {
  fs::create_directory(root / "d");
  publish("first");
  OutputDirectory out = output();
  out.create("a").write("second");
  expect_error(ErrorKind::usage, "target.exists", HasSubstr("created by somebody else meanwhile"),
               [&] { out.publish(false); });
  EXPECT_EQ(read_file(root / "d/a"), "first");
}

TEST_P(OutputDirectoryTest, ReplacesAFileToo) {
  write_file(root / "d", "file");
  publish("new", true);
  EXPECT_EQ(read_file(root / "d/a"), "new");
  EXPECT_THAT(root.names(), ElementsAre("d"));
}

TEST_P(OutputDirectoryTest, RemovesOnlyWhatItWasTold) {
  publish("old");
  write_file(root / "d/sub/mine", "mine");
  {
    OutputDirectory out = output([](const Path&) {
      return std::vector<std::string>{"a", "sub/b", "none/c"};
    });
    out.create("a").write("new");
    out.publish(true);
  }
  EXPECT_THAT(contents_of(root / "d"), ElementsAre("a"));
  ASSERT_EQ(warnings.texts.size(), 1U);
  EXPECT_THAT(warnings.texts[0], HasSubstr("could not be removed"));
  ASSERT_EQ(root.names().size(), 2U);
  const std::string kept = root.names()[0];
  EXPECT_THAT(contents_of(root / kept), ElementsAre("sub/", "sub/mine"));
  publish("newer", true);  // not even later
  EXPECT_THAT(contents_of(root / kept), ElementsAre("sub/", "sub/mine"));
}

TEST_P(OutputDirectoryTest, RemovesNothingBehindLinks) {
  publish("old");
  fs::remove_all(root / "d/sub");
  fs::create_directory(root / "elsewhere");
  write_file(root / "elsewhere/b", "mine");
  fs::create_directory_symlink("../elsewhere", root / "d/sub");
  {
    OutputDirectory out = output([](const Path&) {
      return std::vector<std::string>{"a", "sub/b"};
    });
    out.create("a").write("new");
    out.publish(true);
  }
  EXPECT_EQ(read_file(root / "elsewhere/b"), "mine");
}

TEST_P(OutputDirectoryTest, WantsNamesOfFilesInIt) {
  OutputDirectory out = output();
  for (const auto& name : std::vector<std::string>{"", "/", "/a", "a/", "a//b", ".", "..", "../a",
                                                   "a/../b", "a/.", std::string("a\0b", 3)}) {
    expect_error(ErrorKind::plugin, "output.name", HasSubstr("no name of a file in a directory"),
                 [&] { out.create(name); });
  }
  out.create("Sub/File");
  for (const char* name : {"Sub/File", "sub/file", "SUB", "Sub/File/more"}) {
    expect_error(ErrorKind::plugin, "output.name",
                 HasSubstr("the name '" + std::string(name) + "' is taken already"),
                 [&] { out.create(name); });
  }
  out.create("...");
  out.publish(false);
  EXPECT_THAT(contents_of(root / "d"), ElementsAre("...", "Sub/", "Sub/File"));
}

TEST_P(OutputDirectoryTest, CopiesMayDifferInCase) {
  OutputDirectory out = output();
  out.create("a", OutputDirectory::Names::any).write("1");
  out.create("A", OutputDirectory::Names::any).write("2");
  out.publish(false);
  EXPECT_THAT(contents_of(root / "d"), ElementsAre("A", "a"));
}

TEST_P(OutputDirectoryTest, RefusesASecondWriterUntilTheFirstIsDone) {
  {
    const OutputDirectory first = output();
    expect_error(ErrorKind::system, "target.busy", HasSubstr("is being written by another run"),
                 [&] { output(); });
    OutputDirectory other(place_of(root / "other"), GetParam(), warnings, contents_of);
    other.publish(false);
  }
  publish("after");
  EXPECT_THAT(root.names(), ElementsAre("d", "other"));
}

// Who cannot write beside a place cannot keep others from it.
TEST_P(OutputDirectoryTest, OnlyWritersCanTakeItsLock) {
  const auto mode = [&](mode_t directory) {
    EXPECT_EQ(::chmod(root.path().c_str(), directory), 0);
    const OutputDirectory out = output();
    struct stat status {};
    EXPECT_EQ(::stat((root / ".d.craftbundle-lock").c_str(), &status), 0);
    return status.st_mode & 0777U;
  };
  EXPECT_EQ(mode(0755), 0600U);
  EXPECT_EQ(mode(0775), 0660U);
  EXPECT_EQ(mode(01777), 0666U);
}

TEST_P(OutputDirectoryTest, TakesTheLockThatAKilledRunLeft) {
  write_file(root / ".d.craftbundle-lock", "");
  publish("new");
  EXPECT_THAT(root.names(), ElementsAre("d"));
}

// What lies at the place of the lock and is none keeps nobody off, and stays.
TEST_P(OutputDirectoryTest, WritesWithoutALockWhereThereCanBeNone) {
  fs::create_directory(root / ".d.craftbundle-lock");
  publish("old");
  publish("new", true);
  EXPECT_EQ(read_file(root / "d/a"), "new");
  fs::remove(root / ".d.craftbundle-lock");
  write_file(root / "file", "mine");
  fs::create_symlink("file", root / ".d.craftbundle-lock");
  publish("newer", true);
  EXPECT_EQ(read_file(root / "d/a"), "newer");
  EXPECT_EQ(read_file(root / "file"), "mine");
}

TEST_P(OutputDirectoryTest, RemovesWhatKilledRunsLeft) {
  fs::create_directories(root / ".d.craftbundle-0123abcd/sub/deep");
  write_file(root / ".d.craftbundle-0123abcd/sub/deep/b", "part");
  fs::create_directory(root / ".d.craftbundle-89abcdef");
  // None of these was left by a run that wrote this place.
  fs::create_directory(root / ".d.craftbundle-0123abcX");
  fs::create_directory(root / ".other.craftbundle-0123abcd");
  fs::create_directory_symlink(".other.craftbundle-0123abcd", root / ".d.craftbundle-00000000");
  fs::create_directory(root / ".d.craftbundle-aaaaaaaa");
  const int alive = ::open((root / ".d.craftbundle-aaaaaaaa").c_str(), O_RDONLY);
  ASSERT_EQ(::flock(alive, LOCK_EX), 0);
  publish("new");
  ::close(alive);
  EXPECT_THAT(root.names(),
              ElementsAre(".d.craftbundle-00000000", ".d.craftbundle-0123abcX",
                          ".d.craftbundle-aaaaaaaa", ".other.craftbundle-0123abcd", "d"));
}

TEST_P(OutputDirectoryTest, PutsBackWhatAKilledRunMovedAside) {
  publish("old");
  fs::rename(root / "d", root / ".d.craftbundle-replaced");
  { const OutputDirectory out = output(); }
  EXPECT_EQ(read_file(root / "d/sub/b"), "old");
  ASSERT_EQ(warnings.texts.size(), 1U);
  EXPECT_THAT(warnings.texts[0], HasSubstr("restored what an interrupted run has moved aside"));
  // Where a new one has its place, it goes.
  fs::create_directories(root / ".d.craftbundle-replaced/sub");
  { const OutputDirectory out = output(); }
  EXPECT_THAT(root.names(), ElementsAre("d"));
  EXPECT_EQ(read_file(root / "d/sub/b"), "old");
}

INSTANTIATE_TEST_SUITE_P(Ways, OutputDirectoryTest,
                         ::testing::Values(Durability::sync, Durability::no_sync),
                         [](const auto& test) {
                           return std::string(test.param == Durability::sync ? "sync" : "no_sync");
                         });

}  // namespace
}  // namespace craftbundle
