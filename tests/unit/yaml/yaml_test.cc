#include "craftbundle/detail/yaml/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace craftbundle {
namespace {

using ::testing::HasSubstr;

YamlOptions options() {
  YamlOptions options;
  options.error = [](const YamlMark& mark, const std::string& what) {
    return Error(ErrorKind::input, "test.yaml",
                 std::to_string(mark.line) + ":" + std::to_string(mark.column) + ": " + what);
  };
  return options;
}

YamlOptions with_aliases() {
  YamlOptions result = options();
  result.aliases = true;
  return result;
}

std::string refusal(std::string_view text, const YamlOptions& how = options()) {
  try {
    parse_yaml(text, how);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "test.yaml");
    return error.message();
  }
  return "nothing";
}

TEST(Yaml, ValuesAreWhatWasTyped) {
  const YamlNode root =
      parse_yaml("a: 1.10\nb: no\nc: [1e3, '~', \"x\\ty\"]\nd: |\n  two\n  lines\n", options());
  EXPECT_EQ(root.type, YamlNode::Type::map);
  EXPECT_EQ(root.find("a")->text, "1.10");
  EXPECT_EQ(root.find("b")->text, "no");
  EXPECT_EQ(root.find("c")->items.at(0).text, "1e3");
  EXPECT_EQ(root.find("c")->items.at(1).text, "~");
  EXPECT_EQ(root.find("c")->items.at(2).text, "x\ty");
  EXPECT_EQ(root.find("d")->text, "two\nlines\n");
  EXPECT_EQ(root.find("e"), nullptr);
  EXPECT_EQ(root.find("a")->find("b"), nullptr);
}

TEST(Yaml, TextIsUtf8) {
  EXPECT_EQ(refusal("a: b\nc: \xff"), "2:4: text is not UTF-8");
  EXPECT_EQ(refusal(std::string_view("a\0:\0 \0b\0", 8)), "1:2: holds a null byte");
  EXPECT_EQ(parse_yaml("\xef\xbb\xbf"
                       "a: b",
                       options())
                .find("a")
                ->text,
            "b");
}

TEST(Yaml, EverythingKnowsItsPlace) {
  YamlOptions how = options();
  how.source = 7;
  const YamlNode root = parse_yaml("a:\n  - \"caf\u00e9\": [x, y]\n", how);
  const YamlNode& item = root.find("a")->items.at(0);
  EXPECT_EQ(item.entries.at(0).key.mark.line, 2);
  EXPECT_EQ(item.entries.at(0).key.mark.column, 5);
  const YamlMark& second = item.entries.at(0).value.items.at(1).mark;
  EXPECT_EQ(second.source, 7);
  EXPECT_EQ(second.line, 2);
  EXPECT_EQ(second.column, 17);
}

TEST(Yaml, FaultsHavePlaces) {
  EXPECT_EQ(refusal("a: 1\na: 2\n"), "2:1: key 'a' is given twice");
  EXPECT_EQ(refusal("a:\n"), "1:1: key 'a' has no value");
  EXPECT_EQ(refusal("- ~\n"), "1:3: a value is missing");
  EXPECT_EQ(refusal("a: !!python/name:os.system x\n"), "1:4: tags are not used here");
  EXPECT_EQ(refusal("a: 1\n--- \nb: 2\n"), "1:1: holds more than one document");
  EXPECT_EQ(refusal(""), "1:1: is empty");
  EXPECT_EQ(refusal("? [a]\n: b\n"), "1:3: a key is no text");
  EXPECT_EQ(refusal("a: {b: 1\n"), "2:1: end of map flow not found");
  EXPECT_THAT(refusal("a: caf\xe9\n"), HasSubstr("1:"));
}

TEST(Yaml, TabsInTheIndentationAreNamed) {
  EXPECT_THAT(refusal("a:\n\tb: 1\n"), HasSubstr("the line is indented with a tab"));
  EXPECT_EQ(parse_yaml("a:\t1\n", options()).find("a")->text, "1");
}

TEST(Yaml, SizesAreLimited) {
  YamlOptions how = options();
  how.max_bytes = 10;
  EXPECT_EQ(refusal("a: 1234567890", how), "1:1: has 13 B, expected at most 10 B");
  how = options();
  how.max_depth = 3;
  EXPECT_EQ(refusal("[[[[1]]]]", how), "1:4: is nested too deeply");
  how = options();
  how.max_nodes = 3;
  EXPECT_THAT(refusal("[1, 2, 3]", how), HasSubstr("1:"));
  EXPECT_EQ(parse_yaml("[1, 2]", how).items.size(), 2u);
}

TEST(Yaml, AliasesOnRequest) {
  const std::string text =
      "base: &base {a: 1, b: 2}\n"
      "other: {<<: *base, b: 3}\n"
      "both: {<<: [*base, {c: 4, a: 5}]}\n"
      "list: [&x one, *x]\n";
  EXPECT_EQ(refusal(text), "1:7: anchors are not used here");
  const YamlNode root = parse_yaml(text, with_aliases());
  EXPECT_EQ(root.find("other")->find("a")->text, "1");
  EXPECT_EQ(root.find("other")->find("b")->text, "3");
  EXPECT_EQ(root.find("both")->find("a")->text, "1");
  EXPECT_EQ(root.find("both")->find("c")->text, "4");
  EXPECT_EQ(root.find("list")->items.at(1).text, "one");
}

TEST(Yaml, AliasesCountAsOftenAsTheyAreUsed) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 8; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int k = 1; k < 10; ++k) text += ", " + before;
    text += "]\n";
  }
  EXPECT_THAT(refusal(text, with_aliases()), HasSubstr("has too many values"));
}

}  // namespace
}  // namespace craftbundle
