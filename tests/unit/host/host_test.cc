#include "craftbundle/detail/host/host.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "craftbundle/detail/plugin/interface_id.h"
#include "fixtures.h"
#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using testing::copy_bad;
using testing::copy_plugin;
using ::testing::ElementsAre;
using testing::expect_error;
using testing::fixture;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::only;
using testing::only_good;
using testing::read_file;
using testing::RecordingSink;
using ::testing::StartsWith;
using testing::TemporaryDirectory;
using testing::write_file;

std::vector<std::string> plugin_names(const Host& host) {
  std::vector<std::string> names;
  for (const FoundPlugin& plugin : host.plugins()) names.push_back(plugin.info.name);
  return names;
}

// "file name code" of each refused library.
std::vector<std::string> refusals(const Host& host) {
  std::vector<std::string> result;
  for (const RefusedPlugin& plugin : host.refused()) {
    result.push_back(plugin.library.filename().string() + " " + plugin.code);
  }
  return result;
}

void replace_in_file(const Path& path, const std::string& from, const std::string& to) {
  std::string text = read_file(path);
  const std::size_t place = text.find(from);
  ASSERT_NE(place, std::string::npos) << from;
  write_file(path, text.replace(place, from.size(), to));
}

class HostTest : public ::testing::Test {
 protected:
  Source checkpoint(const Host& host, Value::Dict entries) {
    const Path path = directory_ / ("c" + std::to_string(count_++) + ".th");
    testing::write_checkpoint(path, std::move(entries));
    return Source::of_checkpoint(path.filename().string(), host.open(path));
  }
  static Source name(const std::string& text) { return Source::of_pretrained(text, text); }

  TemporaryDirectory directory_;
  int count_ = 0;
};

using Scanning = HostTest;

TEST_F(Scanning, ListsWithoutMappingAnything) {
  const Path library = copy_plugin("fixture_codecs", directory_.path());
  const Host host(only({directory_.path()}));
  EXPECT_THAT(plugin_names(host), ElementsAre("fixture_codecs"));
  EXPECT_THAT(refusals(host), IsEmpty());
  const FoundPlugin& plugin = host.plugins().at(0);
  EXPECT_EQ(plugin.library, boost::filesystem::canonical(library));
  EXPECT_EQ(plugin.origin, "--plugin-dir");
  EXPECT_EQ(plugin.info.offers<ExporterInfo>().at(0).options.at(3).choices,
            (std::vector<std::string>{"best", "last"}));
  EXPECT_FALSE(testing::is_mapped(library));
}

TEST_F(Scanning, LooksIntoALibraryWithoutSidecarInAChild) {
  const Path library = copy_plugin("fixture_codecs", directory_.path());
  boost::filesystem::remove(sidecar_path(library));
  const Host host(only({directory_.path()}));
  EXPECT_THAT(plugin_names(host), ElementsAre("fixture_codecs"));
  EXPECT_FALSE(testing::is_mapped(library));
}

TEST_F(Scanning, OutlivesEveryBadPlugin) {
  Host::Options options = only({fixture("bad")});
  options.scan_limit = 2s;
  const Host host(std::move(options));
  EXPECT_THAT(
      refusals(host),
      ElementsAre(
          "bad_magic.so plugin.descriptor", "codec_bad_exporter.so plugin.info",
          "codec_bad_name.so plugin.info", "codec_info_throws.so plugin.info",
          "codec_no_exporters.so plugin.info", "codec_no_summary.so plugin.info",
          "codec_null.so plugin.entry", "codec_same_name.so plugin.info", "crash.so plugin.crash",
          "entry_fails.so plugin.entry", "entry_throws_exception.so plugin.entry",
          "entry_throws_int.so plugin.entry", "exit.so plugin.exit", "false_answer.so plugin.exit",
          "hang.so plugin.hang", "info_any_file.so plugin.info", "info_bad_address.so plugin.info",
          "info_bad_choice.so plugin.info", "info_bad_default.so plugin.info",
          "info_bad_file.so plugin.info", "info_bad_name.so plugin.info",
          "info_bad_option_name.so plugin.info", "info_bad_pattern.so plugin.info",
          "info_empty.so plugin.info", "info_info_throws.so plugin.info",
          "info_names_for_files.so plugin.info", "info_no_files.so plugin.info",
          "info_no_names.so plugin.info", "info_no_source.so plugin.info",
          "info_no_summary.so plugin.info", "info_null.so plugin.entry",
          "info_option_twice.so plugin.info", "info_revision_zero.so plugin.info",
          "info_same_name.so plugin.info", "leave_child.so plugin.exit",
          "long_name.so plugin.descriptor", "missing_dependency.so plugin.missing_dependency",
          "newer_abi.so plugin.abi", "no_entry.so plugin.no_entry",
          "not_utf8_name.so plugin.descriptor", "null_entry.so plugin.descriptor",
          "null_interface.so plugin.descriptor", "null_name.so plugin.descriptor",
          "null_version.so plugin.descriptor", "older_abi.so plugin.abi",
          "slow.so plugin.duplicate", "stage_bad_default.so plugin.info",
          "stage_bad_name.so plugin.info", "stage_no_inputs.so plugin.info",
          "stage_null.so plugin.entry", "stage_reserved_name.so plugin.info",
          "stage_revision_zero.so plugin.info", "stage_same_name.so plugin.info",
          "static_throw.so plugin.crash", "undefined_symbol.so plugin.undefined_symbol",
          "upper_case_name.so plugin.descriptor", "wordy_version.so plugin.descriptor",
          "wrong_interface.so plugin.interface", "wrong_size.so plugin.abi"));
  // Noisy but good, and one that is only bad manners.
  EXPECT_THAT(plugin_names(host), ElementsAre("many_symbols", "at_load"));
}

TEST_F(Scanning, RefusesFilesThatAreNoLibraries) {
  write_file(directory_ / "empty.so", "");
  write_file(directory_ / "text.so", "#!/bin/sh\n");
  write_file(directory_ / "libfoo.so.1", "not looked at");
  write_file(directory_ / ".so", "not looked at");
  boost::filesystem::create_directory(directory_ / "directory.so");
  boost::filesystem::create_symlink("nowhere", directory_ / "link.so");
  ASSERT_EQ(::mkfifo((directory_ / "pipe.so").c_str(), 0600), 0);
  const std::string good = read_file(fixture("good/fixture_codecs.so"));
  write_file(directory_ / "short.so", good.substr(0, 4096));
  boost::filesystem::copy_file(fixture("elf/fixture_program"), directory_ / "program.so");
  const Host host(only({directory_.path()}));
  EXPECT_THAT(plugin_names(host), IsEmpty());
  EXPECT_THAT(refusals(host),
              ElementsAre("directory.so plugin.not_a_file", "empty.so plugin.not_elf",
                          "link.so plugin.unreadable", "pipe.so plugin.not_a_file",
                          "program.so plugin.not_shared", "short.so plugin.truncated",
                          "text.so plugin.not_elf"));
  EXPECT_EQ(host.refused()[1].reason, "is empty, expected a shared library");
}

TEST_F(Scanning, SaysWhatToDo) {
  const Path library = copy_plugin("fixture_codecs", directory_.path());
  ASSERT_EQ(::chmod(library.c_str(), 0646), 0);
  const Host host(only({directory_.path()}));
  ASSERT_THAT(refusals(host), ElementsAre("fixture_codecs.so plugin.permissions"));
  EXPECT_EQ(host.refused()[0].reason,
            "is writable by everyone, so it could hold anyone's code; run: chmod o-w " +
                boost::filesystem::canonical(library).string());
}

TEST_F(Scanning, TakesAFileOnce) {
  boost::filesystem::create_directory(directory_ / "a");
  const Path library = copy_plugin("fixture_codecs", directory_ / "a");
  boost::filesystem::create_symlink(library, directory_ / "b.so");
  boost::filesystem::create_hard_link(library, directory_ / "a/z.so");
  const Host host(only({directory_.path(), directory_ / "a"}));
  EXPECT_THAT(plugin_names(host), ElementsAre("fixture_codecs"));
  EXPECT_THAT(refusals(host), IsEmpty());
}

TEST_F(Scanning, TakesAFileFromATrustedPlaceWhenAnotherIsNot) {
  boost::filesystem::create_directory(directory_ / "open");
  boost::filesystem::create_directory(directory_ / "own");
  const Path library = copy_plugin("fixture_codecs", directory_ / "own");
  boost::filesystem::create_hard_link(library, directory_ / "open/x.so");
  ASSERT_EQ(::chmod((directory_ / "open").c_str(), 0777), 0);
  const Host host(only({directory_ / "open", directory_ / "own"}));
  EXPECT_THAT(refusals(host), ElementsAre("x.so plugin.permissions"));
  EXPECT_THAT(plugin_names(host), ElementsAre("fixture_codecs"));
}

TEST_F(Scanning, RefusesTheSecondOfTwoWithOneExporter) {
  boost::filesystem::create_directory(directory_ / "b");
  const Path first = copy_plugin("fixture_codecs", directory_.path());
  const Path second = copy_plugin("fixture_codecs", directory_ / "b");
  const Host host(only({directory_.path(), directory_ / "b"}));
  ASSERT_THAT(plugin_names(host), ElementsAre("fixture_codecs"));
  EXPECT_EQ(host.plugins()[0].library, boost::filesystem::canonical(first));
  ASSERT_THAT(refusals(host), ElementsAre("fixture_codecs.so plugin.duplicate"));
  EXPECT_EQ(host.refused()[0].library, boost::filesystem::canonical(second));
  EXPECT_EQ(host.refused()[0].reason, "offers the exporter 'tone', which " +
                                          host.plugins()[0].library.string() +
                                          " (--plugin-dir) offers already; remove one of the two");
}

TEST_F(Scanning, LetsAGoodOneStandInForABadOne) {
  boost::filesystem::create_directory(directory_ / "b");
  const Path first = copy_plugin("fixture_codecs", directory_.path());
  copy_plugin("fixture_codecs", directory_ / "b");
  boost::filesystem::resize_file(first, 5000);
  const Host host(only({directory_.path(), directory_ / "b"}));
  EXPECT_THAT(refusals(host), ElementsAre("fixture_codecs.so plugin.truncated"));
  EXPECT_THAT(plugin_names(host), ElementsAre("fixture_codecs"));
}

TEST_F(Scanning, RefusesASidecarOfAnotherInterface) {
  const Path library = copy_plugin("fixture_codecs", directory_.path());
  replace_in_file(sidecar_path(library), kInterfaceId, "0.0.1-other");
  const Host host(only({directory_.path()}));
  ASSERT_THAT(refusals(host), ElementsAre("fixture_codecs.so plugin.interface"));
  EXPECT_THAT(host.refused()[0].reason, AllOf(HasSubstr("'0.0.1-other'"), HasSubstr(kInterfaceId)));
}

TEST_F(Scanning, RefusesBadSidecars) {
  const Path library = copy_plugin("fixture_codecs", directory_.path());
  replace_in_file(sidecar_path(library), "format: 1", "format: 9");
  EXPECT_THAT(refusals(Host(only({directory_.path()}))),
              ElementsAre("fixture_codecs.so plugin.sidecar"));
  replace_in_file(sidecar_path(library), "format: 9", "format: 1");
  ASSERT_EQ(::chmod(sidecar_path(library).c_str(), 0666), 0);
  EXPECT_THAT(refusals(Host(only({directory_.path()}))),
              ElementsAre("fixture_codecs.so plugin.permissions"));
  boost::filesystem::remove(sidecar_path(library));
  boost::filesystem::create_directory(sidecar_path(library));
  EXPECT_THAT(refusals(Host(only({directory_.path()}))),
              ElementsAre("fixture_codecs.so plugin.not_a_file"));
}

TEST_F(Scanning, WarnsOfAMissingDirectory) {
  RecordingSink sink;
  Host::Options options = only({directory_ / "none"});
  options.sink = &sink;
  const Host host(std::move(options));
  EXPECT_THAT(sink.warnings(), ElementsAre(AllOf(HasSubstr("/none (--plugin-dir) cannot be read"),
                                                 HasSubstr("No such file"))));
}

TEST_F(Scanning, IsInterrupted) {
  Cancellation cancellation;
  cancellation.cancel();
  Host::Options options = only({fixture("bad")});
  options.cancellation = &cancellation;
  expect_error(ErrorKind::interrupted, "run.interrupted", ::testing::_,
               [&] { Host host(std::move(options)); });
}

using Probing = HostTest;

// "exporter confidence reason" of each.
std::vector<std::string> answers(const Host& host, const Source& source) {
  std::vector<std::string> result;
  for (const Candidate& candidate : host.probe(source)) {
    result.push_back(candidate.exporter + " " + std::to_string(candidate.probe.confidence) + " " +
                     candidate.probe.reason);
  }
  return result;
}

TEST_F(Probing, AsksEveryExporterAndPutsTheBestFirst) {
  const Host host(only_good());
  const std::vector<std::string> found =
      answers(host, checkpoint(host, {{"voice", std::int64_t{80}}, {"tone", std::int64_t{30}}}));
  ASSERT_EQ(found.size(), 10u);
  EXPECT_EQ(found[0], "voice 80 has the key 'voice'");
  EXPECT_EQ(found[1], "tone 30 has the key 'tone'");
  EXPECT_THAT(found, ::testing::Contains("castor 0 no twins are in it"));
}

TEST_F(Probing, OutlivesExportersThatFail) {
  RecordingSink sink;
  Host::Options options = only_good();
  options.sink = &sink;
  const Host host(std::move(options));
  const std::vector<std::string> found =
      answers(host, checkpoint(host, {{"tone", std::int64_t{30}}}));
  EXPECT_THAT(found, ::testing::Contains("probe_throws 0 cannot be asked: probe went wrong"));
  EXPECT_THAT(found,
              ::testing::Contains("probe_too_sure 0 is confident by 250, expected 0 to 100"));
  EXPECT_THAT(sink.warnings(),
              ElementsAre("exporter 'probe_throws' cannot be asked: probe went wrong"));
}

TEST_F(Probing, MapsOnlyWhoKnowsTheName) {
  const Path codecs = copy_plugin("fixture_codecs", directory_.path());
  const Path twins = copy_plugin("fixture_twins", directory_.path());
  replace_in_file(sidecar_path(twins), "\"*\"", "\"hub/*\"");
  const Host host(only({directory_.path()}));
  EXPECT_THAT(answers(host, name("fixture/tone_x")),
              ElementsAre("tone 100 knows the name 'fixture/tone_x'",
                          "any_name 0 takes other names: 'hub/*'"));
  // Not even the one that was asked: it is not part of the installation.
  EXPECT_FALSE(testing::is_mapped(codecs));
  EXPECT_FALSE(testing::is_mapped(twins));
}

TEST_F(Probing, OutlivesALibraryThatIsNotWhatItsSidecarSays) {
  const Path library = copy_plugin("fixture_codecs", directory_.path());
  replace_in_file(sidecar_path(library), "revision: 3", "revision: 4");
  const Host host(only({directory_.path()}));
  EXPECT_THAT(
      answers(host, name("fixture/tone")),
      ElementsAre(AllOf(StartsWith("tone 0 cannot be asked: "),
                        HasSubstr("it says 'revision: 3', its description 'revision: 4'"))));
  expect_error(ErrorKind::plugin, "plugin.sidecar_mismatch",
               HasSubstr("is not what fixture_codecs.plugin.yaml describes"), [&] {
                 host.prepare({name("fixture/tone"), {}, "tone", {}});
               });
}

TEST_F(Probing, ListsPretrainedNames) {
  EXPECT_THAT(Host(only_good()).pretrained_names(),
              ElementsAre("*", "fixture/tone", "fixture/tone_*", "tone_44khz"));
}

using Preparing = HostTest;

std::string extra(const PreparedComponent& prepared, const std::string& key) {
  for (const auto& [name, value] : prepared.component.model()->extra) {
    if (name == key) return *value.get_if<std::string>();
  }
  return {};
}

std::string made_by(const PreparedComponent& prepared) { return extra(prepared, "made_by"); }

TEST_F(Preparing, TakesTheMostConfident) {
  const Host host(only_good());
  const Source source = checkpoint(host, {{"voice", std::int64_t{80}}, {"tone", std::int64_t{30}}});
  const PreparedComponent prepared = host.prepare({source, {}, {}, {}});
  EXPECT_EQ(made_by(prepared), "voice");
  EXPECT_EQ(prepared.exporter.name, "voice");
  EXPECT_EQ(prepared.component.role, "lm");
  EXPECT_EQ(prepared.plugin_version, "1.2.3");
  EXPECT_EQ(prepared.plugin_library.filename(), "fixture_codecs.so");
  EXPECT_EQ(prepared.probe.confidence, 80);
  EXPECT_EQ(prepared.source.given(), source.given());
}

TEST_F(Preparing, TakesTheOneThatIsNamed) {
  const Host host(only_good());
  const Source source = checkpoint(host, {{"voice", std::int64_t{80}}, {"tone", std::int64_t{30}}});
  EXPECT_EQ(made_by(host.prepare({source, {}, "tone", {}})), "tone");
  EXPECT_EQ(made_by(host.prepare({source, "compression", "tone", {}})), "tone");
}

TEST_F(Preparing, RefusesAnExporterThatIsNotThere) {
  const Host host(only_good());
  try {
    host.prepare({name("x"), {}, "tome", {}});
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_EQ(error.code(), "exporter.unknown");
    EXPECT_THAT(error.message(), StartsWith("there is no exporter 'tome'; there is 'tone'"));
    EXPECT_EQ(error.hint(), "did you mean 'tone'?");
  }
  const Host empty(only({directory_.path()}));
  expect_error(ErrorKind::usage, "exporter.unknown", HasSubstr("no plugin was found"), [&] {
    empty.prepare({name("x"), {}, "tone", {}});
  });
}

TEST_F(Preparing, RefusesAnExporterOfAnotherKindOrRole) {
  const Host host(only_good());
  expect_error(ErrorKind::usage, "exporter.kind",
               HasSubstr("exporter 'voice' does not take pretrained names, and 'x' is one"), [&] {
                 host.prepare({name("x"), {}, "voice", {}});
               });
  expect_error(ErrorKind::usage, "exporter.component",
               HasSubstr("'tone' makes component 'compression', asked for was 'lm'"), [&] {
                 host.prepare({name("fixture/tone"), "lm", "tone", {}});
               });
}

TEST_F(Preparing, SaysWhatTheSourceIsInstead) {
  const Host host(only_good());
  const Source source = checkpoint(host, {{"voice", std::int64_t{80}}, {"tone", std::int64_t{30}}});
  expect_error(ErrorKind::input, "exporter.component",
               HasSubstr("'c0.th' is no component 'compression' but a component 'lm': "
                         "voice (80%): has the key 'voice'"),
               [&] {
                 host.prepare({source, "compression", {}, {}});
               });
  expect_error(ErrorKind::input, "exporter.component",
               HasSubstr("'fixture/tone' is no component 'lm' but a component 'compression': "
                         "tone (100%): knows the name 'fixture/tone'"),
               [&] {
                 host.prepare({name("fixture/tone"), "lm", {}, {}});
               });
}

TEST_F(Preparing, LetsTheRoleDecideBetweenEquals) {
  const Host host(only_good());
  const Source source = checkpoint(host, {{"voice", std::int64_t{10}}, {"tone", std::int64_t{10}}});
  EXPECT_EQ(made_by(host.prepare({source, "lm", {}, {}})), "voice");
  EXPECT_EQ(made_by(host.prepare({source, "compression", {}, {}})), "tone");
  expect_error(ErrorKind::input, "exporter.tie",
               AllOf(HasSubstr("tone (10%)"), HasSubstr("voice (10%)")), [&] {
                 host.prepare({source, {}, {}, {}});
               });
}

TEST_F(Preparing, LetsTheRoleDecideWhileNobodyIsSure) {
  const Host host(only_good());
  const Source unsure = checkpoint(host, {{"voice", std::int64_t{49}}, {"tone", std::int64_t{5}}});
  EXPECT_EQ(made_by(host.prepare({unsure, "compression", {}, {}})), "tone");
  EXPECT_EQ(made_by(host.prepare({unsure, {}, {}, {}})), "voice");
  const Source sure = checkpoint(host, {{"voice", std::int64_t{50}}, {"tone", std::int64_t{5}}});
  expect_error(ErrorKind::input, "exporter.component",
               HasSubstr("is no component 'compression' but a component 'lm': voice (50%)"), [&] {
                 host.prepare({sure, "compression", {}, {}});
               });
}

TEST_F(Preparing, RefusesATieNamingBoth) {
  const Host host(only_good());
  const Source source = checkpoint(host, {{"twins", true}});
  expect_error(
      ErrorKind::input, "exporter.tie",
      AllOf(HasSubstr("two exporters understand 'c0.th' equally well: castor (70%): twins are in "
                      "it, of /"),
            HasSubstr("/fixture_twins.so; pollux (70%): twins are in it, of /")),
      [&] {
        host.prepare({source, {}, {}, {}});
      });
  try {
    host.prepare({source, {}, {}, {}});
  } catch (const Error& error) {
    EXPECT_EQ(
        error.hint(),
        "name the one that is to take it: --exporter castor or --exporter pollux; for a bundle "
        "--for compression:exporter=castor, in a script 'exporter: castor'");
  }
  EXPECT_EQ(made_by(host.prepare({source, {}, "pollux", {}})), "pollux");
}

TEST_F(Preparing, ListsEveryAnswerWhenNobodyUnderstands) {
  const Host host(only_good());
  expect_error(
      ErrorKind::input, "exporter.none",
      AllOf(StartsWith("no exporter understands 'c0.th': "),
            HasSubstr("tone (0%): has no key 'tone'"), HasSubstr("voice (0%): has no key 'voice'"),
            HasSubstr("probe_throws (0%): cannot be asked: probe went wrong")),
      [&] {
        host.prepare({checkpoint(host, {}), {}, {}, {}});
      });
  // Those of the role that was asked for suffice.
  expect_error(ErrorKind::input, "exporter.none",
               AllOf(HasSubstr("voice (0%)"), Not(HasSubstr("tone (0%)"))), [&] {
                 host.prepare({checkpoint(host, {}), "lm", {}, {}});
               });
  const Host empty(only({directory_ / "none"}));
  expect_error(ErrorKind::input, "exporter.none",
               HasSubstr("no exporter understands 'x': none takes pretrained names"), [&] {
                 empty.prepare({name("x"), {}, {}, {}});
               });
}

TEST_F(Preparing, PassesErrorsOfExportersOn) {
  const Host host(only_good());
  const Source refused = checkpoint(host, {{"prepare_refuses", std::int64_t{90}}});
  try {
    host.prepare({refused, {}, {}, {}});
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    EXPECT_EQ(error.code(), "fixture.refused");
    EXPECT_EQ(error.message(), "the source is not to its taste");
    EXPECT_EQ(error.hint(), "try another");
  }
  const Source thrown = checkpoint(host, {{"prepare_throws_int", std::int64_t{90}}});
  expect_error(
      ErrorKind::plugin, "plugin.exception",
      HasSubstr("fixture_faults.so: exporter 'prepare_throws_int': an exception that is no "
                "std::exception"),
      [&] {
        host.prepare({thrown, {}, {}, {}});
      });
  const Source other = checkpoint(host, {{"wrong_role", std::int64_t{90}}});
  expect_error(ErrorKind::plugin, "plugin.component",
               HasSubstr("exporter 'wrong_role' made a component 'other', it announced "
                         "'compression'"),
               [&] {
                 host.prepare({other, {}, {}, {}});
               });
}

using OptionsOfExporters = HostTest;

TEST_F(OptionsOfExporters, AreFilledInWithDefaults) {
  const Host host(only_good());
  const PreparedComponent prepared =
      host.prepare({name("fixture/tone"), {}, {}, {{"rate", "16000"}, {"fast", "true"}}});
  std::vector<std::string> values;
  for (const OptionValue& option : prepared.options)
    values.push_back(option.name + "=" + option.value);
  EXPECT_THAT(values, ElementsAre("fast=true", "rate=16000", "gain=0.5", "state=best"));
  EXPECT_EQ(extra(prepared, "rate"), "16000");
}

TEST_F(OptionsOfExporters, AreRefusedWhenUnknownOrWrong) {
  const Host host(only_good());
  const auto refused = [&](const std::vector<OptionValue>& options, const std::string& code,
                           const std::string& text, const std::string& hint = {}) {
    try {
      host.prepare({name("fixture/tone"), {}, {}, options});
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_EQ(error.code(), code);
      EXPECT_THAT(error.message(), HasSubstr(text));
      EXPECT_EQ(error.hint(), hint);
    }
  };
  refused({{"rat", "1"}}, "option.unknown",
          "exporter 'tone' has no option 'rat'; it has 'fast', 'rate', 'gain' and 'state'",
          "did you mean 'rate'?");
  refused({{"volume", "1"}}, "option.unknown", "exporter 'tone' has no option 'volume'");
  refused({{"rate", "1"}, {"rate", "2"}}, "option.duplicate", "option 'rate' is given twice",
          "give it once");
  refused({{"state", "bets"}}, "option.value",
          "option 'state' of exporter 'tone' cannot be 'bets': expected one of 'best' and 'last'",
          "did you mean 'best'?");
  for (const char* value : {"yes", "1", "True", ""}) {
    refused({{"fast", value}}, "option.value", "expected 'true' or 'false'");
  }
  for (const char* value : {"", "1.5", "1k", " 1", "+1", "99999999999999999999"}) {
    refused({{"rate", value}}, "option.value", "expected an integer");
  }
  for (const char* value : {"", "1,5", "nan", "inf", "1e999", "0x10"}) {
    refused({{"gain", value}}, "option.value", "expected a number");
  }
  expect_error(
      ErrorKind::usage, "option.unknown", HasSubstr("has no option 'x'; it has none"), [&] {
        host.prepare({checkpoint(host, {{"voice", std::int64_t{9}}}), {}, {}, {{"x", ""}}});
      });
}

using Opening = HostTest;

TEST_F(Opening, SharesACheckpointWhileSomeoneHoldsIt) {
  const Host host(only({}));
  const Path path = testing::write_checkpoint(directory_ / "a.th", {{"a", true}});
  boost::filesystem::create_symlink(path, directory_ / "b.th");
  const auto first = host.open(path);
  EXPECT_EQ(host.open(path), first);
  // Other files may lie beside another name of it.
  EXPECT_NE(host.open(directory_ / "b.th"), first);
  testing::write_checkpoint(path, {{"b", true}});
  EXPECT_NE(host.open(path), first);
}

TEST_F(Opening, PassesErrorsOn) {
  const Host host(only({}));
  expect_error(ErrorKind::system, "io.enoent", HasSubstr("none.th"),
               [&] { host.open(directory_ / "none.th"); });
}

TEST_F(Preparing, WorksFromManyThreads) {
  const Host host(only_good());
  const Path path = testing::write_checkpoint(directory_ / "a.th", {{"voice", std::int64_t{80}}});
  std::vector<std::string> results(8);
  std::vector<std::thread> threads;
  for (std::string& result : results) {
    threads.emplace_back([&] {
      const Source source = Source::of_checkpoint("a.th", host.open(path));
      result = made_by(host.prepare({source, {}, {}, {}}));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(results, ::testing::Each("voice"));
}

// Services for a stage that writes into memory of the test's directory.
class Stages : public HostTest {
 protected:
  class Context final : public ReadingContext<StageContext> {
   public:
    explicit Context(const Path& directory)
        : ReadingContext(directory, &Checkpoint::open, Sink::none(), Cancellation::never()),
          directory_(directory) {}
    OutputFile& create(const std::string& name) override {
      return files.try_emplace(name, directory_, Durability::no_sync).first->second;
    }
    std::map<std::string, OutputFile> files;

   private:
    Path directory_;
  };

  StageOutcome run(const Host& host, const std::string& kind, std::vector<OptionValue> options) {
    write_file(directory_ / "a", "A");
    return host.run_stage(kind, {"s", {directory_ / "a"}, host.check_stage_options(kind, options)},
                          context_);
  }

  Context context_{directory_.path()};
};

TEST_F(Stages, AreListed) {
  std::vector<std::string> names;
  for (const StageKindInfo& info : Host(only_good()).stage_kinds()) {
    names.push_back(info.name + " " + std::string(to_string(info.output)));
  }
  EXPECT_THAT(names,
              ElementsAre("join file", "number directory", "judge none", "misbehave directory"));
}

TEST_F(Stages, MapNothingBeforeTheyRun) {
  const Path library = copy_plugin("fixture_stages", directory_.path());
  const Host host(only({directory_.path()}));
  EXPECT_EQ(host.stage_kinds().size(), 4u);
  EXPECT_FALSE(testing::is_mapped(library));
  const StageOutcome outcome = run(host, "join", {{"times", "2"}, {"between", "-"}});
  EXPECT_TRUE(testing::is_mapped(library));
  EXPECT_THAT(outcome.checks, ElementsAre("files are there"));
  EXPECT_THAT(outcome.warnings, ElementsAre("a warning"));
  context_.files.at("").publish(directory_ / "b", false);
  EXPECT_EQ(read_file(directory_ / "b"), "A-A");
}

TEST_F(Stages, HaveTheirOptionsChecked) {
  const Host host(only_good());
  const std::vector<OptionValue> options = host.check_stage_options("join", {{"times", "2"}});
  ASSERT_EQ(options.size(), 2u);
  EXPECT_EQ(option_value(options, "times"), "2");
  EXPECT_EQ(option_value(options, "between"), "");
  const auto check = [&](const OptionValue& option) {
    return [&host, option] { host.check_stage_options("join", {option}); };
  };
  expect_error(ErrorKind::usage, "option.unknown",
               ::testing::Eq("the kind of stage 'join' has no option 'time'; it has 'between' and "
                             "'times'"),
               check({"time", "2"}));
  expect_error(ErrorKind::usage, "option.value", HasSubstr("'3'"), check({"times", "3"}));
}

TEST_F(Stages, FailWithWhatTheyThrow) {
  const Host host(only_good());
  write_file(directory_ / "empty", "");
  expect_error(ErrorKind::mismatch, "fixture.empty", ::testing::Eq("a file is empty"), [&] {
    host.run_stage("judge", {"s", {directory_ / "empty"}, {}}, context_);
  });
  expect_error(ErrorKind::plugin, "plugin.exception",
               ::testing::MatchesRegex(".*/fixture_stages.so: stage 'misbehave': bad day"), [&] {
                 run(host, "misbehave", {{"how", "throw"}});
               });
  expect_error(ErrorKind::plugin, "plugin.exception", HasSubstr("no std::exception"), [&] {
    run(host, "misbehave", {{"how", "number"}});
  });
  expect_error(ErrorKind::internal, "option.undeclared", HasSubstr("'why' was asked for"), [&] {
    run(host, "misbehave", {{"how", "option"}});
  });
}

TEST_F(Stages, AreOfferedOnce) {
  boost::filesystem::create_directory(directory_ / "b");
  copy_plugin("fixture_stages", directory_.path());
  copy_plugin("fixture_stages", directory_ / "b");
  const Host host(only({directory_.path(), directory_ / "b"}));
  EXPECT_EQ(host.stage_kinds().size(), 4u);
  ASSERT_THAT(refusals(host), ElementsAre("fixture_stages.so plugin.duplicate"));
  EXPECT_THAT(host.refused()[0].reason, HasSubstr("offers the stage 'join', which "));
}

}  // namespace
}  // namespace craftbundle
