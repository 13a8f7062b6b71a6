#include "craftbundle/detail/host/library.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <utility>

#include "fixtures.h"
#include "support/error_matchers.h"

namespace {

// What happens between the check of a library and the moment it is mapped; runs once.
std::function<void()> before_mapping;

}  // namespace

// In front of the C library's, so that tests can act at the worst moment.
extern "C" void* dlopen(const char* name, int flags) noexcept {
  if (before_mapping) std::exchange(before_mapping, nullptr)();
  using Function = void* (*)(const char*, int);
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "dlopen"))(name, flags);
}

namespace craftbundle {
namespace {

using testing::bad;
using testing::copy_bad;
using testing::copy_plugin;
using testing::expect_error;
using testing::fixture;
using ::testing::HasSubstr;
using testing::TemporaryDirectory;
using testing::write_file;

struct Refusal {
  const char* name;
  const char* code;
  std::string text;
};

class BadLibrary : public ::testing::TestWithParam<Refusal> {};

TEST_P(BadLibrary, IsRefusedWithItsReason) {
  const Path library = bad(GetParam().name);
  expect_error(ErrorKind::plugin, GetParam().code, HasSubstr(GetParam().text),
               [&] { PluginLibrary::load(library); });
}

std::string exporter_rule(const std::string& rule) {
  return "the plugin offers the exporter 'fixture', which " + rule;
}

// Those that end or stop the process that loads them are in scan_test.cc.
const Refusal kRefusals[] = {
    {"bad_magic", "plugin.descriptor", "begins with 'BNDL\\x1B[2J', expected 'CRFTBNDL'"},
    {"newer_abi", "plugin.abi", "plugin ABI version 2, this Craftbundle has version 1"},
    {"older_abi", "plugin.abi", "plugin ABI version 0, this Craftbundle has version 1"},
    {"wrong_size", "plugin.abi", "descriptor has 56 bytes, this Craftbundle's has 48"},
    {"wrong_interface", "plugin.interface",
     "interface '0.0.1-other', this Craftbundle has '" + std::string(kInterfaceId) + "'"},
    {"null_interface", "plugin.descriptor", "its interface id is null"},
    {"null_name", "plugin.descriptor", "its name is null"},
    {"long_name", "plugin.descriptor", "its name is longer than 64 bytes: 'a_name_that_goes"},
    {"not_utf8_name", "plugin.descriptor", "its name is not UTF-8: 'caf\\xE9'"},
    {"upper_case_name", "plugin.descriptor", "its name is 'Fixture', expected a letter"},
    {"null_version", "plugin.descriptor", "its version is null"},
    {"wordy_version", "plugin.descriptor", "its version is 'latest', expected one like '1.2.3'"},
    {"null_entry", "plugin.descriptor", "its entry function is null"},
    {"entry_throws_int", "plugin.entry",
     "its entry function failed: an exception that is no std::exception"},
    {"entry_throws_exception", "plugin.entry", "its entry function failed: raw entry went wrong"},
    {"entry_fails", "plugin.entry", "its entry function failed: no license was found"},
    {"info_null", "plugin.entry", "its entry function failed: a null exporter was added"},
    {"no_entry", "plugin.no_entry", "it has no symbol 'craftbundle_plugin'"},
    {"undefined_symbol", "plugin.undefined_symbol",
     ": cannot be loaded: undefined symbol: function_that_nobody_has"},
    {"missing_dependency", "plugin.missing_dependency",
     ": cannot be loaded: libfixture_dependency.so: cannot open shared object file"},
    {"info_empty", "plugin.info", "the plugin offers nothing"},
    {"info_same_name", "plugin.info", "the plugin offers two exporters 'fixture'"},
    {"info_bad_name", "plugin.info",
     "the plugin offers the exporter 'Fixture\\x1B[2J', which has no lower-case name"},
    {"info_no_summary", "plugin.info", exporter_rule("gives no summary")},
    {"info_revision_zero", "plugin.info", exporter_rule("has revision 0, expected 1 or more")},
    {"info_no_source", "plugin.info", exporter_rule("accepts no source")},
    {"info_no_names", "plugin.info", exporter_rule("takes pretrained names but lists none")},
    {"info_names_for_files", "plugin.info",
     exporter_rule("lists names for sources that are files")},
    {"info_bad_pattern", "plugin.info", exporter_rule("takes the pretrained name 'a*b', expected")},
    {"info_no_files", "plugin.info", exporter_rule("takes directories but names no file in them")},
    {"info_bad_file", "plugin.info",
     exporter_rule("takes directories with the file 'sub/*.bin', expected a file name")},
    {"info_any_file", "plugin.info",
     exporter_rule("takes directories with the file '*', expected a file name")},
    {"info_bad_address", "plugin.info",
     exporter_rule("lists 'name' as a model of a hub, expected ORG/NAME")},
    {"info_option_twice", "plugin.info", exporter_rule("declares option 'rate' twice")},
    {"info_bad_option_name", "plugin.info",
     exporter_rule("declares option 'sample_rate', expected lower-case words joined by '-'")},
    {"info_bad_default", "plugin.info",
     exporter_rule("declares option 'rate', with the default 'fast': expected an integer")},
    {"info_bad_choice", "plugin.info",
     exporter_rule("declares option 'rate', with the choice 'two': expected an integer")},
    {"info_info_throws", "plugin.info",
     "its exporter 1 cannot describe itself: an exception that is no std::exception"},
};

INSTANTIATE_TEST_SUITE_P(Each, BadLibrary, ::testing::ValuesIn(kRefusals),
                         [](const auto& each) { return std::string(each.param.name); });

// As the hosts of one process do, one after the other.
TEST(PluginLibrary, LoadedAgainIsNotTakenForTheNextOne) {
  const auto first = PluginLibrary::load(fixture("good/fixture_codecs.so"));
  EXPECT_EQ(PluginLibrary::load(fixture("good/fixture_codecs.so")), first);
  EXPECT_EQ(PluginLibrary::load(fixture("good/fixture_twins.so"))->info().name, "fixture_twins");
}

TEST(PluginLibrary, LoadsAGoodOne) {
  const auto library = PluginLibrary::load(fixture("good/fixture_codecs.so"));
  EXPECT_EQ(library->info().name, "fixture_codecs");
  EXPECT_EQ(library->info().version, "1.2.3");
  EXPECT_EQ(library->info().interface_id, kInterfaceId);
  ASSERT_EQ(library->info().offers<ExporterInfo>().size(), 2u);
  ASSERT_EQ(library->offers<Exporter>().size(), 2u);
  EXPECT_EQ(library->info().offers<ExporterInfo>()[0].name, "tone");
  EXPECT_EQ(library->info().offers<ExporterInfo>()[0].revision, 3);
  EXPECT_EQ(library->info().offers<ExporterInfo>()[1].name, "voice");
}

TEST(PluginLibrary, RunsTheEntryOnce) {
  TemporaryDirectory directory;
  const Path library = copy_plugin("fixture_codecs", directory.path());
  const Path link = directory / "link.so";
  boost::filesystem::create_symlink(library, link);
  EXPECT_EQ(PluginLibrary::load(library), PluginLibrary::load(link));
}

TEST(PluginLibrary, StaysMapped) {
  TemporaryDirectory directory;
  const Path library = copy_plugin("fixture_codecs", directory.path());
  PluginLibrary::load(library);
  EXPECT_TRUE(testing::is_mapped(library));
}

class LibraryFile : public ::testing::Test {
 protected:
  void expect_refused(const std::string& code, const std::string& text, const Path& path) {
    expect_error(ErrorKind::plugin, code, HasSubstr(text), [&] { check_library_file(path); });
    expect_error(ErrorKind::plugin, code, HasSubstr(text), [&] { PluginLibrary::load(path); });
  }
  TemporaryDirectory directory_;
};

TEST_F(LibraryFile, MustBeThere) {
  expect_refused("plugin.unreadable", "none.so: cannot be found", directory_ / "none.so");
  boost::filesystem::create_symlink("nowhere", directory_ / "link.so");
  expect_refused("plugin.unreadable", "link.so: is a link to nothing", directory_ / "link.so");
  boost::filesystem::create_symlink("loop.so", directory_ / "loop.so");
  expect_refused("plugin.unreadable", "loop.so: ", directory_ / "loop.so");
}

TEST_F(LibraryFile, MustNotBeWritableByEveryone) {
  const Path library = copy_plugin("fixture_codecs", directory_.path());
  ASSERT_EQ(::chmod(library.c_str(), 0757), 0);
  expect_refused("plugin.permissions", "fixture_codecs.so: is writable by everyone", library);
  EXPECT_FALSE(testing::is_mapped(library));
}

TEST_F(LibraryFile, MustNotLieWhereEveryoneCanWrite) {
  boost::filesystem::create_directory(directory_ / "open");
  const Path library = copy_plugin("fixture_codecs", directory_ / "open");
  // A sticky directory keeps others from moving files, not from adding dependencies or sidecars.
  for (const mode_t mode : {0777u, 01777u}) {
    ASSERT_EQ(::chmod((directory_ / "open").c_str(), mode), 0);
    expect_refused("plugin.permissions", "/open: is writable by everyone", library);
  }
}

TEST_F(LibraryFile, MustNotLieBelowADirectoryThatEveryoneCanChange) {
  boost::filesystem::create_directories(directory_ / "open/own");
  const Path library = copy_plugin("fixture_codecs", directory_ / "open/own");
  ASSERT_EQ(::chmod((directory_ / "open").c_str(), 0777), 0);
  expect_refused("plugin.permissions", "/open: is writable by everyone", library);
  ASSERT_EQ(::chmod((directory_ / "open").c_str(), 01777), 0);
  EXPECT_NO_THROW(check_library_file(library));
}

TEST_F(LibraryFile, IsJudgedBehindLinks) {
  boost::filesystem::create_directory(directory_ / "open");
  const Path library = copy_plugin("fixture_codecs", directory_ / "open");
  ASSERT_EQ(::chmod((directory_ / "open").c_str(), 0777), 0);
  boost::filesystem::create_symlink(library, directory_ / "link.so");
  expect_refused("plugin.permissions", "/open: is writable by everyone", directory_ / "link.so");
}

TEST_F(LibraryFile, MayBeWritableByTheOwnGroupOnly) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  const Path library = copy_plugin("fixture_codecs", directory_.path());
  ASSERT_EQ(::chmod(library.c_str(), 0775), 0);
  EXPECT_NO_THROW(check_library_file(library));
  ASSERT_EQ(::chown(library.c_str(), 0, 1234), 0);
  expect_refused("plugin.permissions", "is writable by group 1234", library);
}

TEST_F(LibraryFile, MustNotLieBelowADirectoryOfSomebodyElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  boost::filesystem::create_directories(directory_ / "theirs/own");
  const Path library = copy_plugin("fixture_codecs", directory_ / "theirs/own");
  const Path theirs = directory_ / "theirs";
  ASSERT_EQ(::chown(theirs.c_str(), 1234, 1234), 0);
  // Sticky or not: its owner may move what lies in it.
  for (const mode_t mode : {0755u, 01755u}) {
    ASSERT_EQ(::chmod(theirs.c_str(), mode), 0);
    expect_refused("plugin.permissions", "/theirs: belongs to user 1234, expected user 0", library);
  }
  ASSERT_EQ(::chown(theirs.c_str(), 0, 1234), 0);
  ASSERT_EQ(::chmod(theirs.c_str(), 0775), 0);
  expect_refused("plugin.permissions", "/theirs: is writable by group 1234", library);
  ASSERT_EQ(::chmod(theirs.c_str(), 01775), 0);
  EXPECT_NO_THROW(check_library_file(library));
}

TEST_F(LibraryFile, SidecarsAreHeldToTheSame) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  const Path library = copy_plugin("fixture_codecs", directory_.path());
  ASSERT_EQ(::chown(sidecar_path(library).c_str(), 1234, 1234), 0);
  const Host host(testing::only({directory_.path()}));
  ASSERT_EQ(host.refused().size(), 1u);
  EXPECT_EQ(host.refused()[0].code, "plugin.permissions");
  EXPECT_THAT(host.refused()[0].reason, HasSubstr("belongs to user 1234, expected user 0"));
}

// Two directories change names while a library is between check and load.
class ExchangedLibrary : public ::testing::Test {
 protected:
  void SetUp() override {
    boost::filesystem::create_directories(directory_ / "checked");
    boost::filesystem::create_directories(directory_ / "other");
  }
  void TearDown() override { before_mapping = nullptr; }

  void exchange_directories() {
    boost::filesystem::rename(directory_ / "checked", directory_ / "aside");
    boost::filesystem::rename(directory_ / "other", directory_ / "checked");
  }

  TemporaryDirectory directory_;
};

TEST_F(ExchangedLibrary, IsTheOneThatWasJudged) {
  const Path library = copy_plugin("fixture_codecs", directory_ / "checked");
  boost::filesystem::copy_file(testing::fixture("good/fixture_twins.so"),
                               directory_ / "other/fixture_codecs.so");
  before_mapping = [&] { exchange_directories(); };
  EXPECT_EQ(PluginLibrary::load(library)->info().name, "fixture_codecs");
  EXPECT_FALSE(before_mapping);
  EXPECT_TRUE(testing::is_mapped(directory_ / "aside/fixture_codecs.so"));
  EXPECT_FALSE(testing::is_mapped(directory_ / "checked/fixture_codecs.so"));
}

TEST_F(ExchangedLibrary, FindsItsOwnNeighbours) {
  const Path library = directory_ / "checked/neighbours.so";
  boost::filesystem::copy_file(testing::fixture("origin/neighbours.so"), library);
  boost::filesystem::copy_file(testing::fixture("origin/libneighbour.so"),
                               directory_ / "checked/libneighbour.so");
  before_mapping = [&] { exchange_directories(); };
  EXPECT_EQ(PluginLibrary::load(library)->info().name, "neighbours");
  EXPECT_TRUE(testing::is_mapped(directory_ / "aside/libneighbour.so"));
}

TEST_F(ExchangedLibrary, IsFoundOutWhenItIsAnotherFile) {
  const Path library = copy_plugin("fixture_codecs", directory_ / "checked");
  before_mapping = [&] {
    boost::filesystem::rename(library, directory_ / "aside.so");
    boost::filesystem::copy_file(testing::fixture("good/fixture_twins.so"), library);
  };
  expect_error(ErrorKind::plugin, "plugin.changed", HasSubstr("changed while it was loaded"),
               [&] { PluginLibrary::load(library); });
  EXPECT_FALSE(testing::is_mapped(library));
}

TEST_F(ExchangedLibrary, IsFoundOutWhenItWasWritten) {
  const Path library = copy_plugin("fixture_codecs", directory_ / "checked");
  before_mapping = [&] { ASSERT_EQ(::chmod(library.c_str(), 0700), 0); };
  expect_error(ErrorKind::plugin, "plugin.changed", HasSubstr("changed while it was loaded"),
               [&] { PluginLibrary::load(library); });
}

// Too few descriptors are no fault of a plugin.
TEST_F(LibraryFile, IsNotBlamedForTheMachine) {
  const Path library = copy_plugin("fixture_codecs", directory_.path());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const auto refusal_with = [&](rlim_t descriptors) -> std::optional<Error> {
    const rlimit few{descriptors, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
    std::optional<Error> error;
    try {
      const Host host(testing::only({directory_.path()}));
      EXPECT_TRUE(host.refused().empty());
    } catch (const Error& thrown) {
      error = thrown;
    }
    ::setrlimit(RLIMIT_NOFILE, &before);
    return error;
  };
  // From none that are left to more than enough: never a plugin that is missing without a word.
  int failures = 0;
  for (rlim_t descriptors = 3; descriptors < 12; ++descriptors) {
    const std::optional<Error> error = refusal_with(descriptors);
    if (!error) continue;
    ++failures;
    EXPECT_EQ(error->kind(), ErrorKind::system);
    EXPECT_EQ(error->code(), "io.emfile");
    EXPECT_THAT(error->message(), HasSubstr("Too many open files"));
  }
  EXPECT_GT(failures, 0);
}

TEST_F(LibraryFile, MustBelongToRootOrThisUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  const Path library = copy_plugin("fixture_codecs", directory_.path());
  ASSERT_EQ(::chown(library.c_str(), 1234, 1234), 0);
  expect_refused("plugin.permissions", "belongs to user 1234, expected user 0", library);
}

}  // namespace
}  // namespace craftbundle
