#include "craftbundle/detail/tensor/layout.h"

#include <gtest/gtest.h>

#include <limits>

namespace craftbundle {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(ElementCount, MultipliesTheShape) {
  EXPECT_EQ(element_count({}), 1U);
  EXPECT_EQ(element_count({2, 3, 4}), 24U);
  EXPECT_EQ(element_count({5, 0, kMax, kMax}), 0U);
}

TEST(ElementCount, RefusesWhatWraps) {
  EXPECT_EQ(element_count({1LL << 32, 1LL << 32}), std::nullopt);
  EXPECT_EQ(element_count({kMax, 2}), std::nullopt);
  EXPECT_EQ(element_count({-2, -4}), std::nullopt);
  EXPECT_EQ(element_count({0, -1}), std::nullopt);
}

TEST(UsedRange, SpansFirstToLastElement) {
  EXPECT_EQ(used_range({{}, {}, 3}), (ElementRange{3, 4}));
  EXPECT_EQ(used_range({{2, 3}, {3, 1}, 4}), (ElementRange{4, 10}));
  EXPECT_EQ(used_range({{8}, {3}, 0}), (ElementRange{0, 22}));
  EXPECT_EQ(used_range({{1000}, {0}, 5}), (ElementRange{5, 6}));  // expanded
  EXPECT_EQ(used_range({{0, 7}, {7, 1}, 2}), (ElementRange{2, 2}));
}

TEST(UsedRange, RefusesWhatHasNoRange) {
  EXPECT_EQ(used_range({{2}, {1}, -1}), std::nullopt);
  EXPECT_EQ(used_range({{2}, {-1}, 5}), std::nullopt);
  EXPECT_EQ(used_range({{2, 2}, {1}, 0}), std::nullopt);
  EXPECT_EQ(used_range({{kMax}, {kMax}, 0}), std::nullopt);
  EXPECT_EQ(used_range({{3, kMax}, {kMax, 2}, kMax}), std::nullopt);
}

TEST(ContiguousStrides, AreRowMajor) {
  EXPECT_EQ(contiguous_strides({2, 3, 4}), (std::vector<std::int64_t>{12, 4, 1}));
  EXPECT_EQ(contiguous_strides({}), std::vector<std::int64_t>{});
  EXPECT_EQ(contiguous_strides({2, 0, 4}), (std::vector<std::int64_t>{4, 4, 1}));
}

TEST(IsContiguous, IgnoresStridesOfSizeOne) {
  EXPECT_TRUE(is_contiguous({{2, 3}, {3, 1}, 7}));
  EXPECT_TRUE(is_contiguous({{2, 1, 3}, {3, 99, 1}, 0}));
  EXPECT_FALSE(is_contiguous({{3, 2}, {1, 3}, 0}));
  EXPECT_FALSE(is_contiguous({{8}, {3}, 0}));
  EXPECT_TRUE(is_contiguous({{}, {}, 0}));
}

}  // namespace
}  // namespace craftbundle
