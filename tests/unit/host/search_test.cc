#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixtures.h"

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::RecordingSink;
using testing::ScopedVariable;
using testing::TemporaryDirectory;

// "origin path" of each.
std::vector<std::string> texts(const std::vector<SearchDirectory>& directories) {
  std::vector<std::string> result;
  for (const SearchDirectory& directory : directories) {
    result.push_back(directory.origin + " " + directory.path.string());
  }
  return result;
}

TEST(Search, HasTheDocumentedOrder) {
  const ScopedVariable path("CRAFTBUNDLE_PLUGIN_PATH", "/env/a:/env/b");
  const ScopedVariable data("XDG_DATA_HOME", "/data");
  const std::vector<std::string> found =
      texts(search_directories({{"/given/x", "/given/y"}}, Sink::none()));
  ASSERT_GE(found.size(), 6u);
  EXPECT_EQ(found[0], "--plugin-dir /given/x");
  EXPECT_EQ(found[1], "--plugin-dir /given/y");
  EXPECT_EQ(found[2], "CRAFTBUNDLE_PLUGIN_PATH /env/a");
  EXPECT_EQ(found[3], "CRAFTBUNDLE_PLUGIN_PATH /env/b");
  EXPECT_EQ(found[4], "user /data/craftbundle/plugins");
  EXPECT_THAT(found[5], ::testing::MatchesRegex("executable .*/lib/craftbundle/plugins"));
}

// As of an interpreter that has loaded this library.
TEST(Search, LeavesOutWhatLiesBesideTheProgram) {
  const auto found =
      search_directories({.environment = false, .user = false, .program = false}, Sink::none());
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found.front().origin, "installed");
}

TEST(Search, FallsBackToTheHomeDirectory) {
  const ScopedVariable data("XDG_DATA_HOME", "");
  const ScopedVariable home("HOME", "/home/me");
  EXPECT_THAT(texts(search_directories({{}, false, true, false}, Sink::none())),
              ElementsAre("user /home/me/.local/share/craftbundle/plugins"));
  const ScopedVariable relative_data("XDG_DATA_HOME", "data");
  EXPECT_THAT(texts(search_directories({{}, false, true, false}, Sink::none())),
              ElementsAre("user /home/me/.local/share/craftbundle/plugins"));
}

TEST(Search, IgnoresRelativeAndEmptyElementsWithAWarning) {
  const ScopedVariable path("CRAFTBUNDLE_PLUGIN_PATH", ":plugins:/abs:../x:");
  RecordingSink sink;
  EXPECT_THAT(texts(search_directories({{}, true, false, false}, sink)),
              ElementsAre("CRAFTBUNDLE_PLUGIN_PATH /abs"));
  EXPECT_THAT(
      sink.warnings(),
      ElementsAre(HasSubstr("CRAFTBUNDLE_PLUGIN_PATH: an empty element is ignored"),
                  HasSubstr("CRAFTBUNDLE_PLUGIN_PATH: the relative directory 'plugins' is ignored"),
                  HasSubstr("'../x' is ignored"), HasSubstr("an empty element is ignored")));
}

TEST(Search, ListsADirectoryOnce) {
  TemporaryDirectory directory;
  boost::filesystem::create_directory(directory / "a");
  boost::filesystem::create_symlink(directory / "a", directory / "b");
  const ScopedVariable path("CRAFTBUNDLE_PLUGIN_PATH", (directory / "a").string());
  EXPECT_THAT(
      texts(search_directories({{directory / "b", directory / "a/../a"}, true, false, false},
                               Sink::none())),
      ElementsAre("--plugin-dir " + boost::filesystem::canonical(directory / "a").string()));
}

TEST(Search, MakesGivenDirectoriesAbsolute) {
  EXPECT_THAT(
      texts(search_directories({{"plugins"}, false, false, false}, Sink::none())),
      ElementsAre("--plugin-dir " + (boost::filesystem::current_path() / "plugins").string()));
}

TEST(Search, IsEmptyWhenNothingIsAskedFor) {
  const ScopedVariable path("CRAFTBUNDLE_PLUGIN_PATH", "/env");
  EXPECT_THAT(search_directories({{}, false, false, false}, Sink::none()), IsEmpty());
}

}  // namespace
}  // namespace craftbundle
