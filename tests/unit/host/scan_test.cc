#include "craftbundle/detail/host/scan.h"

#include <gtest/gtest.h>

#include "craftbundle/detail/host/library.h"
#include "fixtures.h"
#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using namespace std::chrono_literals;
using testing::bad;
using testing::copy_plugin;
using ::testing::EndsWith;
using testing::expect_error;
using testing::fixture;
using ::testing::HasSubstr;
using testing::TemporaryDirectory;
using testing::write_file;

void expect_refused(const std::string& name, const std::string& code, const std::string& text,
                    const ScanOptions& options = {}) {
  const Path library = bad(name);
  expect_error(ErrorKind::plugin, code, HasSubstr(name + ".so: " + text),
               [&] { scan_library(library, options); });
  EXPECT_FALSE(testing::is_mapped(library));
}

TEST(Scan, SaysWhatTheLibrarySays) {
  const Path library = fixture("good/fixture_codecs.so");
  const PluginInfo info = scan_library(library, {});
  EXPECT_EQ(info, PluginLibrary::load(library)->info());
  EXPECT_EQ(to_sidecar(info), testing::read_file(sidecar_path(library)));
}

TEST(Scan, PassesRefusalsOn) {
  expect_refused("newer_abi", "plugin.abi", "was built for plugin ABI version 2");
  expect_refused("entry_fails", "plugin.entry", "its entry function failed: no license was found");
  try {
    scan_library(bad("wrong_interface"), {});
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), HasSubstr("build the plugin again"));
  }
}

TEST(Scan, ReportsACrash) {
  expect_refused("crash", "plugin.crash", "crashed with signal SIGSEGV");
}

TEST(Scan, ReportsAnExceptionAtLoad) {
  expect_refused("static_throw", "plugin.crash", "crashed with signal SIGABRT");
}

TEST(Scan, EndsAHang) {
  ScanOptions options;
  options.time_limit = 300ms;
  expect_refused("hang", "plugin.hang", "did not finish within 300 ms", options);
}

TEST(Scan, DoesNotTakeAnExitForAnAnswer) {
  expect_refused("exit", "plugin.exit", "ended the process, with exit status 0");
  expect_refused("false_answer", "plugin.exit", "ended the process, with exit status 0");
}

TEST(Scan, DoesNotWaitForWhatTheLibraryLeftBehind) {
  expect_refused("leave_child", "plugin.exit", "ended the process, with exit status 3");
}

TEST(Scan, BearsNoiseAndSlowness) {
  EXPECT_EQ(scan_library(bad("noisy"), {}).name, "at_load");
  EXPECT_EQ(scan_library(bad("slow"), {}).name, "at_load");
}

TEST(Scan, CanBeCancelled) {
  Cancellation cancellation;
  cancellation.cancel();
  ScanOptions options;
  options.cancellation = &cancellation;
  expect_error(ErrorKind::interrupted, "run.interrupted", ::testing::_,
               [&] { scan_library(bad("hang"), options); });
}

TEST(Scan, SaysWhenThereIsNoScanner) {
  ScanOptions options;
  options.scanner = "/nowhere/craftbundle-scan";
  expect_error(ErrorKind::plugin, "plugin.scanner",
               EndsWith("/nowhere/craftbundle-scan: No such file or directory"),
               [&] { scan_library(fixture("good/fixture_codecs.so"), options); });
  options.scanner = "/bin/true";
  expect_error(ErrorKind::plugin, "plugin.exit", HasSubstr("exit status 0"),
               [&] { scan_library(fixture("good/fixture_codecs.so"), options); });
}

// A scanner that answers with `text`.
Path fake_scanner(const TemporaryDirectory& directory, const std::string& text) {
  const Path script = directory / "scanner";
  write_file(script, "#!/bin/sh\nprintf '%s' '" + text + "' >&3\n");
  boost::filesystem::permissions(script, boost::filesystem::owner_all);
  return script;
}

TEST(Scan, TakesWholeAnswersOnly) {
  TemporaryDirectory directory;
  ScanOptions options;
  const std::string mark = "craftbundle-scan answers ";
  for (const std::string text :
       {"", "craftbundle-scan", "format: 1", "craftbundle-scan answers 16:9:described2:ab",
        "craftbundle-scan answers 99999999999999999999999:1:a",
        "craftbundle-scan answers 18446744073709551615:1:a", "craftbundle-scan answers -1:a",
        "craftbundle-scan answers 0:", "craftbundle-scan answers 3:9:a"}) {
    options.scanner = fake_scanner(directory, text);
    expect_error(ErrorKind::plugin, "plugin.exit", HasSubstr("exit status 0"),
                 [&] { scan_library(fixture("good/fixture_codecs.so"), options); });
  }
  options.scanner = fake_scanner(directory, mark + "7:5:hello");
  expect_error(ErrorKind::plugin, "plugin.scanner", HasSubstr("'hello'"),
               [&] { scan_library(fixture("good/fixture_codecs.so"), options); });
  options.scanner = fake_scanner(directory, mark + "17:9:described4:a: b");
  expect_error(ErrorKind::plugin, "plugin.sidecar", HasSubstr("unknown key 'a'"),
               [&] { scan_library(fixture("good/fixture_codecs.so"), options); });
}

TEST(Scan, TakesNothingOfAnAnswerForGranted) {
  TemporaryDirectory directory;
  ScanOptions options;
  const std::string mark = "craftbundle-scan answers ";
  options.scanner = fake_scanner(directory, mark +
                                                "28:7:refused10:plugin.abi2:a\33"
                                                "0:");
  expect_error(ErrorKind::plugin, "plugin.abi", ::testing::Eq("a\\x1B"),
               [&] { scan_library(fixture("good/fixture_codecs.so"), options); });
  options.scanner = fake_scanner(directory, mark + "19:7:refused3:A B1:a0:");
  expect_error(ErrorKind::plugin, "plugin.scanner", ::testing::Eq("the scanner answered 'refused'"),
               [&] { scan_library(fixture("good/fixture_codecs.so"), options); });
}

TEST(Scan, ACheckWithoutAReasonHasFailed) {
  TemporaryDirectory directory;
  ScanOptions options;
  for (const std::string text : {"8:6:failed", "8:6:passed", "7:5:hello"}) {
    options.scanner = fake_scanner(directory, "craftbundle-scan answers " + text);
    for (const PluginCheck& check : check_plugin(fixture("good/fixture_codecs.so"), {}, options)) {
      if (check.name == "quiet") continue;  // of what was printed, not answered
      EXPECT_FALSE(check.passed);
      EXPECT_EQ(check.detail, "the scanner answered '" + text.substr(4) + "'");
    }
  }
}

}  // namespace
}  // namespace craftbundle
