#include "hub_cache.h"

#include <gtest/gtest.h>

#include "unit/host/fixtures.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using testing::ScopedVariable;
using testing::TemporaryDirectory;
using testing::write_file;

// Without what the environment of the test says.
class HubCacheTest : public ::testing::Test {
 protected:
  // A revision with one file, which is a link as the hub's tools make them.
  Path add_snapshot(const std::string& model, const std::string& revision) {
    const Path folder = directory_ / model;
    const Path snapshot = folder / "snapshots" / revision;
    fs::create_directories(folder / "blobs");
    fs::create_directories(snapshot);
    write_file(folder / "blobs/c0ffee", "{}");
    fs::create_symlink("../../blobs/c0ffee", snapshot / "config.json");
    return snapshot;
  }
  void add_reference(const std::string& model, const std::string& text) {
    fs::create_directories(directory_ / model / "refs");
    write_file(directory_ / model / "refs/main", text);
  }
  std::optional<Path> find(const std::string& name) const {
    return find_snapshot(directory_.path(), name);
  }

  const ScopedVariable hub_{"HF_HUB_CACHE", ""};
  const ScopedVariable old_hub_{"HUGGINGFACE_HUB_CACHE", ""};
  const ScopedVariable home_{"HF_HOME", ""};
  const ScopedVariable xdg_{"XDG_CACHE_HOME", ""};
  const ScopedVariable user_{"HOME", "/home/jane"};
  TemporaryDirectory directory_;
};

TEST_F(HubCacheTest, LiesWhereTheHubsToolsPutIt) {
  EXPECT_EQ(hub_cache(), Path("/home/jane/.cache/huggingface/hub"));
  const ScopedVariable xdg("XDG_CACHE_HOME", "/xdg");
  EXPECT_EQ(hub_cache(), Path("/xdg/huggingface/hub"));
  const ScopedVariable home("HF_HOME", "~/hf");
  EXPECT_EQ(hub_cache(), Path("/home/jane/hf/hub"));
  const ScopedVariable old_hub("HUGGINGFACE_HUB_CACHE", "/old/hub");
  EXPECT_EQ(hub_cache(), Path("/old/hub"));
  const ScopedVariable hub("HF_HUB_CACHE", "/hub");
  EXPECT_EQ(hub_cache(), Path("/hub"));
}

TEST_F(HubCacheTest, IsNotKnownWithoutAHome) {
  const ScopedVariable user("HOME", "");
  EXPECT_EQ(hub_cache(), std::nullopt);
}

TEST_F(HubCacheTest, MainIsTheRevisionTaken) {
  const Path first = add_snapshot("models--org--name", "1111");
  add_snapshot("models--org--name", "2222");
  add_reference("models--org--name", "1111\n");
  EXPECT_EQ(find("org/name"), first);
  EXPECT_EQ(find("org/other"), std::nullopt);
  EXPECT_EQ(find("name"), std::nullopt);
}

TEST_F(HubCacheTest, OldNamesHaveNoOrganisation) {
  const Path snapshot = add_snapshot("models--name", "1111");
  EXPECT_EQ(find("name"), snapshot);
}

TEST_F(HubCacheTest, WithoutMainTheNewestIsTaken) {
  const Path first = add_snapshot("models--org--name", "1111");
  EXPECT_EQ(find("org/name"), first);
  const Path second = add_snapshot("models--org--name", "0000");
  fs::last_write_time(first, 1'000);
  fs::last_write_time(second, 2'000);
  EXPECT_EQ(find("org/name"), second);
  // A reference to what was never fetched, or was removed.
  add_reference("models--org--name", "3333");
  EXPECT_EQ(find("org/name"), second);
}

TEST_F(HubCacheTest, RevisionsWithoutFilesDoNotCount) {
  const Path snapshot = add_snapshot("models--org--name", "1111");
  add_reference("models--org--name", "1111");
  fs::remove(directory_ / "models--org--name/blobs/c0ffee");
  EXPECT_EQ(find("org/name"), std::nullopt);
  write_file(snapshot / ".hidden", "");
  EXPECT_EQ(find("org/name"), std::nullopt);
  const Path other = add_snapshot("models--org--name", "2222");
  write_file(other / "model.bin", "");
  fs::remove(directory_ / "models--org--name/blobs/c0ffee");
  EXPECT_EQ(find("org/name"), other);
}

TEST_F(HubCacheTest, FoldersMayBeLinks) {
  add_snapshot("elsewhere", "1111");
  add_reference("elsewhere", "1111");
  fs::create_directory_symlink("elsewhere", directory_ / "models--org--name");
  EXPECT_EQ(find("org/name"), directory_ / "models--org--name/snapshots/1111");
}

TEST_F(HubCacheTest, ReferencesLeadNowhereElse) {
  fs::create_directories(directory_ / "outside");
  write_file(directory_ / "outside/config.json", "{}");
  const Path snapshot = add_snapshot("models--org--name", "1111");
  for (const std::string& text :
       {std::string("../../outside"), (directory_ / "outside").string(), std::string(".."),
        std::string("."), std::string(), std::string("\n"), std::string("11\0", 3),
        std::string(1'000, 'a')}) {
    add_reference("models--org--name", text);
    EXPECT_EQ(find("org/name"), snapshot) << text;
  }
  fs::remove(directory_ / "models--org--name/refs/main");
  fs::create_directory(directory_ / "models--org--name/refs/main");
  EXPECT_EQ(find("org/name"), snapshot);
}

TEST_F(HubCacheTest, NamesLeadNowhereElse) {
  for (const char* name :
       {"",   "/",    "a/",   "/a",     "..",   "../x", "a/..", "a/../b", "a/b/c",    ".a", "a.",
        "-a", "a/-b", "a--b", "a/b--c", "a..b", "a b",  "a\nb", "a/*",    "\xc3\xa9", "~"}) {
    EXPECT_FALSE(is_model_name(name)) << name;
    EXPECT_EQ(find(name), std::nullopt) << name;
  }
  EXPECT_FALSE(is_model_name(std::string("a\0b", 3)));
  EXPECT_FALSE(is_model_name(std::string(97, 'a')));
  for (const char* name : {"a", "t5-base", "org/name", "Org_1/na.me-2", "7/8"}) {
    EXPECT_TRUE(is_model_name(name)) << name;
  }
}

}  // namespace
}  // namespace craftbundle
