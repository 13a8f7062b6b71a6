#include "craftbundle/detail/host/sidecar.h"

#include <gtest/gtest.h>

#include "craftbundle/detail/plugin/plugin.h"
#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using testing::expect_error;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const Path kFile = "/dir/x.plugin.yaml";

PluginInfo full_info() {
  ExporterInfo exporter;
  exporter.name = "tone";
  exporter.summary = "Tones: \"quoted\", # no comment, caf\u00e9";
  exporter.revision = 12;
  exporter.component = "compression";
  exporter.accepts = {{AcceptedSource::Kind::checkpoint, "a file", {}},
                      {AcceptedSource::Kind::pretrained, "a name", {"true", "~", "a/b_*", "*"}},
                      {AcceptedSource::Kind::directory, "a directory", {"a.json", "m-*-of-*.bin"}}};
  exporter.options = {{"fast", OptionSpec::Type::boolean, "false", "Whether.", {}},
                      {"rate", OptionSpec::Type::integer, "", "Hz.", {"1", "2"}},
                      {"more", OptionSpec::Type::files, "", "Further ones.", {}},
                      {"state", OptionSpec::Type::text, "no", "No: really.", {"no", "null"}}};
  StageKindInfo stage;
  stage.name = "join";
  stage.summary = "Joins.";
  stage.revision = 2;
  stage.inputs = "files";
  stage.output = StageKindInfo::Output::directory;
  stage.options = {{"times", OptionSpec::Type::integer, "1", "How often.", {"1", "2"}}};
  const CodecLoaderInfo codec = {{"runner", "Runs: \"tones\".", 3, exporter.options},
                                 {"tone", "true"}};
  LayoutInfo layout;
  layout.name = "flat";
  layout.summary = "One file.";
  layout.revision = 5;
  layout.families = {"tone", "hum"};
  layout.parts = {{"lm", "a/lm.bin"}, {"*", "*.bin"}};
  layout.options = exporter.options;
  return {"plug", "1.2.3", "id-1", {{exporter}, {stage}, {codec}, {layout}}};
}

// The smallest sidecar, with one line replaced.
std::string text_with(const std::string& line, const std::string& replacement) {
  std::string text =
      "format: 1\n"
      "name: plug\n"
      "version: 1.0.0\n"
      "interface: id-1\n"
      "exporters:\n"
      "  - name: tone\n"
      "    summary: Tones.\n"
      "    revision: 1\n"
      "    component: compression\n"
      "    accepts:\n"
      "      - kind: checkpoint\n"
      "        what: a file\n";
  const std::size_t place = text.find(line + "\n");
  EXPECT_NE(place, std::string::npos) << line;
  return text.replace(place, line.size(), replacement);
}

void expect_refused(const std::string& text, const std::string& message) {
  expect_error(ErrorKind::plugin, "plugin.sidecar", StartsWith("/dir/x.plugin.yaml:" + message),
               [&] { parse_sidecar(text, kFile); });
}

TEST(Sidecar, LiesBesideTheLibrary) {
  EXPECT_EQ(sidecar_path("/a.so/b.c.so"), Path("/a.so/b.c.plugin.yaml"));
}

TEST(Sidecar, ReadsWhatItWrote) {
  EXPECT_EQ(parse_sidecar(to_sidecar(full_info()), kFile), full_info());
}

TEST(Sidecar, ReadsPlainText) {
  const PluginInfo info = parse_sidecar(text_with("name: plug", "name: plug"), kFile);
  EXPECT_EQ(info.name, "plug");
  EXPECT_EQ(info.version, "1.0.0");
  ASSERT_EQ(info.offers<ExporterInfo>().size(), 1u);
  EXPECT_EQ(info.offers<ExporterInfo>()[0].summary, "Tones.");
}

TEST(Sidecar, DescribesKindsOfStage) {
  const std::string text =
      "format: 1\nname: plug\nversion: 1.0.0\ninterface: id-1\nstages:\n  - name: join\n"
      "    summary: Joins.\n    revision: 1\n    inputs: files\n    output: file\n";
  const PluginInfo info = parse_sidecar(text, kFile);
  EXPECT_TRUE(info.offers<ExporterInfo>().empty());
  ASSERT_EQ(info.offers<StageKindInfo>().size(), 1u);
  EXPECT_EQ(info.offers<StageKindInfo>()[0].output, StageKindInfo::Output::file);
  const auto with = [&](const std::string& line, const std::string& replacement) {
    std::string changed = text;
    return changed.replace(changed.find(line), line.size(), replacement);
  };
  expect_refused(with("output: file", "output: film"),
                 "10:13: 'film' is none of 'none', 'file' and 'directory'");
  expect_refused(with("    inputs: files\n", ""), "6:5: key 'inputs' is missing");
  expect_refused(
      with("name: join", "name: needs"),
      "1:1: the plugin offers the stage 'needs', which has a name that scripts have already");
}

TEST(Sidecar, DescribesLoadersOfCodecs) {
  const std::string text =
      "format: 1\nname: plug\nversion: 1.0.0\ninterface: id-1\ncodecs:\n  - name: runner\n"
      "    summary: Runs.\n    exporters: [tone, hum]\n";
  const PluginInfo info = parse_sidecar(text, kFile);
  EXPECT_TRUE(info.offers<ExporterInfo>().empty());
  ASSERT_EQ(info.offers<CodecLoaderInfo>().size(), 1u);
  EXPECT_EQ(info.offers<CodecLoaderInfo>()[0],
            (CodecLoaderInfo{{"runner", "Runs."}, {"tone", "hum"}}));
  const auto with = [&](const std::string& line, const std::string& replacement) {
    std::string changed = text;
    return changed.replace(changed.find(line), line.size(), replacement);
  };
  expect_refused(with("    summary: Runs.\n", ""), "6:5: key 'summary' is missing");
  expect_refused(with("exporters: [tone, hum]", "exporter: tone"),
                 "8:5: unknown key 'exporter', did you mean 'exporters'?");
  expect_refused(with("exporters: [tone, hum]", "exporters: tone"),
                 "8:16: found text, expected a list");
  const auto rule = [&](const std::string& line, const std::string& replacement,
                        const std::string& message) {
    expect_refused(with(line, replacement), "1:1: the plugin offers " + message);
  };
  rule("name: runner", "name: my codec", "the codec 'my codec', which has no lower-case name");
  rule("summary: Runs.", "summary: ''", "the codec 'runner', which gives no summary");
  rule("[tone, hum]", "[]", "the codec 'runner', which names no exporter whose components it runs");
  rule("[tone, hum]", "[tone, Hum]",
       "the codec 'runner', which names the exporter 'Hum', expected a lower-case name");
  const std::string one = text.substr(text.find("  - name"));
  rule(one, one + one, "two codecs 'runner'");
  std::string many;
  for (int i = 0; i < 65; ++i) {
    many += with("runner", "r" + std::to_string(i)).substr(text.find("  - name"));
  }
  rule(one, many, "65 codecs, expected at most 64");
}

TEST(Sidecar, RefusesEveryCut) {
  const std::string text = to_sidecar(full_info());
  std::size_t accepted = 0;
  for (std::size_t length = 0; length < text.size(); ++length) {
    try {
      parse_sidecar(text.substr(0, length), kFile);
      ++accepted;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), "plugin.sidecar") << length;
    }
  }
  // What is cut off at the end can be optional: options, choices, names.
  EXPECT_LT(accepted, text.size() / 2);
}

TEST(Sidecar, NamesThePlaceOfAMistake) {
  expect_refused(text_with("version: 1.0.0", "vesion: 1.0.0"),
                 "3:1: unknown key 'vesion', did you mean 'version'?");
  expect_refused(text_with("version: 1.0.0", "weather: 1.0.0"),
                 "3:1: unknown key 'weather', expected one of ");
  expect_refused(text_with("name: plug", "name: plug\nname: plug"),
                 "3:1: key 'name' is given twice");
  expect_refused(text_with("    revision: 1", "    revision: one"), "8:15: 'one' is no number");
  expect_refused(text_with("    revision: 1", "    revision: 99999999999"),
                 "8:15: '99999999999' is no number");
  expect_refused(text_with("      - kind: checkpoint", "      - kind: film"),
                 "11:15: 'film' is none of 'checkpoint', 'pretrained', 'model' and 'directory'");
  expect_refused(text_with("name: plug", "name: [plug]"), "2:7: found a list, expected text");
  expect_refused(text_with("name: plug", "name:"), "2:1: key 'name' has no value");
  expect_refused(text_with("interface: id-1", "# nothing"), "1:1: key 'interface' is missing");
  expect_refused(text_with("format: 1", "format: 2"), "1:9: has format 2, expected 1");
  expect_refused(text_with("name: plug", "name: \"plug"), "");
}

TEST(Sidecar, RefusesWhatYamlCanDoBeyondData) {
  expect_refused(text_with("name: plug", "name: &a plug"), "2:7: anchors are not used here");
  expect_refused(text_with("name: plug", "name: *a"), "");
  expect_refused(text_with("name: plug", "name: !!python/object plug"),
                 "2:7: tags are not used here");
  expect_refused(text_with("name: plug", "? [a]\n: b"), "2:3: a key is no text");
  expect_refused("--- a\n--- b\n", "1:1: holds more than one document");
  expect_refused("", "1:1: is empty");
  expect_refused("[~]", "1:2: a value is missing");
  expect_refused("[[[[[[[[[[[[1]]]]]]]]]]]]", "1:9: is nested too deeply");
  expect_refused(std::string(100'000, '['), "1:");
  expect_refused(std::string((1 << 20) + 1, ' '), "1:1: has 1.0 MiB, expected at most 1.0 MiB");
  expect_refused("name: caf\xe9", "");
}

TEST(Sidecar, HoldsTheRulesOfPlugins) {
  expect_refused(text_with("name: plug", "name: Plug"),
                 "1:1: the plugin is named 'Plug', expected a letter");
  expect_refused(text_with("version: 1.0.0", "version: latest"),
                 "1:1: the plugin has the version 'latest', expected one like '1.2.3'");
  expect_refused(text_with("    component: compression", "    component: ../x"),
                 "1:1: the plugin offers the exporter 'tone', which makes a component '../x'");
  expect_refused(text_with("    summary: Tones.", "    summary: \"a\\eb\""),
                 "1:1: the plugin offers the exporter 'tone', which gives 'a\\x1Bb' as summary");
}

}  // namespace
}  // namespace craftbundle
