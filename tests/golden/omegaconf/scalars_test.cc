// Single scalars in every position, against the tables that the real OmegaConf.to_yaml wrote.

#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "craftbundle/detail/omegaconf/node.h"
#include "unit/omegaconf/trees.h"

namespace craftbundle::testing {
namespace {

std::ifstream open_table(const std::string& name) {
  return std::ifstream(CRAFTBUNDLE_TEST_DATA "/golden/omegaconf/data/" + name);
}

TEST(Strings, AreWrittenAsOmegaConfWritesThem) {
  std::ifstream table = open_table("strings.jsonl");
  std::string line;
  int count = 0;
  while (std::getline(table, line)) {
    ++count;
    SCOPED_TRACE(line);
    const nlohmann::json row = nlohmann::json::parse(line);
    const auto in = row.at("in").get<std::string>();
    EXPECT_EQ(to_yaml(mapping(entry("k", text(in)))), row.at("value"));
    EXPECT_EQ(to_yaml(mapping(entry(in, number(0)))), row.at("key"));
    EXPECT_EQ(to_yaml(list(list(text(in)))), row.at("list2"));
    const ConfigNode deep = list(mapping(entry("c", text(in))));
    EXPECT_EQ(to_yaml(mapping(entry("a", mapping(entry("b", deep))))), row.at("deep"));
  }
  EXPECT_EQ(count, 721);
}

// Not in the table: JSON has no lone surrogates.
TEST(Strings, EscapeLoneSurrogates) {
  EXPECT_EQ(to_yaml(list(text("\xED\xA0\x80x"))), "- \"\\uD800x\"\n");
}

TEST(Floats, AreWrittenAsOmegaConfWritesThem) {
  std::ifstream table = open_table("floats.tsv");
  std::string bits;
  std::string expected;
  int count = 0;
  while (table >> bits >> expected) {
    ++count;
    const auto value = std::bit_cast<double>(std::uint64_t{std::stoull(bits, nullptr, 16)});
    EXPECT_EQ(to_yaml(mapping(entry("k", ConfigNode{value}))), "k: " + expected + "\n") << bits;
  }
  EXPECT_EQ(count, 300);
}

}  // namespace
}  // namespace craftbundle::testing
