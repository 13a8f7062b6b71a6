// Pickled configurations against the text of the real OmegaConf.to_yaml.

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <string>
#include <vector>

#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "craftbundle/detail/omegaconf/config.h"
#include "craftbundle/detail/omegaconf/node.h"
#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle::testing {
namespace {

using ::testing::HasSubstr;

const Path kGolden = CRAFTBUNDLE_TEST_DATA "/golden";

struct Pair {
  std::string name;
  Path checkpoint;
  Path text;
};

Config config_of(const Path& path) {
  const auto checkpoint = Checkpoint::open(path);
  return Config::from_object(checkpoint->root().at("xp.cfg"), checkpoint->root());
}

std::vector<Pair> all_pairs() {
  std::vector<Pair> pairs;
  for (const auto& file : boost::filesystem::directory_iterator(kGolden / "omegaconf" / "data")) {
    if (file.path().extension() != ".th") continue;
    Path text = file.path();
    text.replace_extension(".yaml");
    pairs.push_back({"pair_" + file.path().stem().string(), file.path(), text});
  }
  const std::string suffix = "_exported.yaml";
  for (const auto& file : boost::filesystem::directory_iterator(kGolden / "data")) {
    const std::string name = file.path().filename().string();
    if (!name.ends_with(suffix)) continue;
    const std::string stem = name.substr(0, name.size() - suffix.size());
    const Path checkpoint = kGolden / "data" / (stem + "_train.th");
    // Of some exports the training checkpoint is too large to keep.
    if (boost::filesystem::exists(checkpoint)) pairs.push_back({stem, checkpoint, file.path()});
  }
  std::sort(pairs.begin(), pairs.end(),
            [](const Pair& a, const Pair& b) { return a.name < b.name; });
  return pairs;
}

TEST(Pairs, AreAllThere) { EXPECT_EQ(all_pairs().size(), 25u + 19u); }

class PairTest : public ::testing::TestWithParam<Pair> {};

TEST_P(PairTest, GivesTheTextOfOmegaConf) {
  EXPECT_EQ(config_of(GetParam().checkpoint).text(), read_file(GetParam().text));
}

TEST_P(PairTest, SurvivesARoundTrip) {
  const std::string text = read_file(GetParam().text);
  // Some line breaks do not survive in OmegaConf either; what it makes of them is recorded.
  const Path recorded = kGolden / "omegaconf" / "data" / "reread" / GetParam().text.filename();
  EXPECT_EQ(to_yaml(Config::from_yaml(text).root()),
            boost::filesystem::exists(recorded) ? read_file(recorded) : text);
}

INSTANTIATE_TEST_SUITE_P(Golden, PairTest, ::testing::ValuesIn(all_pairs()),
                         [](const auto& instance) { return instance.param.name; });

TEST(PlainContainers, AreConfigurations) {
  EXPECT_EQ(config_of(kGolden / "errors" / "cfg_is_dict.th").text(),
            "a:\n- 1\n- 2.5\n- null\n- true\n");
}

TEST(OtherValues, AreRefused) {
  expect_error(ErrorKind::input, "config.type", HasSubstr("the configuration is str"),
               [] { config_of(kGolden / "errors" / "cfg_is_str.th"); });
  expect_error(ErrorKind::input, "config.type", HasSubstr("the configuration is None"),
               [] { config_of(kGolden / "errors" / "cfg_is_none.th"); });
}

}  // namespace
}  // namespace craftbundle::testing
