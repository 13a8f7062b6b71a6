#include "craftbundle/detail/omegaconf/interpolation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error_matchers.h"
#include "trees.h"

namespace craftbundle::testing {
namespace {

using ::testing::HasSubstr;

const ConfigNode& tree() {
  static const ConfigNode root =
      mapping(entry("xps", text("/data/xps")), entry("size", text("small")),
              entry("runs", mapping(entry("small", text("9f2c")), entry("large", text("77aa")))),
              entry("sig", text("${runs.${size}}")), entry("n", number(3)),
              entry("sizes", list(text("a"), text("${size}"))), entry("loop", text("${pool}")),
              entry("pool", text("${loop}")));
  return root;
}

std::string answer(const std::string& name, const std::vector<std::string>& arguments) {
  if (name != "join") throw Error(ErrorKind::usage, "test.resolver", "no resolver " + name);
  std::string result;
  for (const std::string& argument : arguments) result += "<" + argument + ">";
  return result;
}

std::string text_of(const std::string& text) {
  return std::get<std::string>(interpolate(tree(), text, answer).value);
}

TEST(Interpolation, ReplacesReferences) {
  EXPECT_EQ(text_of("plain"), "plain");
  EXPECT_EQ(text_of("${xps}/${runs.${size}}/checkpoint.th"), "/data/xps/9f2c/checkpoint.th");
  EXPECT_EQ(text_of("${sig}"), "9f2c");
  EXPECT_EQ(text_of("${n} times"), "3 times");
  EXPECT_EQ(text_of("\\${xps}"), "${xps}");
}

TEST(Interpolation, KeepsValuesThatStandAlone) {
  EXPECT_EQ(std::get<std::int64_t>(interpolate(tree(), "${n}", answer).value), 3);
  const ConfigNode sizes = interpolate(tree(), "${sizes}", answer);
  EXPECT_EQ(std::get<std::string>(std::get<ConfigNode::List>(sizes.value).at(1).value), "small");
}

TEST(Interpolation, CallsTheResolver) {
  EXPECT_EQ(text_of("${join:a, b ,${size}}"), "<a><b><small>");
  EXPECT_EQ(text_of("x${join:}y"), "xy");
  expect_error(ErrorKind::usage, "test.resolver", ::testing::Eq("no resolver now"),
               [] { text_of("${now:x}"); });
}

TEST(Interpolation, RefusesWhatLeadsNowhere) {
  const auto refused = [](const std::string& given, const std::string& expected) {
    expect_error(ErrorKind::input, "config.interpolation", HasSubstr(expected),
                 [&] { text_of(given); });
  };
  refused("${nothing}", "nothing");
  refused("${runs.medium}", "medium");
  refused("${loop}", "refers to itself");
  refused("${xps", "${xps");
  std::string deep = "x";
  for (int i = 0; i < 10'000; ++i) deep = "${" + deep + "}";
  expect_error(ErrorKind::input, "config.interpolation", ::testing::_, [&] { text_of(deep); });
}

TEST(Interpolation, IsRecognised) {
  EXPECT_TRUE(has_interpolation("a${b}"));
  EXPECT_FALSE(has_interpolation("a$b {c}"));
}

}  // namespace
}  // namespace craftbundle::testing
