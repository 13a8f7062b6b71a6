#include "craftbundle/detail/io/place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>

#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using ::testing::ElementsAre;
using ::testing::Eq;
using testing::expect_error;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TemporaryDirectory;
using testing::write_file;

TEST(PlaceOf, ResolvesTheParentAndKeepsTheName) {
  const TemporaryDirectory root;
  fs::create_directory(root / "real");
  fs::create_directory_symlink("real", root / "link");
  const Place place = place_of(root / "link/new/d//");
  EXPECT_EQ(place.parent, fs::canonical(root.path()) / "real/new");
  EXPECT_EQ(place.name, "d");
  EXPECT_EQ(place_of(root / "link/.").name, "real");
  EXPECT_EQ(place_of(root / "real/x/..").name, "real");
}

TEST(PlaceOf, RefusesWhatIsNoPlace) {
  expect_error(ErrorKind::usage, "target.empty", Eq("the target is empty"), [] { place_of(""); });
  expect_error(ErrorKind::usage, "target.root", HasSubstr("root"), [] { place_of("//"); });
  expect_error(ErrorKind::usage, "target.name", HasSubstr("has 240 bytes"),
               [] { place_of(std::string(240, 'x')); });
}

TEST(ParentDirectories, AreRemovedUnlessKept) {
  const TemporaryDirectory root;
  { const ParentDirectories parents(place_of(root / "a/b/c"), Durability::no_sync); }
  EXPECT_THAT(root.names(), IsEmpty());
  {
    const ParentDirectories parents(place_of(root / "a/b/c"), Durability::sync);
    write_file(root / "a/mine", "");
  }
  EXPECT_THAT(contents_of(root.path()), ElementsAre("a/", "a/mine"));
  ParentDirectories parents(place_of(root / "a/b/c"), Durability::sync);
  parents.keep();
  EXPECT_TRUE(fs::exists(root / "a/b"));
}

TEST(CheckDirectoryTarget, GivesWhatIsThere) {
  const TemporaryDirectory root;
  EXPECT_THAT(check_directory_target(place_of(root / "d"), {}, "it"), IsEmpty());
  fs::create_directories(root / "d/sub/empty");
  write_file(root / "d/sub/x", "");
  EXPECT_THAT(check_directory_target(place_of(root / "d"), {}, "it"),
              ElementsAre("sub/", "sub/empty/", "sub/x"));
}

TEST(CheckDirectoryTarget, RefusesFilesLinksAndSources) {
  const TemporaryDirectory root;
  fs::create_directories(root / "d/sub");
  write_file(root / "d/sub/x", "text");
  write_file(root / "outside", "text");
  fs::create_directory_symlink("d", root / "link");
  const auto check = [&](const char* name, const SourceFiles& sources) {
    return [&, name] { check_directory_target(place_of(root / name), sources, "a model"); };
  };
  expect_error(ErrorKind::usage, "target.file", HasSubstr("is a file, a model is a directory"),
               check("outside", {}));
  expect_error(ErrorKind::usage, "target.link", HasSubstr("symbolic link to 'd'"),
               check("link", {}));
  const InputFile inside(root / "d/sub/x");
  expect_error(ErrorKind::usage, "target.is_source", HasSubstr("would replace the source"),
               check("d", {&inside}));
  const InputFile outside(root / "outside");
  check("d", {&outside})();
  fs::create_hard_link(root / "outside", root / "d/sub/y");
  expect_error(ErrorKind::usage, "target.is_source", HasSubstr("would replace the source"),
               check("d", {&outside}));
}

TEST(CheckFileTarget, NamesAnExample) {
  const TemporaryDirectory root;
  try {
    check_file_target(place_of(root.path()), {}, true, "x.bin");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "target.directory");
    EXPECT_THAT(error.hint(), HasSubstr("x.bin'"));
  }
}

}  // namespace
}  // namespace craftbundle
