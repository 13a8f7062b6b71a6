#include <gtest/gtest.h>
#include <unistd.h>

#include "fixtures.h"
#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using testing::fixture;
using ::testing::HasSubstr;
using ::testing::Matcher;
using testing::only;
using testing::only_good;
using testing::ScopedVariable;
using testing::TemporaryDirectory;
using testing::write_file;

class SourceTest : public ::testing::Test {
 protected:
  SourceTest() { boost::filesystem::current_path(directory_.path()); }
  ~SourceTest() override { boost::filesystem::current_path("/"); }

  void checkpoint(const std::string& path) {
    const Path file = directory_ / path;
    boost::filesystem::create_directories(file.parent_path());
    testing::write_checkpoint(file, {{"tone", std::int64_t{50}}});
  }
  Source resolve(const std::string& given, const SourceOptions& options = {}) {
    return resolve_source(given, options, host_);
  }
  // Resolves to this file.
  void expect_file(const std::string& given, const std::string& path,
                   const SourceOptions& options = {}) {
    const Source source = resolve(given, options);
    ASSERT_EQ(source.kind(), AcceptedSource::Kind::checkpoint) << given;
    EXPECT_EQ(source.given(), given);
    EXPECT_TRUE(source.checkpoint().file().is_same_file(directory_ / path)) << given;
  }
  void expect_name(const std::string& given, const std::string& name) {
    const Source source = resolve(given);
    ASSERT_EQ(source.kind(), AcceptedSource::Kind::pretrained) << given;
    EXPECT_EQ(source.given(), given);
    EXPECT_EQ(source.name(), name);
  }
  void expect_refused(const std::string& given, ErrorKind kind, const std::string& code,
                      const Matcher<std::string>& message,
                      const Matcher<std::string>& hint = ::testing::_,
                      const SourceOptions& options = {}) {
    try {
      resolve(given, options);
      ADD_FAILURE() << given << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(to_string(error.kind()), to_string(kind)) << error.message();
      EXPECT_EQ(error.code(), code) << error.message();
      EXPECT_THAT(error.message(), message);
      EXPECT_THAT(error.hint(), hint);
    }
  }

  TemporaryDirectory directory_;
  Host host_{only_good()};
};

TEST_F(SourceTest, TakesFilesAndDirectories) {
  checkpoint("xps/9f2c/checkpoint.th");
  checkpoint("plain");
  expect_file("xps/9f2c/checkpoint.th", "xps/9f2c/checkpoint.th");
  expect_file("xps/9f2c", "xps/9f2c/checkpoint.th");
  expect_file("./xps/9f2c/", "xps/9f2c/checkpoint.th");
  expect_file("plain", "plain");
  expect_file((directory_ / "plain").string(), "plain");
  const ScopedVariable home("HOME", directory_.path().string());
  expect_file("~/plain", "plain");
}

TEST_F(SourceTest, PrefersAFileToAName) {
  checkpoint("fixture/tone");
  expect_file("fixture/tone", "fixture/tone");
  expect_name("//pretrained/fixture/tone", "fixture/tone");
}

TEST_F(SourceTest, TakesSignatures) {
  checkpoint("xps/9f2c/checkpoint.th");
  expect_file("//sig/9f2c", "xps/9f2c/checkpoint.th", {directory_ / "xps"});
  checkpoint("xps/9f2c/checkpoint_20.th");
  expect_file("//sig/9f2c/checkpoint_20.th", "xps/9f2c/checkpoint_20.th", {directory_ / "xps"});
  {
    const ScopedVariable dora("AUDIOCRAFT_DORA_DIR", directory_.path().string());
    expect_file("//sig/9f2c", "xps/9f2c/checkpoint.th");
  }
  const ScopedVariable dora("AUDIOCRAFT_DORA_DIR", "");
  expect_refused("//sig/9f2c", ErrorKind::usage, "source.xps",
                 HasSubstr("'//sig/9f2c': the directory of signatures is not known"),
                 HasSubstr("--xps"));
  expect_refused("//sig/9f2d", ErrorKind::input, "source.not_found",
                 HasSubstr("there is no '9f2d' in '" + (directory_ / "xps").string() + "'"),
                 HasSubstr("9f2c'?"), {directory_ / "xps"});
  for (const char* bad : {"//sig/", "//sig/..", "//sig/9f2c/../../x", "//sig//etc"}) {
    expect_refused(bad, ErrorKind::usage, "source.prefix", HasSubstr("is no signature"),
                   ::testing::_, {directory_ / "xps"});
  }
}

TEST_F(SourceTest, TakesReferences) {
  checkpoint("ref/models/a.th");
  const ScopedVariable reference("AUDIOCRAFT_REFERENCE_DIR", (directory_ / "ref").string());
  expect_file("//reference/models/a.th", "ref/models/a.th");
  expect_refused("//reference/models/b.th", ErrorKind::input, "source.not_found",
                 HasSubstr("there is no 'b.th' in"), HasSubstr("a.th"));
  expect_refused("//reference/../x.th", ErrorKind::usage, "source.prefix",
                 HasSubstr("leads out of the reference directory"));
  const ScopedVariable unset("AUDIOCRAFT_REFERENCE_DIR", "");
  expect_refused("//reference/models/a.th", ErrorKind::usage, "source.reference",
                 HasSubstr("the reference directory is not known"),
                 HasSubstr("AUDIOCRAFT_REFERENCE_DIR"));
}

TEST_F(SourceTest, TakesNamesThatExportersList) {
  expect_name("fixture/tone", "fixture/tone");
  expect_name("fixture/tone_new", "fixture/tone_new");
  expect_name("tone_44khz", "tone_44khz");
  expect_name("//pretrained/tone_44khz", "tone_44khz");
  // One exporter asks to be asked about any name that a hub could have.
  expect_name("someone/something", "someone/something");
}

TEST_F(SourceTest, RefusesOtherNames) {
  expect_refused(
      "tone_45khz", ErrorKind::input, "source.unknown_name",
      HasSubstr("'tone_45khz' is neither a file nor a known pretrained name; known names "
                "are 'fixture/tone', 'fixture/tone_*' and 'tone_44khz'"),
      "did you mean 'tone_44khz'?");
  expect_refused("//pretrained/some thing", ErrorKind::input, "source.unknown_name",
                 HasSubstr("'//pretrained/some thing'"));
  for (const char* odd : {"a b/c", "-x/y", "x/.y", "x/\x1b[2J", "*", "x/*"}) {
    expect_refused(odd, ErrorKind::input, "source.unknown_name",
                   HasSubstr("is neither a file nor"));
  }
  const Host empty(only({directory_.path()}));
  testing::expect_error(ErrorKind::input, "source.unknown_name",
                        HasSubstr("no plugin takes pretrained names"),
                        [&] { resolve_source("someone/something", {}, empty); });
}

TEST_F(SourceTest, SuggestsFilesForASingleWord) {
  checkpoint("mymodel");
  expect_refused("mymodle", ErrorKind::input, "source.unknown_name", HasSubstr("'mymodle'"),
                 "did you mean 'mymodel'?");
}

TEST_F(SourceTest, NeverTakesAMistypedPathForAName) {
  checkpoint("xps/9f2c/checkpoint.th");
  checkpoint("best.th");
  expect_refused("bset.th", ErrorKind::input, "source.not_found",
                 "'bset.th': there is no 'bset.th' in '.'", "did you mean 'best.th'?");
  expect_refused("xps/9f2c/chekpoint.th", ErrorKind::input, "source.not_found",
                 HasSubstr("there is no 'chekpoint.th' in 'xps/9f2c'"),
                 "did you mean 'xps/9f2c/checkpoint.th'?");
  expect_refused("xps/9f2d/checkpoint.th", ErrorKind::input, "source.not_found",
                 HasSubstr("there is no '9f2d' in 'xps'"), "did you mean 'xps/9f2c'?");
  // Could be a name by its form, but the directory is there.
  expect_refused("xps/9f2d", ErrorKind::input, "source.not_found",
                 HasSubstr("there is no '9f2d' in 'xps'"), "did you mean 'xps/9f2c'?");
  for (const char* path : {"/no/such", "./x", "../x", "~nobody/x", "a/b/c", "x/y.th", "m.bin",
                           "checkpoint.th.3", "model.safetensors"}) {
    expect_refused(path, ErrorKind::input, "source.not_found", HasSubstr("there is no "));
  }
}

TEST_F(SourceTest, NeverTakesAUsualDirectoryForANameOfAHub) {
  for (const char* path : {"xps/77ab", "checkpoints/last", "outputs/my_model", "runs/7"}) {
    const std::string given = path;
    expect_refused(given, ErrorKind::input, "source.not_found",
                   "'" + given + "': there is no '" + given.substr(0, given.find('/')) + "' in '.'",
                   "a model that is called so is //pretrained/" + given);
    expect_name("//pretrained/" + given, given);
  }
  expect_name("xps-lab/77ab", "xps-lab/77ab");
}

TEST_F(SourceTest, SaysWhoReplacesVariables) {
  expect_refused("$HOME/x.th", ErrorKind::input, "source.variable",
                 "'$HOME/x.th': nothing replaces '$HOME' here",
                 "in a run script write ${oc.env:HOME}, in a shell leave the quotes out");
  checkpoint("$HOME/x.th");
  expect_file("$HOME/x.th", "$HOME/x.th");
}

TEST_F(SourceTest, SaysWhatFetchesWhatLiesElsewhere) {
  const auto expect_advice = [&](const std::string& address, const Matcher<std::string>& advice) {
    expect_refused(address, ErrorKind::usage, "source.address",
                   "'" + address + "' is an address, and Craftbundle does not download", advice);
  };
  const std::string hub = "'hf download jane/tuned' fetches it; then give the name: jane/tuned";
  expect_advice("hf://jane/tuned", hub);
  expect_advice("hf://jane/tuned@main/state_dict.bin", hub);
  expect_advice("https://huggingface.co/jane/tuned/tree/main", hub);
  expect_advice("https://hf.co/jane/tuned", hub);
  expect_advice("https://x.org/a.th",
                "'curl -fLO https://x.org/a.th' fetches it; then give the file");
  expect_advice("s3://b/a.th", "'aws s3 cp s3://b/a.th .' fetches it; then give the file");
  expect_advice("gs://b/a.th", "'gcloud storage cp gs://b/a.th .' fetches it; then give the file");
  expect_advice("hf://jane", "fetch it and give the file");
  expect_advice("file:///a/b.th", "give the path: '/a/b.th'");
  expect_refused("-", ErrorKind::usage, "source.stdin", HasSubstr("standard input is no source"),
                 "write it into a file first");
}

TEST_F(SourceTest, TellsForbiddenFromMissing) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  checkpoint("closed/a.th");
  boost::filesystem::permissions(directory_ / "closed", boost::filesystem::no_perms);
  expect_refused("closed/a.th", ErrorKind::system, "io.eacces", "closed/a.th: Permission denied");
  boost::filesystem::permissions(directory_ / "closed", boost::filesystem::owner_all);
}

TEST_F(SourceTest, SaysWhatADirectoryHoldsInstead) {
  write_file(directory_ / "checkpoint.th.1", "");
  write_file(directory_ / "state_dict.bin", "");
  expect_refused(".", ErrorKind::input, "source.no_checkpoint",
                 "'.': the directory holds no checkpoint.th, it holds 'checkpoint.th.1' and "
                 "'state_dict.bin'",
                 "give the file itself");
  boost::filesystem::create_directory(directory_ / "empty");
  expect_refused("empty", ErrorKind::input, "source.no_checkpoint", HasSubstr("it is empty"));
}

TEST_F(SourceTest, RefusesWhatIsNothing) {
  expect_refused("", ErrorKind::usage, "source.empty", HasSubstr("the source is empty"));
  expect_refused(std::string("a\0b", 3), ErrorKind::usage, "source.empty", HasSubstr("'a\\x00b'"));
  expect_refused("//pretrainde/x", ErrorKind::usage, "source.prefix", HasSubstr("no known prefix"),
                 HasSubstr("//pretrained/NAME"));
}

TEST_F(SourceTest, PassesRefusalsOfTheReaderOn) {
  write_file(directory_ / "text.th", "hello");
  testing::expect_error(ErrorKind::input, "format.text", HasSubstr("text.th"),
                        [&] { resolve("text.th"); });
}

}  // namespace
}  // namespace craftbundle
