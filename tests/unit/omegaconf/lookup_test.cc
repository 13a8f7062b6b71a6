#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "craftbundle/detail/omegaconf/config.h"
#include "craftbundle/detail/omegaconf/interpolation.h"
#include "support/error_matchers.h"

namespace craftbundle::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Config& example() {
  static const Config config = Config::from_yaml(R"(
sample_rate: 32000
channels: 1
name: codec
frame_rate: 49.5
causal: false
none: null
todo: ???
big: 99999999999999999999
2: two
yes: flag
seanet:
  ratios: [8, 5, "${channels}", 4]
  dimension: 128
  rate: ${sample_rate}
  sibling: ${.dimension}
  uncle: ${..channels}
  first: ${.ratios[0]}
  deeper:
    up: ${...name}
    bracket: ${[seanet][dimension]}
which: dimension
chosen: ${seanet.${which}}
url: ${name}-${sample_rate}-${causal}-${none}-${frame_rate}
escaped: \${name} and \\${name}
all: ${seanet}
through: ${all.dimension}
words: [a, b]
mixed: [1, a]
holes:
- a
- ???
)");
  return config;
}

TEST(Config, FindsTypedValues) {
  const Config& config = example();
  EXPECT_EQ(config.get_int("sample_rate"), 32000);
  EXPECT_EQ(config.get_string("name"), "codec");
  EXPECT_EQ(config.get_real("frame_rate"), 49.5);
  EXPECT_EQ(config.get_real("channels"), 1.0);
  EXPECT_EQ(config.get_bool("causal"), false);
  EXPECT_EQ(config.get_int("seanet.ratios[1]"), 5);
  EXPECT_EQ(config.get_int("seanet.ratios.1"), 5);
  EXPECT_EQ(config.get_int("[seanet][dimension]"), 128);
  EXPECT_THAT(*config.get_int_list("seanet.ratios"), ElementsAre(8, 5, 1, 4));
  EXPECT_THAT(*config.get_string_list("words"), ElementsAre("a", "b"));
  EXPECT_THAT(*config.keys("seanet.deeper"), ElementsAre("up", "bracket"));
  EXPECT_EQ(config.keys("")->front(), "sample_rate");
}

TEST(Config, FindsKeysThatAreNoStringsByTheirText) {
  EXPECT_EQ(example().get_string("2"), "two");
  EXPECT_EQ(example().get_string("true"), "flag");
}

TEST(Config, TellsWhatIsNotThere) {
  const Config& config = example();
  for (const char* key : {"none", "todo", "nothing", "seanet.nothing", "seanet.ratios[4]",
                          "seanet.ratios[-1]", "seanet.ratios.x", "name.x", "nothing.x"}) {
    EXPECT_EQ(config.get_int(key), std::nullopt) << key;
    EXPECT_EQ(config.keys(key), std::nullopt) << key;
  }
  EXPECT_EQ(config.keys("words"), std::nullopt);
  EXPECT_TRUE(config.contains("none"));
  EXPECT_TRUE(config.contains("todo"));
  EXPECT_TRUE(config.contains("through"));
  EXPECT_TRUE(config.contains("all.deeper.up"));
  EXPECT_FALSE(config.contains("nothing"));
  EXPECT_FALSE(config.contains("seanet.ratios[4]"));
}

TEST(Config, ResolvesInterpolations) {
  const Config& config = example();
  EXPECT_EQ(config.get_int("seanet.rate"), 32000);
  EXPECT_EQ(config.get_int("seanet.sibling"), 128);
  EXPECT_EQ(config.get_int("seanet.uncle"), 1);
  EXPECT_EQ(config.get_int("seanet.first"), 8);
  EXPECT_EQ(config.get_string("seanet.deeper.up"), "codec");
  EXPECT_EQ(config.get_int("seanet.deeper.bracket"), 128);
  EXPECT_EQ(config.get_int("chosen"), 128);
  EXPECT_EQ(config.get_string("url"), "codec-32000-False-None-49.5");
  EXPECT_EQ(config.get_string("escaped"), "${name} and \\codec");
  EXPECT_EQ(config.get_int("through"), 128);
  EXPECT_EQ(config.get_int("all.rate"), 32000);
  EXPECT_THAT(*config.get_int_list("all.ratios"), ElementsAre(8, 5, 1, 4));
}

TEST(Config, RefusesOtherTypes) {
  const Config& config = example();
  const auto refuses = [](const std::string& message, auto action) {
    expect_error(ErrorKind::input, "config.type", HasSubstr(message), action);
  };
  refuses("config key 'name' is str; expected an int", [&] { config.get_int("name"); });
  refuses("config key 'causal' is bool; expected an int", [&] { config.get_int("causal"); });
  refuses("'frame_rate' is float; expected an int", [&] { config.get_int("frame_rate"); });
  refuses("'big' is int; expected an int of at most 64 bits", [&] { config.get_int("big"); });
  refuses("'seanet' is dict; expected a str", [&] { config.get_string("seanet"); });
  refuses("'sample_rate' is int; expected a bool", [&] { config.get_bool("sample_rate"); });
  refuses("'name' is str; expected a number", [&] { config.get_real("name"); });
  refuses("'name' is str; expected a list", [&] { config.get_int_list("name"); });
  refuses("'mixed[1]' is str; expected an int", [&] { config.get_int_list("mixed"); });
  refuses("'holes[1]' is missing; expected a str", [&] { config.get_string_list("holes"); });
  refuses("'mixed[0]' is int; expected a str", [&] { config.get_string_list("mixed"); });
}

TEST(Config, NamesTheNearestKeyWhenOneIsMissing) {
  const auto hint = [](const std::string& key) {
    try {
      example().require_int(key);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), "config.missing");
      EXPECT_THAT(error.message(), HasSubstr("config key '" + key + "'"));
      return error.hint();
    }
    ADD_FAILURE() << key << " was found";
    return std::string();
  };
  EXPECT_EQ(hint("sample_rat"), "did you mean 'sample_rate'?");
  EXPECT_EQ(hint("seanet.dimensoin"), "did you mean 'seanet.dimension'?");
  EXPECT_EQ(hint("seanett.dimension"), "did you mean 'seanet'?");
  EXPECT_EQ(hint("entirely_different"), "");
  expect_error(ErrorKind::input, "config.missing", HasSubstr("'none' has no value"),
               [] { example().require_string("none"); });
  expect_error(ErrorKind::input, "config.missing", HasSubstr("'todo' has no value"),
               [] { example().require_int("todo"); });
  EXPECT_EQ(example().require_int("channels"), 1);
}

TEST(Config, RunsNoResolver) {
  const Config config = Config::from_yaml(
      "home: ${oc.env:HOME}\nmixed: x${oc.env:HOME, y}\nnested: ${a.${oc.env:HOME}}\n"
      "empty: ${:x}\nthrough: ${home}\n");
  for (const char* key : {"home", "mixed", "nested", "through"}) {
    expect_error(ErrorKind::input, "config.resolver",
                 AllOf(HasSubstr(std::string("config key '") + key + "'"), HasSubstr("'oc.env'")),
                 [&] { config.get_string(key); });
  }
  expect_error(ErrorKind::input, "config.resolver", HasSubstr("resolver ''"),
               [&] { config.get_string("empty"); });
  EXPECT_THAT(config.text(), HasSubstr("${oc.env:HOME}"));
}

TEST(Config, RefusesReferencesThatLeadNowhere) {
  struct Case {
    std::string yaml;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"a: ${b}", "'b' refers to a key that does not exist"},
      {"a: ${b.c}\nb: 1", "'b.c' refers to a key that does not exist"},
      {"a: ${b}\nb: ???", "'b' refers to a value that is missing"},
      {"a: ${..b}", "'..b' goes above the root"},
      {"a: ${a}", "'${a}' refers to itself"},
      {"a: ${b}\nb: x${c}\nc: ${a}", "refers to itself"},
      {"a: ${b.c}\nb: ${d}\nd: {c: '${a}'}", "refers to itself"},
      {"a: ${", "is malformed"},
      {"a: ${b", "is malformed"},
      {"a: ${}", "is malformed"},
      {"a: ${b c}", "is malformed"},
      {"a: ${b.}", "is malformed"},
      {"a: ${b[}", "is malformed"},
      {"a: ${${b}}\nb: 1", "uses a value of type int as a key"},
      {"a: x${b}\nb: [1]", "puts a value of type list into text"},
  };
  for (const Case& refused : cases) {
    SCOPED_TRACE(refused.yaml);
    // Not every one is plain YAML.
    const std::size_t colon = refused.yaml.find(": ") + 2;
    const std::size_t end = std::min(refused.yaml.find('\n'), refused.yaml.size());
    const std::string yaml =
        "a: '" + refused.yaml.substr(colon, end - colon) + "'" + refused.yaml.substr(end);
    expect_error(ErrorKind::input, "config.interpolation",
                 AllOf(HasSubstr("config key 'a': "), HasSubstr(refused.message)),
                 [&] { Config::from_yaml(yaml).get_string("a"); });
  }
  expect_error(ErrorKind::input, "config.interpolation", HasSubstr("a container that holds it"),
               [] { Config::from_yaml("a: {b: '${a}'}").keys("a.b"); });
}

TEST(Config, BoundsReferences) {
  std::string chain = "k0: 1\n";
  std::string doubling = "k0: x\n";
  for (int i = 1; i < 100; ++i) {
    const std::string before = "${k" + std::to_string(i - 1) + "}";
    chain += "k" + std::to_string(i) + ": " + before + "\n";
    doubling += "k" + std::to_string(i) + ": " + before + before + "\n";
  }
  EXPECT_EQ(Config::from_yaml(chain).get_int("k50"), 1);
  expect_error(ErrorKind::input, "config.interpolation", HasSubstr("leads too far"),
               [&] { Config::from_yaml(chain).get_int("k99"); });
  EXPECT_EQ(Config::from_yaml(doubling).get_string("k3"), "xxxxxxxx");
  expect_error(ErrorKind::input, "config.interpolation", HasSubstr("leads to too many others"),
               [&] { Config::from_yaml(doubling).get_string("k40"); });
  std::string nested;
  for (int i = 0; i < 1000; ++i) nested += "${";
  expect_error(ErrorKind::input, "config.interpolation", HasSubstr("nests too deep"),
               [&] { interpolate(Config().root(), nested, {}); });
}

}  // namespace
}  // namespace craftbundle::testing
