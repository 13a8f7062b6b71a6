#include "craftbundle/detail/pipeline/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

GraphNode node(std::vector<std::size_t> needs) {
  GraphNode result;
  for (const std::size_t need : needs) result.needs.push_back({need, true});
  return result;
}

TEST(Graph, OrderIsThatOfTheScriptWherePossible) {
  EXPECT_THAT(run_order({node({}), node({}), node({})}), ElementsAre(0, 1, 2));
  EXPECT_THAT(run_order({node({2}), node({}), node({1})}), ElementsAre(1, 2, 0));
  EXPECT_THAT(run_order({node({3}), node({}), node({}), node({})}), ElementsAre(1, 2, 3, 0));
}

TEST(Graph, CyclesArePaths) {
  EXPECT_THAT(find_cycle({node({}), node({0}), node({0, 1})}), IsEmpty());
  EXPECT_THAT(find_cycle({node({0})}), ElementsAre(0, 0));
  EXPECT_THAT(find_cycle({node({}), node({3}), node({1}), node({0, 2})}), ElementsAre(1, 3, 2, 1));
}

TEST(Graph, LongChainsNeedNoStack) {
  std::vector<GraphNode> chain(200'000);
  for (std::size_t i = 1; i < chain.size(); ++i) chain[i - 1].needs = {{i, true}};
  EXPECT_THAT(find_cycle(chain), IsEmpty());
  EXPECT_EQ(run_order(chain).front(), chain.size() - 1);
}

TEST(Graph, NeedsComeWithTheChosen) {
  const std::vector<GraphNode> nodes = {node({}), node({0}), node({}), node({1})};
  EXPECT_THAT(with_needs(nodes, {false, false, false, true}), ElementsAre(true, true, false, true));
}

TEST(Graph, PatternsMatchAsAWhole) {
  EXPECT_TRUE(matches_pattern("check-*", "check-small"));
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_TRUE(matches_pattern("*-a*b", "x-a-ab"));
  EXPECT_TRUE(matches_pattern("exact", "exact"));
  EXPECT_FALSE(matches_pattern("check-*", "recheck-small"));
  EXPECT_FALSE(matches_pattern("*a", "ab"));
  EXPECT_FALSE(matches_pattern("", "x"));
}

}  // namespace
}  // namespace craftbundle
