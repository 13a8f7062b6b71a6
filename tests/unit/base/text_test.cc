#include "craftbundle/detail/base/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <iomanip>
#include <string>
#include <utility>

namespace craftbundle {
namespace {

TEST(Printable, LeavesOrdinaryTextAlone) {
  EXPECT_EQ(printable("data/3"), "data/3");
  EXPECT_EQ(printable("日本語 é 😀"), "日本語 é 😀");
}

TEST(Printable, EscapesWhatChangesTheTerminal) {
  EXPECT_EQ(printable("a\x1b]0;title\x07"), "a\\x1B]0;title\\x07");
  EXPECT_EQ(printable("line\nline\ttab\r"), "line\\nline\\ttab\\x0D");
  EXPECT_EQ(printable(std::string("nul\0nul", 7)), "nul\\x00nul");
  EXPECT_EQ(printable("\x7f\xc2\x85"), "\\x7F\\x85");
  EXPECT_EQ(printable("\u202e\u2066\ufeff\u200b"), "\\u{202E}\\u{2066}\\u{FEFF}\\u{200B}");
}

TEST(Printable, EscapesBytesThatAreNoUtf8) {
  EXPECT_EQ(printable("\xff\xc0\x80"), "\\xFF\\xC0\\x80");
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xED\\xA0\\x80");  // a surrogate
  EXPECT_EQ(printable("\xe2\x82"), "\\xE2\\x82");           // cut
}

TEST(Printable, CutsLongTextByCharacters) {
  EXPECT_EQ(printable("ééééé", 3), "ééé...");
  EXPECT_EQ(printable("ééé", 3), "ééé");
  EXPECT_EQ(printable(std::string(1'000'000, 'x')).size(), kShownTextLimit + 3);
}

TEST(Quoted, AddsQuotes) { EXPECT_EQ(quoted("a\nb"), "'a\\nb'"); }

TEST(Quoted, IsNotThatOfTheStandardLibrary) {
  std::string text = "a\nb";
  EXPECT_EQ(quoted(text), "'a\\nb'");
  EXPECT_EQ(quoted(std::as_const(text), 1), "'a...'");
}

TEST(IsUtf8, FollowsRfc3629) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("é日😀"));
  EXPECT_FALSE(is_utf8("\xc1\xbf"));          // overlong
  EXPECT_FALSE(is_utf8("\xf4\x90\x80\x80"));  // beyond U+10FFFF
  EXPECT_FALSE(is_utf8("\xed\xbf\xbf"));      // surrogate
}

TEST(HumanBytes, UsesBinaryUnits) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(human_bytes(6'726'355'105), "6.3 GiB");
  EXPECT_EQ(human_bytes(~0ULL), "16.0 EiB");
}

TEST(ShapeText, LooksLikePython) {
  const std::array<std::int64_t, 2> shape = {33, 32};
  EXPECT_EQ(shape_text(shape), "[33, 32]");
  EXPECT_EQ(shape_text({}), "[]");
}

TEST(ListText, NamesAFewAndCountsTheRest) {
  const std::array<std::string, 3> items = {"a", "b", "c"};
  EXPECT_EQ(list_text(items), "'a', 'b' and 'c'");
  EXPECT_EQ(list_text(items, 1), "'a', ... and 2 more");
  EXPECT_EQ(list_text({}), "");
}

TEST(Nearest, FindsSlipsOnly) {
  const std::array<std::string, 3> names = {"encode", "decode", "inspect"};
  EXPECT_EQ(nearest("insepct", names), "inspect");
  EXPECT_EQ(nearest("encod", names), "encode");
  EXPECT_EQ(nearest("bundle", names), std::nullopt);
  EXPECT_EQ(nearest("", names), std::nullopt);
}

TEST(PrintableLines, KeepsLinesAndNothingThatATerminalObeys) {
  EXPECT_EQ(printable_lines("a:\tb\nc: \x1b]0;x\x07\r\n"), "a:\tb\nc: \\x1B]0;x\\x07\\x0D\n");
  EXPECT_EQ(printable_lines("\xC2\x9B \xE2\x80\xAE \xFF"), "\\x9B \\u{202E} \\xFF");
  EXPECT_EQ(printable_lines(std::string(5'000, 'a')).size(), 5'000u);
}

TEST(Numbers, AsTexts) {
  EXPECT_EQ(number_text(0.1), "0.1");
  EXPECT_EQ(number_text(1e300), "1e+300");
  EXPECT_EQ(fixed_text(3.14159, 2), "3.14");
  EXPECT_EQ(fixed_text(-0.5, 0), "-0");
  EXPECT_EQ(fixed_text(1e308, 1).size(), 311u);
  EXPECT_EQ(error_text(0), "0");
  EXPECT_EQ(error_text(3.764e-4), "3.76e-04");
}

TEST(Times, AsTexts) {
  EXPECT_EQ(clock_text(65.9), "1:05");
  EXPECT_EQ(clock_text(6000), "100:00");
  EXPECT_EQ(seconds_text(0), "0 ms");
  EXPECT_EQ(seconds_text(0.3504), "350 ms");
  EXPECT_EQ(seconds_text(12.34), "12.3 s");
  EXPECT_EQ(seconds_text(725), "12:05 min");
  EXPECT_THAT(utc_now(), ::testing::MatchesRegex("20..-..-..T..:..:..Z"));
}

TEST(Hex, IsLowerCase) {
  const std::array<std::uint8_t, 3> bytes = {0x00, 0xAB, 0xFF};
  EXPECT_EQ(hex(bytes), "00abff");
}

TEST(Join, PutsTheSeparatorBetween) {
  EXPECT_EQ(join({}, ", "), "");
  EXPECT_EQ(join(std::vector<std::string>{"a"}, ", "), "a");
  EXPECT_EQ(join(std::vector<std::string>{"a", "", "c"}, ", "), "a, , c");
}

TEST(Counted, OnlyOneIsSingular) {
  EXPECT_EQ(counted(0, "tensor"), "0 tensors");
  EXPECT_EQ(counted(1, "tensor"), "1 tensor");
  EXPECT_EQ(counted(2, "tensor"), "2 tensors");
}

TEST(DidYouMean, IsEmptyWhenNothingIsNear) {
  const std::vector<std::string> names = {"dtype", "state"};
  EXPECT_EQ(did_you_mean("dtyp", names), "did you mean 'dtype'?");
  EXPECT_EQ(did_you_mean("average", names), "");
}

}  // namespace
}  // namespace craftbundle
