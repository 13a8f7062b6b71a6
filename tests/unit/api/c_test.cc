// The C interface: events, errors, cancellation.
#include "craftbundle/c.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <thread>

#include "craftbundle/detail/json/json.h"
#include "support/temporary_directory.h"
#include "unit/host/fixtures.h"

extern "C" int count_events(const char* operation, const char* options, char* last, size_t size);

namespace craftbundle {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using testing::TemporaryDirectory;
using testing::write_file;

std::string golden(const std::string& name) {
  return std::string(CRAFTBUNDLE_TEST_DATA) + "/golden/data/" + name;
}

struct Free {
  void operator()(craftbundle_host* host) const { craftbundle_host_free(host); }
  void operator()(craftbundle_call* call) const { craftbundle_call_free(call); }
};
using HostPointer = std::unique_ptr<craftbundle_host, Free>;
using Call = std::unique_ptr<craftbundle_call, Free>;

class CTest : public ::testing::Test {
 protected:
  Call start(const char* operation, const Json& options) {
    return Call(craftbundle_start(host.get(), operation, options.dump().c_str()));
  }

  // The last event of a call.
  static Json end_of(const Call& call) {
    Json last;
    while (const char* event = craftbundle_next(call.get(), -1)) last = Json::parse(event);
    EXPECT_EQ(last["event"], "end");
    return last;
  }

  static void expect_error(const Call& call, const char* kind, const char* code, const char* text) {
    const Json end = end_of(call);
    ASSERT_TRUE(end.contains("error")) << end;
    EXPECT_FALSE(end.contains("result"));
    EXPECT_EQ(end["error"]["kind"], kind);
    EXPECT_EQ(end["error"]["code"], code);
    EXPECT_THAT(end["error"]["message"].get<std::string>(), HasSubstr(text));
  }

  TemporaryDirectory directory;
  HostPointer host{craftbundle_host_new((R"({"plugin-dir": [")" CRAFTBUNDLE_PLUGINS R"("]})"))};
};

TEST_F(CTest, ServesProgramsInC) {
  std::array<char, 4096> last{};
  EXPECT_EQ(count_events("plugins", R"({"name": "none of them"})", last.data(), last.size()), 1);
  EXPECT_EQ(Json::parse(last.data())["result"]["exporters"], Json::array());
  EXPECT_EQ(craftbundle_c_version(), CRAFTBUNDLE_C_VERSION);
  EXPECT_THAT(craftbundle_version(), ::testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
}

TEST_F(CTest, ExportsAndTellsProgress) {
  const Json options = {{"source", golden("encodec_train.th")},
                        {"output", (directory / "codec.bin").string()},
                        {"option", {{"state", "ema"}}},
                        {"no-sync", true}};
  const Call call = start("export", options);
  std::vector<std::string> events;
  Json end;
  while (const char* event = craftbundle_next(call.get(), -1)) {
    end = Json::parse(event);
    events.push_back(end["event"].get<std::string>());
  }
  EXPECT_THAT(events, Contains("progress"));
  ASSERT_TRUE(end.contains("result")) << end;
  EXPECT_EQ(end["result"]["role"], "compression");
  EXPECT_EQ(end["result"]["file"], (directory / "codec.bin").string());
  EXPECT_EQ(craftbundle_next(call.get(), -1), nullptr);
  expect_error(start("export", options), "usage", "target.exists", "codec.bin");
}

TEST_F(CTest, RefusesWhatIsNoCall) {
  expect_error(Call(craftbundle_start(nullptr, "plugins", nullptr)), "usage", "call.null",
               "the host is NULL");
  expect_error(Call(craftbundle_start(host.get(), nullptr, nullptr)), "usage", "call.null",
               "the operation is NULL");
  expect_error(Call(craftbundle_start(host.get(), "plugins", "{")), "input", "options.syntax",
               "no JSON");
  expect_error(Call(craftbundle_start(host.get(), "plugins", "[]")), "usage", "option.type",
               "the options are no JSON object");
  expect_error(start("expotr", Json::object()), "usage", "operation.unknown",
               "there is no operation 'expotr'");
  EXPECT_EQ(craftbundle_next(nullptr, -1), nullptr);
  craftbundle_cancel(nullptr);
  craftbundle_call_free(nullptr);
  craftbundle_host_free(nullptr);
}

TEST_F(CTest, RefusesOptionsBeforeAnythingIsDone) {
  expect_error(start("inspect", {}), "usage", "option.type", "no JSON object");
  expect_error(start("inspect", Json::object()), "usage", "option.missing",
               "option 'source' is missing");
  expect_error(start("inspect", {{"source", 1.5}, {"exporter", "x"}}), "usage", "option.unknown",
               "there is no option 'exporter'");
  expect_error(start("inspect", {{"source", Json::array()}}), "usage", "option.type",
               "option 'source' is not text");
  expect_error(start("inspect", {{"source", std::string("a\0b", 3)}}), "usage", "option.type",
               "option 'source' is not text without zeros");
  const Json target = {{"source", "x"}, {"output", (directory / "x").string()}};
  const auto with = [&](const char* name, const Json& value) {
    Json options = target;
    options[name] = value;
    return options;
  };
  expect_error(start("export", with("force", "yes")), "usage", "option.type",
               "option 'force' is not true or false");
  expect_error(start("export", with("check", "all")), "usage", "option.type",
               "option 'check' is not one of");
  expect_error(start("export", with("option", "state=ema")), "usage", "option.type",
               "option 'option' is not an object");
  expect_error(start("run", {{"script", "x"}, {"jobs", 1000}}), "usage", "option.type",
               "option 'jobs' is not a number from 0 to 256");
  expect_error(start("bundle", {{"output", "x"}, {"components", {{{"role", "lm"}}}}}), "usage",
               "option.missing", "option 'components[0].source' is missing");
  expect_error(start("bundle", {{"output", "x"}, {"components", Json::array()}}), "usage",
               "bundle.empty", "no component was given");
}

TEST_F(CTest, RunsTheCodecOfWhatIsSound) {
  const Json plugins = {{"plugin-dir", {CRAFTBUNDLE_PLUGINS, testing::fixture("liars").string()}}};
  host.reset(craftbundle_host_new(plugins.dump().c_str()));
  const std::string source = (directory / "means.th").string();
  testing::write_checkpoint(source, {{"means", std::int64_t{100}}, {"pretrained", "means"}});
  const Json options = {
      {"source", source}, {"run", true}, {"seconds", 2.5}, {"codebooks", 2}, {"page", true}};
  const Json end = end_of(start("verify", options));
  ASSERT_TRUE(end.contains("result")) << end;
  EXPECT_EQ(end["result"]["sound"], true);
  EXPECT_EQ(end["result"]["codec"]["input"], "built-in test signal");
  EXPECT_EQ(end["result"]["codec"]["seconds"], 2.5);
  EXPECT_EQ(end["result"]["codec"]["codebooks"].size(), 2u);
  EXPECT_THAT(end["result"]["page"].get<std::string>(), HasSubstr("<audio "));
  EXPECT_FALSE(end_of(start("verify", {{"source", source}}))["result"].contains("codec"));

  expect_error(start("verify", {{"source", source}, {"seconds", 2}}), "usage", "option.needs",
               "option 'seconds' is for 'run', which is not given");
  expect_error(start("verify", {{"source", source}, {"run", true}, {"seconds", 0}}), "usage",
               "option.type", "option 'seconds' is not a number from 0.1 to 3600");
  expect_error(start("verify", {{"source", source}, {"run", true}, {"threads", 0}}), "usage",
               "option.type", "option 'threads' is not a number from 1");
  const std::string exported = (directory / "lm.bin").string();
  end_of(start("export", {{"source", golden("musicgen_train.th")}, {"output", exported}}));
  expect_error(start("verify", {{"source", exported}, {"run", true}}), "input", "codec.none",
               "there is no codec in it that a plugin can run");
}

TEST_F(CTest, SaysWhatIsWrongWithAHost) {
  const HostPointer odd(craftbundle_host_new(R"({"plugin_dir": []})"));
  expect_error(Call(craftbundle_start(odd.get(), "plugins", nullptr)), "usage", "option.unknown",
               "there is no option 'plugin_dir'");
}

TEST_F(CTest, EndsWhatIsCancelled) {
  const Path script = directory / "slow.yaml";
  write_file(script, "version: 1\nstages:\n  wait:\n    command: [sleep, '600']\n");
  const Call call = start("run", {{"script", script.string()}});
  EXPECT_EQ(craftbundle_next(call.get(), 1), nullptr);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  craftbundle_cancel(call.get());
  Json end;
  while (const char* event = craftbundle_next(call.get(), -1)) end = Json::parse(event);
  EXPECT_EQ(end["error"]["kind"], "interrupted") << end;
  // Freeing one does the same.
  start("run", {{"script", script.string()}});
}

TEST_F(CTest, OutlivesTheHandleOfItsHost) {
  const Call call = start("plugins", Json::object());
  host.reset();
  EXPECT_TRUE(end_of(call).contains("result"));
}

TEST_F(CTest, GivesConfigurationsWithTheirTypes) {
  const Json end = end_of(start("config", {{"source", golden("yaml_cases_train.th")}}));
  ASSERT_TRUE(end.contains("result")) << end;
  EXPECT_TRUE(end["result"]["root"].contains("mapping"));
  EXPECT_TRUE(end["result"]["text"].is_string());
}

TEST_F(CTest, ExtractsTensors) {
  const Json listed = end_of(start("tensors", {{"source", golden("encodec_train.th")}}));
  const Json& tensor = listed["result"]["groups"][0]["tensors"][0];
  const std::string output = (directory / "one.safetensors").string();
  const Json end = end_of(start(
      "extract",
      {{"source", golden("encodec_train.th")}, {"tensors", {tensor["name"]}}, {"output", output}}));
  EXPECT_EQ(end["result"]["tensors"], 1) << end;
  const Json again = end_of(start("tensors", {{"source", output}}));
  EXPECT_EQ(again["result"]["groups"][0]["tensors"][0]["shape"], tensor["shape"]);
  expect_error(
      start("extract",
            {{"source", golden("encodec_train.th")}, {"tensors", {"nothing"}}, {"output", output}}),
      "usage", "tensors.unknown", "there is no tensor 'nothing'");
}

}  // namespace
}  // namespace craftbundle
