// Everything that scripts read: --json on standard output and --log-format json on standard error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/program.h"

namespace craftbundle {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::ProgramResult;
using testing::read_file;
using testing::TemporaryDirectory;

std::string data(const std::string& name) {
  return std::string(CRAFTBUNDLE_TEST_DATA) + "/golden/data/" + name;
}

class JsonOutput : public ::testing::Test {
 protected:
  ProgramResult run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(),
                     std::string(CRAFTBUNDLE_PROGRAM_DIRECTORY) + "/craftbundle");
    return testing::run_program(arguments, directory_.path());
  }

  // The output of a command that must end with `exit_code`.
  json output_of(std::vector<std::string> arguments, int exit_code = 0) const {
    const ProgramResult result = run(std::move(arguments));
    EXPECT_EQ(result.exit_code, exit_code) << result.errors;
    return json::parse(result.output);
  }

  TemporaryDirectory directory_;
};

TEST_F(JsonOutput, OfExportStatesTheFile) {
  const json report = output_of({"export", data("encodec_train.th"), "-o", "c.bin", "--json"});
  EXPECT_EQ(report.at("file"), "c.bin");
  EXPECT_EQ(report.at("size"), boost::filesystem::file_size(directory_ / "c.bin"));
  EXPECT_EQ(report.at("role"), "compression");
  EXPECT_EQ(report.at("exporter"), "encodec");
  EXPECT_GT(report.at("tensors"), 0);
}

TEST_F(JsonOutput, OfBundleHoldsTheManifest) {
  const json report = output_of({"bundle", "--lm", data("musicgen_train.th"), "--compression",
                                 data("encodec_train.th"), "-o", "m", "--json"});
  EXPECT_EQ(report.at("directory"), "m");
  EXPECT_EQ(report.at("manifest"), json::parse(read_file(directory_ / "m/bundle.json")));
  for (const json& check : report.at("manifest").at("fit")) {
    // There is no text encoder in it.
    EXPECT_EQ(check.at("outcome"), check.at("name") == "text_width" ? "unstated" : "agrees");
  }
}

TEST_F(JsonOutput, OfInspectDescribesACheckpoint) {
  const json report = output_of({"inspect", data("encodec_train.th"), "--json"});
  const json& checkpoint = report.at("checkpoint");
  EXPECT_EQ(checkpoint.at("container"), "zip");
  EXPECT_EQ(checkpoint.at("unsafe"), 0);
  std::vector<std::string> keys;
  for (const json& key : checkpoint.at("keys")) keys.push_back(key.at("key"));
  EXPECT_THAT(keys, Contains("best_state"));
  EXPECT_EQ(report.at("exporters").at(0).at("exporter"), "encodec");
  EXPECT_EQ(report.at("exporters").at(0).at("confidence"), 100);
  EXPECT_EQ(report.at("component").at("role"), "compression");
}

TEST_F(JsonOutput, OfInspectDescribesABundle) {
  ASSERT_EQ(run({"bundle", "--lm", data("musicgen_train.th"), "--compression",
                 data("encodec_train.th"), "-o", "m"})
                .exit_code,
            0);
  const json report = output_of({"inspect", "m", "--json"});
  EXPECT_EQ(report.at("components").size(), 2u);
  EXPECT_TRUE(report.at("problems").empty());
  EXPECT_EQ(report.at("manifest").at("format_version"), 2);
}

TEST_F(JsonOutput, OfAFailureIsAnError) {
  testing::write_file(directory_ / "text.th", "no checkpoint");
  const json report = output_of({"inspect", "text.th", "--json"}, 3);
  EXPECT_EQ(report.at("error").at("kind"), "input");
  EXPECT_THAT(report.at("error").at("code").get<std::string>(), HasSubstr("format."));
  EXPECT_THAT(report.at("error").at("message").get<std::string>(), HasSubstr("text.th"));
}

TEST_F(JsonOutput, OfPluginsListsExportersAndTheirOptions) {
  const json report = output_of({"plugins", "list", "--json"});
  std::vector<std::string> names;
  for (const json& plugin : report.at("plugins")) {
    for (const json& exporter : plugin.at("exporters")) {
      names.push_back(exporter.at("name"));
      EXPECT_FALSE(exporter.at("accepts").empty()) << exporter;
    }
  }
  EXPECT_THAT(names, ::testing::IsSupersetOf({"encodec", "dac", "language_model"}));
  EXPECT_EQ(output_of({"plugins", "info", "encodec", "--json"}).at("exporters").at(0).at("name"),
            "encodec");
  EXPECT_FALSE(output_of({"plugins", "dirs", "--json"}).at("directories").empty());
}

std::vector<json> lines_of(const std::string& text) {
  std::vector<json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
  return lines;
}

TEST_F(JsonOutput, OfTheLogIsAnObjectOnEachLine) {
  const ProgramResult result =
      run({"--log-format", "json", "-v", "export", data("encodec_train.th"), "-o", "c.bin"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const std::vector<json> lines = lines_of(result.errors);
  ASSERT_FALSE(lines.empty());
  const json& last = lines.back();
  EXPECT_EQ(last.at("event"), "progress");
  EXPECT_EQ(last.at("task"), "c.bin");
  EXPECT_EQ(last.at("done"), last.at("total"));
}

TEST_F(JsonOutput, OfTheLogTellsErrors) {
  const ProgramResult result = run({"export", "missing.th", "-o", "c.bin", "--log-format", "json"});
  EXPECT_EQ(result.exit_code, 3);
  const std::vector<json> lines = lines_of(result.errors);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].at("event"), "error");
  EXPECT_THAT(lines[0].at("message").get<std::string>(), HasSubstr("missing.th"));
}

TEST_F(JsonOutput, SurvivesNamesThatAreNotUtf8) {
  const json report = output_of({"inspect", "no\xff.th", "--json"}, 3);
  EXPECT_THAT(report.at("error").at("message").get<std::string>(), HasSubstr(".th"));
}

}  // namespace
}  // namespace craftbundle
