#include "craftbundle/detail/io/crc32.h"

#include <gtest/gtest.h>

#include <string_view>

namespace craftbundle {
namespace {

std::uint32_t crc_of(std::string_view text, std::uint32_t before = 0) {
  return crc32(before, std::as_bytes(std::span(text)));
}

TEST(Crc32, MatchesTheZipCheckValue) { EXPECT_EQ(crc_of("123456789"), 0xCBF43926U); }

TEST(Crc32, ContinuesInPieces) {
  EXPECT_EQ(crc_of("56789", crc_of("1234")), 0xCBF43926U);
  EXPECT_EQ(crc_of("", crc_of("123456789")), 0xCBF43926U);
  EXPECT_EQ(crc_of(""), 0U);
}

}  // namespace
}  // namespace craftbundle
