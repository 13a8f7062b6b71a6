#include "craftbundle/detail/base/checked.h"

#include <gtest/gtest.h>

#include <limits>

namespace craftbundle {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

TEST(Checked, AddStopsAtTheEdge) {
  EXPECT_EQ(checked_add(kMax - 1, 1), kMax);
  EXPECT_EQ(checked_add(kMax, 1), std::nullopt);
}

TEST(Checked, MultiplyStopsAtTheEdge) {
  EXPECT_EQ(checked_mul(1ULL << 32, (1ULL << 32) - 1), (1ULL << 32) * ((1ULL << 32) - 1));
  EXPECT_EQ(checked_mul(1ULL << 32, 1ULL << 32), std::nullopt);
  // 2^62 + 8 elements of 4 bytes would wrap to 32 bytes.
  EXPECT_EQ(checked_mul((1ULL << 62) + 8, 4), std::nullopt);
}

TEST(Checked, RangeNeverWraps) {
  EXPECT_TRUE(in_range(0, 10, 10));
  EXPECT_TRUE(in_range(10, 0, 10));
  EXPECT_FALSE(in_range(11, 0, 10));
  EXPECT_FALSE(in_range(1, 10, 10));
  EXPECT_FALSE(in_range(5, kMax - 4, 10));
}

TEST(LittleEndian, TheFirstByteIsTheLeast) {
  EXPECT_EQ(little_endian(""), 0u);
  EXPECT_EQ(little_endian("\x01\x02\xFF"), 0xFF0201u);
  EXPECT_EQ(little_endian("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), kMax);
}

}  // namespace
}  // namespace craftbundle
