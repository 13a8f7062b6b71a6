// Every plugin of this build passes the checks of the contract, on every checkpoint the tests have;
// and the checks are worth something: bad plugins fail the one that is about them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>

#include "craftbundle/detail/bundle/codec_run.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/host/host.h"
#include "craftbundle/detail/host/scan.h"
#include "support/program.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Program;
using testing::ProgramResult;
using testing::TemporaryDirectory;

// Files of a directory by extension, sorted. An empty directory must fail.
std::vector<Path> files_in(const Path& directory, const std::vector<std::string>& extensions) {
  std::vector<Path> files;
  for (const auto& entry : boost::filesystem::directory_iterator(directory)) {
    const std::string extension = entry.path().extension().string();
    if (std::find(extensions.begin(), extensions.end(), extension) != extensions.end()) {
      files.push_back(entry.path());
    }
  }
  if (files.empty()) throw std::runtime_error("nothing to test in " + directory.string());
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<Path> plugins() { return files_in(CRAFTBUNDLE_PLUGINS, {".so"}); }

std::vector<Path> checkpoints() {
  std::vector<Path> files =
      files_in(Path(CRAFTBUNDLE_TEST_DATA) / "golden/data", {".th", ".bin", ".pth"});
  const std::vector<Path> hostile =
      files_in(Path(CRAFTBUNDLE_TEST_DATA) / "attacks/data", {".th", ".bin"});
  files.insert(files.end(), hostile.begin(), hostile.end());
  return files;
}

Path bad(const std::string& name) {
  const Path path = Path(CRAFTBUNDLE_FIXTURES) / "bad" / (name + ".so");
  if (!boost::filesystem::exists(path)) throw std::runtime_error("no fixture " + path.string());
  return path;
}

Path good(const std::string& name) { return Path(CRAFTBUNDLE_FIXTURES) / "good" / (name + ".so"); }

// "name: detail" of each failed check.
std::vector<std::string> failures(const Path& library, const std::vector<Path>& sources = {}) {
  ScanOptions options;
  options.time_limit = 60s;
  std::vector<std::string> result;
  for (const PluginCheck& check : check_plugin(library, sources, options)) {
    if (!check.passed) result.push_back(check.name + ": " + check.detail);
  }
  return result;
}

TEST(Conformance, EveryPluginPasses) {
  ASSERT_GE(plugins().size(), 3u);
  const std::vector<Path> sources = checkpoints();
  for (const Path& plugin : plugins()) {
    EXPECT_THAT(failures(plugin, sources), IsEmpty()) << plugin;
  }
}

TEST(Conformance, GoodFixturesPass) {
  EXPECT_THAT(failures(good("fixture_codecs")), IsEmpty());
  EXPECT_THAT(failures(good("fixture_twins")), IsEmpty());
  EXPECT_THAT(failures(good("fixture_stages")), IsEmpty());
  TemporaryDirectory directory;
  // What the exporter of the plugin makes of it is a codec that runs.
  OutputFile file(directory.path(), Durability::no_sync);
  write_package(Value::Dict{{"hum", std::int64_t{50}}}, file, {});
  file.publish(directory / "hum.th", false);
  EXPECT_THAT(failures(good("fixture_runners"), {directory / "hum.th"}), IsEmpty());
}

// Directories are made up for every exporter that takes some, by the names it declares.
TEST(Conformance, ExportersOfDirectoriesAreAskedAboutOddOnes) {
  const Path fixtures = CRAFTBUNDLE_FIXTURES;
  TemporaryDirectory directory;
  testing::write_file(directory / "config.json", "{\"model_type\": \"chime\"}");
  testing::write_file(directory / "model.safetensors", std::string("\2\0\0\0\0\0\0\0{}", 10));
  EXPECT_THAT(failures(fixtures / "directories/fixture_directories.so", {directory.path()}),
              IsEmpty());
  const std::vector<std::string> careless = failures(fixtures / "careless/fixture_careless.so");
  ASSERT_EQ(careless.size(), 1u);
  EXPECT_THAT(careless[0],
              ::testing::AllOf(HasSubstr("probe: exporter 'chime', source '"),
                               HasSubstr("/directory_"), HasSubstr("probe() threw: ")));
}

TEST(Conformance, LeakedSymbolsFail) {
  EXPECT_THAT(failures(bad("many_symbols")),
              Contains("one-symbol: it exports 'craftbundle_plugin' and 'helper_that_leaked'"));
}

TEST(Conformance, AMissingSidecarFails) {
  EXPECT_THAT(failures(bad("noisy")),
              Contains(::testing::MatchesRegex("sidecar: .*noisy.plugin.yaml is missing")));
}

TEST(Conformance, AnotherSidecarFails) {
  TemporaryDirectory directory;
  const Path library = directory / "fixture_codecs.so";
  boost::filesystem::copy_file(good("fixture_codecs"), library);
  std::string text = testing::read_file(sidecar_path(good("fixture_codecs")));
  const std::string version = "version: \"1.2.3\"";
  ASSERT_NE(text.find(version), std::string::npos);
  text.replace(text.find(version), version.size(), "version: \"1.2.4\"");
  testing::write_file(sidecar_path(library), text);
  EXPECT_THAT(failures(library),
              ElementsAre(HasSubstr("sidecar: " + boost::filesystem::canonical(library).string() +
                                    ": is not what fixture_codecs.plugin.yaml describes")));
}

TEST(Conformance, ThrowingExportersFail) {
  EXPECT_THAT(failures(good("fixture_faults")),
              ElementsAre(HasSubstr("probe() threw: probe went wrong"),
                          HasSubstr("prepare() threw 'plugin.exception': an exception that is no "
                                    "std::exception; expected an Error of kind input")));
}

TEST(Conformance, CodecsThatMakeSomethingElseThanTheyStateFail) {
  EXPECT_THAT(failures(good("fixture_runner_faults")),
              ElementsAre("codecs: codec 'hollow', a model of no exporter: the codec: "
                          "encode_latent() returned vectors of 1 x 1 x 9 in 0 numbers for 1 inputs "
                          "and a dimension of 1"));
}

std::optional<PreparedComponent> prepare_if_sound(const Host& host, const Path& file) {
  try {
    return host.prepare(
        {Source::of_checkpoint(file.string(), host.open(file)), std::nullopt, std::nullopt, {}});
  } catch (const Error& error) {
    EXPECT_EQ(to_string(error.kind()), to_string(ErrorKind::input)) << error.what();
    return std::nullopt;
  }
}

// A package of an exporter in another library cannot be checked with the loader alone.
TEST(Conformance, CodecsRunWhatTheirExportersExport) {
  Host::Options options;
  options.search = {{Path(CRAFTBUNDLE_PLUGINS)}, false, false, false};
  const Host host(std::move(options));
  std::set<std::string> offered;
  std::set<std::string> run;
  for (const auto& exporter : host.offers<ExporterInfo>()) offered.insert(exporter.info->name);
  for (const auto& codec : host.offers<CodecLoaderInfo>()) {
    run.insert(codec.info->exporters.begin(), codec.info->exporters.end());
  }
  if (run.empty()) GTEST_SKIP() << "no plugin of this build runs codecs";
  EXPECT_TRUE(std::ranges::includes(offered, run));
  std::set<std::string> ran;
  for (const Path& file :
       files_in(Path(CRAFTBUNDLE_TEST_DATA) / "golden/data", {".th", ".bin", ".pth"})) {
    SCOPED_TRACE(file.string());
    const std::optional<PreparedComponent> prepared = prepare_if_sound(host, file);
    if (!prepared || !host.can_run(prepared->exporter.name)) continue;
    std::unique_ptr<Codec> codec;
    try {
      codec = host.load_codec(*prepared);
    } catch (const Error& error) {
      EXPECT_EQ(to_string(error.kind()), to_string(ErrorKind::input)) << error.what();
      EXPECT_EQ(error.code(), "codec.unsupported") << error.what();
      continue;
    }
    const CodecProperties& properties = codec->properties();
    const std::map<std::string, FactValue> stated = {{"codebooks", properties.codebooks},
                                                     {"cardinality", properties.cardinality},
                                                     {"sample_rate", properties.sample_rate},
                                                     {"frame_rate", properties.frame_rate},
                                                     {"channels", properties.channels}};
    for (const FitFact& fact : prepared->component.provides) {
      if (!stated.contains(fact.name)) continue;
      EXPECT_EQ(to_string(stated.at(fact.name)), to_string(fact.value)) << fact.name;
    }
    const auto signal = test_signal(properties.sample_rate, properties.channels, 0.3);
    const CodecRun done = run_codec(*codec, *signal, {});
    EXPECT_EQ(done.samples, signal->samples());
    EXPECT_EQ(done.codebooks, properties.codebooks);
    EXPECT_GT(done.frames, 0);
    ran.insert(prepared->exporter.name);
  }
  EXPECT_EQ(ran, run);
}

TEST(Conformance, EveryBadFixtureFailsToLoad) {
  for (const char* name : {"bad_magic",
                           "newer_abi",
                           "older_abi",
                           "wrong_size",
                           "wrong_interface",
                           "null_interface",
                           "null_name",
                           "long_name",
                           "not_utf8_name",
                           "upper_case_name",
                           "null_version",
                           "wordy_version",
                           "null_entry",
                           "entry_throws_int",
                           "entry_throws_exception",
                           "entry_fails",
                           "no_entry",
                           "undefined_symbol",
                           "missing_dependency",
                           "crash",
                           "static_throw",
                           "exit",
                           "false_answer",
                           "leave_child",
                           "info_empty",
                           "info_same_name",
                           "info_bad_default",
                           "stage_null",
                           "stage_reserved_name",
                           "codec_null",
                           "codec_no_exporters"}) {
    EXPECT_THAT(failures(bad(name)), Contains(HasSubstr("loads: "))) << name;
  }
}

ProgramResult scan(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {CRAFTBUNDLE_SCANNER};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return Program(command, "/").wait();
}

TEST(Scanner, PrintsEachCheck) {
  const ProgramResult passed = scan({"--check", good("fixture_codecs").string()});
  EXPECT_EQ(passed.exit_code, 0) << passed.errors;
  EXPECT_THAT(passed.output,
              HasSubstr("ok      one-symbol: The library exports craftbundle_plugin and nothing"));
  const ProgramResult failed = scan({"--check", bad("many_symbols").string()});
  EXPECT_EQ(failed.exit_code, 4);
  EXPECT_THAT(failed.output, HasSubstr("FAILED  one-symbol: "));
  EXPECT_THAT(failed.output, HasSubstr("\n        it exports "));
}

TEST(Scanner, WritesTheSidecarWhereItIsTold) {
  TemporaryDirectory directory;
  const Path output = directory / "x.yaml";
  const ProgramResult result = scan({bad("noisy").string(), "-o", output.string()});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(result.output, "");
  EXPECT_EQ(parse_sidecar(testing::read_file(output), output).name, "at_load");
}

TEST(Scanner, WritesNothingForARefusedLibrary) {
  TemporaryDirectory directory;
  const ProgramResult result = scan({bad("exit").string(), "-o", (directory / "x.yaml").string()});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.output, "");
  EXPECT_THAT(result.errors, HasSubstr("exit.so: ended the process, with exit status 0"));
  EXPECT_THAT(directory.names(), IsEmpty());
}

TEST(Scanner, KnowsItsArguments) {
  EXPECT_EQ(scan({}).exit_code, 2);
  EXPECT_EQ(scan({"x.so", "--no-such-option"}).exit_code, 2);
  EXPECT_EQ(scan({"x.so", "--source", "a"}).exit_code, 2);
  const ProgramResult help = scan({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.output, HasSubstr("--check"));
}

}  // namespace
}  // namespace craftbundle
