#include <gtest/gtest.h>

#include "craftbundle/detail/omegaconf/config.h"
#include "support/error_matchers.h"

namespace craftbundle::testing {
namespace {

const char* const kText = R"(# a comment
rate: 32000
seanet:
  norm: weight_norm
  causal: false
  empty: null
  ratios: [8, 5]
  names: {inner: x}
other: ${seanet}
2: two
)";

Config example() { return Config::from_yaml(kText); }

TEST(ConfigWith, HoldsTheNewText) {
  const Config config = example();
  const Config changed = config.with("seanet.norm", "none");
  EXPECT_EQ(changed.get_string("seanet.norm"), "none");
  EXPECT_EQ(changed.get_string("other.norm"), "none");
  EXPECT_EQ(changed.get_int("rate"), 32000);
  EXPECT_EQ(changed.text(), R"(rate: 32000
seanet:
  norm: none
  causal: false
  empty: null
  ratios:
  - 8
  - 5
  names:
    inner: x
other: ${seanet}
2: two
)");
  // The one it was made from is as it was.
  EXPECT_EQ(config.get_string("seanet.norm"), "weight_norm");
  EXPECT_EQ(config.text(), kText);
}

TEST(ConfigWith, TextReadsBackAsTheSame) {
  for (const char* value : {"none", "null", "true", "12", "1e3", "", "a: b", " x", "it's", "é\n"}) {
    const Config changed = example().with("seanet.names.inner", value);
    EXPECT_EQ(Config::from_yaml(changed.text()).get_string("seanet.names.inner"), value) << value;
  }
}

TEST(ConfigWith, ReplacesWhateverIsThere) {
  EXPECT_EQ(example().with("seanet.empty", "x").get_string("seanet.empty"), "x");
  EXPECT_EQ(example().with("seanet.ratios", "x").get_string("seanet.ratios"), "x");
  EXPECT_EQ(example().with("rate", "x").get_string("rate"), "x");
  EXPECT_EQ(example().with("other", "x").get_string("other"), "x");
  EXPECT_EQ(example().with("2", "x").get_string("2"), "x");
  EXPECT_EQ(example().with("[seanet][norm]", "x").get_string("seanet.norm"), "x");
}

TEST(ConfigWith, NeedsAKeyThatIsThere) {
  const auto refuse = [](const char* key, const std::string& message, const std::string& hint) {
    try {
      static_cast<void>(example().with(key, "x"));
      ADD_FAILURE() << key;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::input);
      EXPECT_EQ(error.code(), "config.missing");
      EXPECT_EQ(error.message(), message);
      EXPECT_EQ(error.hint(), hint);
    }
  };
  refuse("seanet.nrom", "config key 'seanet.nrom' is not in the configuration",
         "did you mean 'seanet.norm'?");
  refuse("nothing.norm", "config key 'nothing.norm' is not in the configuration", "");
  refuse("rate.norm", "config key 'rate.norm' is not in the configuration", "");
  refuse("seanet.ratios[1]",
         "config key 'seanet.ratios[1]' lies in a list or behind an interpolation", "");
  refuse("other.norm", "config key 'other.norm' lies in a list or behind an interpolation", "");
}

}  // namespace
}  // namespace craftbundle::testing
