#include "craftbundle/detail/pipeline/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>
#include <nlohmann/json.hpp>

#include "support/program.h"

namespace craftbundle {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::TemporaryDirectory;
using testing::write_file;

StageReport stage(const std::string& name, StageState state, std::vector<std::size_t> needs = {}) {
  StageReport report;
  report.name = name;
  report.group = name;
  report.kind = "command";
  report.what = "do " + name;
  report.state = state;
  report.needs = std::move(needs);
  return report;
}

RunReport sample() {
  RunReport report;
  report.script = "<release & 'co'>.yaml";
  report.producer = "craftbundle 0.0.0";
  report.started = "2026-11-23T19:10:00Z";
  report.seconds = 12.5;
  report.stages = {stage("codec", StageState::done), stage("lm", StageState::failed, {0}),
                   stage("bundle", StageState::blocked, {0, 1}),
                   stage("notes", StageState::up_to_date)};
  report.stages[0].result.bytes = 2048;
  report.stages[0].seconds = 0.25;
  report.stages[0].outputs = {{"file", "/out/codec.bin"}};
  report.stages[1].error = Error(ErrorKind::input, "zip.crc",
                                 "<script>alert(\"1\")</script>\nsecond line", "get it again");
  report.stages[1].start = 0.25;
  report.stages[1].log = "/state/logs/lm.log";
  report.stages[3].result.bytes = 99;
  return report;
}

TEST(Report, CountsWhatThisRunDid) {
  const RunReport report = sample();
  EXPECT_EQ(report.count(StageState::done), 1u);
  EXPECT_EQ(report.bytes(), 2048u);
  ASSERT_TRUE(failure(report));
  EXPECT_EQ(failure(report)->code(), "zip.crc");
}

TEST(Report, AllowedFailuresAreNone) {
  RunReport report = sample();
  report.stages[1].may_fail = true;
  EXPECT_FALSE(failure(report));
}

TEST(Report, TheFirstFailureInTimeCounts) {
  RunReport report = sample();
  report.stages[2] = stage("early", StageState::failed);
  report.stages[2].error = Error(ErrorKind::system, "io.enospc", "disk full");
  EXPECT_EQ(failure(report)->code(), "io.enospc");
}

TEST(Report, JsonHasEverything) {
  const auto json = nlohmann::json::parse(to_json(sample()));
  EXPECT_EQ(json["format"], 1);
  EXPECT_EQ(json["bytes"], 2048);
  EXPECT_EQ(json["totals"]["up to date"], 1);
  EXPECT_EQ(json["stages"][2]["needs"], (std::vector<std::string>{"codec", "lm"}));
  EXPECT_EQ(json["stages"][1]["error"]["code"], "zip.crc");
  EXPECT_EQ(json["stages"][1]["log"], "/state/logs/lm.log");
  EXPECT_EQ(json["stages"][0]["outputs"][0]["path"], "/out/codec.bin");
  EXPECT_EQ(json["stages"][0]["error"], nullptr);
}

TEST(Report, PageEscapesWhatFilesSay) {
  const std::string page = to_html(sample());
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;\nsecond line"));
  EXPECT_THAT(page, HasSubstr("&lt;release &amp; &#39;co&#39;&gt;.yaml"));
  EXPECT_THAT(page, Not(HasSubstr("http-equiv")));
  // Nothing is fetched: the only address is a name space.
  std::string rest = page;
  const std::string name_space = "http://www.w3.org/1999/xhtml";
  rest.erase(rest.find(name_space), name_space.size());
  EXPECT_THAT(rest, Not(HasSubstr("http")));
}

TEST(Report, PageIsWellFormed) {
  if (!boost::filesystem::exists("/usr/bin/python3")) GTEST_SKIP() << "there is no python3";
  const TemporaryDirectory directory;
  RunReport report = sample();
  report.stages[0].result.warnings = {"control \x01 and \xff bytes"};
  write_file(directory / "page.html", to_html(report));
  const auto result = testing::run_program(
      {"/usr/bin/python3", "-c",
       "import xml.etree.ElementTree as e; t=e.parse('page.html'); "
       "print(len(t.findall('.//{*}svg//{*}a')), len(t.findall('.//{*}table//{*}tr')))"},
      directory.path());
  EXPECT_EQ(result.errors, "");
  EXPECT_EQ(result.output, "4 5\n");
}

TEST(Report, FailuresAndLogsAreLinks) {
  RunReport report = sample();
  report.stages[1].log = "/runs/my script/a log.txt";
  const std::string page = to_html(report, "/runs/my script");
  EXPECT_THAT(page, HasSubstr("<a href=\"#stage-1\">lm</a>"));
  EXPECT_THAT(page, HasSubstr("href=\"#failure-1\""));
  EXPECT_THAT(page, HasSubstr("id=\"failure-1\""));
  EXPECT_THAT(page, HasSubstr("<a href=\"a%20log.txt\">log</a>"));
  EXPECT_THAT(to_html(report, "/elsewhere"),
              HasSubstr("<a href=\"file:///runs/my%20script/a%20log.txt\">log</a>"));
}

TEST(Report, StagesAreFilteredByState) {
  const std::string page = to_html(sample());
  EXPECT_THAT(page, HasSubstr("id=\"show-failed\""));
  EXPECT_THAT(page, HasSubstr("data-state=\"up-to-date\""));
  EXPECT_THAT(page, Not(HasSubstr("id=\"show-interrupted\"")));
}

TEST(Report, BundlesAreOneTable) {
  RunReport report = sample();
  for (const char* name : {"one", "two"}) {
    StageReport bundle = stage(name, StageState::done);
    bundle.outputs = {{"directory", Path("/out") / name}};
    bundle.result.manifest.emplace();
    bundle.result.manifest->layout = "a_layout";
    bundle.result.manifest->files = {{"a.bin", 1024, "00ff", {"lm"}},
                                     {"b.bin", 1024, "ff00", {"lm"}}};
    bundle.result.manifest->components.emplace_back();
    bundle.result.manifest->components.front().role = "lm";
    bundle.result.manifest->components.front().source = "made of.th";
    report.stages.push_back(std::move(bundle));
  }
  const std::string page = to_html(report);
  const std::size_t table = page.find("<caption>bundles</caption>");
  ASSERT_NE(table, std::string::npos);
  const std::string text = page.substr(table, page.find("</table>", table) - table);
  EXPECT_THAT(text, HasSubstr("<code>/out/one</code>"));
  EXPECT_THAT(text, HasSubstr("<code>/out/two</code>"));
  EXPECT_THAT(text, HasSubstr("2.0 KiB"));
  EXPECT_THAT(text, HasSubstr("made of.th"));
  EXPECT_THAT(page, HasSubstr("<code>ff00</code>"));
}

TEST(Report, EmptyAndLargeRunsHavePages) {
  RunReport report = sample();
  report.stages.clear();
  EXPECT_THAT(to_html(report), HasSubstr("</html>"));
  for (std::size_t i = 0; i < 300; ++i) {
    report.stages.push_back(stage("s" + std::to_string(i), StageState::done));
    if (i > 0) report.stages.back().needs = {i - 1};
  }
  EXPECT_THAT(to_html(report), HasSubstr("s299"));
}

}  // namespace
}  // namespace craftbundle
