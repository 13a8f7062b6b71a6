#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "craftbundle/detail/omegaconf/config.h"
#include "craftbundle/detail/omegaconf/node.h"
#include "support/error_matchers.h"

namespace craftbundle::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// The tree of "a: <value>", written again.
std::string reread(const std::string& value) {
  return to_yaml(Config::from_yaml("a: " + value).root());
}

// As OmegaConf.create reads them; held against it in tests/golden/omegaconf.
TEST(FromYaml, ResolvesScalarsAsOmegaConfDoes) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"1", "1"},
      {"-0x1F", "-31"},
      {"017", "15"},
      {"08", "'08'"},
      {"0b11", "3"},
      {"1_000", "1000"},
      {"1:30", "90"},
      {"-1:30", "-90"},
      {"0o17", "0o17"},
      {"1e5", "100000.0"},
      {"1E-7", "1.0e-07"},
      {"1.", "1.0"},
      {".5", "0.5"},
      {"._1", "0.1"},
      {".5e3", "'.5e3'"},
      {"1:30.5", "90.5"},
      {"1e400", ".inf"},
      {"1e-400", "0.0"},
      {"-.inf", "-.inf"},
      {".NaN", ".nan"},
      {"yes", "true"},
      {"Off", "false"},
      {"y", "'y'"},
      {"~", "null"},
      {"", "null"},
      {"Null", "null"},
      {"'1'", "'1'"},
      {"\"on\"", "'on'"},
      {"???", "???"},
      {"${a}", "${a}"},
      {"2020-01-01", "'2020-01-01'"},
      {"!!int '12'", "12"},
      {"!!int ' \u0661\t'", "1"},
      {"!!int 0o17", "15"},
      {"!!int 1:99", "159"},
      {"!!float inf", ".inf"},
      {"!!float '-1_0 '", "-10.0"},
      {"! '12'", "12"},
      {"!<tag:yaml.org,2002:str> 1", "'1'"},
      {"!!str 12", "'12'"},
      {"!!float 1", "1.0"},
      {"!!bool Yes", "true"},
      {"!!null x", "null"},
      {"!!str", "''"},
      {"!!binary aGk=", "!!binary |\n  aGk="},
      {"99999999999999999999", "99999999999999999999"},
      {"-0xFFFFFFFFFFFFFFFFFF", "-4722366482869645213695"},
  };
  for (const auto& [value, expected] : cases) {
    EXPECT_EQ(reread(value), "a: " + expected + "\n") << value;
  }
}

TEST(FromYaml, KeepsTheText) {
  const std::string text = "b:   1 # one\na: {c: [1, 2]}\n";
  const Config config = Config::from_yaml(text);
  EXPECT_EQ(config.text(), text);
  EXPECT_EQ(to_yaml(config.root()), "b: 1\na:\n  c:\n  - 1\n  - 2\n");
}

TEST(FromYaml, FoldsQuotedTextAsYaml11Does) {
  EXPECT_EQ(reread("'x\n\n\n  '"), "a: 'x\n\n\n  '\n");
  EXPECT_EQ(reread("'x\n  y'"), "a: x y\n");
  EXPECT_EQ(reread("'x \u2028  y'"), "a: 'x\u2028  y'\n");
  EXPECT_EQ(reread("'x\u0085  y'"), "a: x y\n");
  EXPECT_EQ(reread("'it''s'"), "a: it's\n");
  EXPECT_EQ(reread("\"x\\\n  \\ y\\t\""), "a: \"x y\\t\"\n");
}

TEST(FromYaml, KeepsLoneSurrogates) {
  EXPECT_EQ(reread("\"\\udc80\""), "a: \"\\uDC80\"\n");
  EXPECT_EQ(reread("\"\\uD83D\\uDE00\""), "a: \"\\uD83D\\uDE00\"\n");
}

TEST(FromYaml, ReadsBlocks) {
  EXPECT_EQ(reread("|\n  x\n   y\n\n"), "a: \"x\\n y\\n\"\n");
  EXPECT_EQ(reread(">\n  x\n  y\n\n  z\n"), "a: 'x y\n\n  z\n\n  '\n");
  EXPECT_EQ(reread("|2-\n    x\n"), "a: '  x'\n");
  EXPECT_EQ(reread("|-\n  \tx # y\n"), "a: \"\\tx # y\"\n");
}

// Where YAML 1.2, libyaml and PyYAML in Python part.
TEST(FromYaml, TakesWhatPyYamlTakes) {
  EXPECT_EQ(reread("{b:, c: d}"), "a:\n  b: null\n  c: d\n");
  EXPECT_EQ(reread("[b:c, \"d\":e]"), "a:\n- b:c\n- d: e\n");
  EXPECT_EQ(to_yaml(Config::from_yaml("%YAML 1.3\n--- !!map\na: 1\n...\n...\n").root()), "a: 1\n");
  EXPECT_EQ(to_yaml(Config::from_yaml("=: 1\n").root()), "'=': 1\n");
}

TEST(FromYaml, MergesMappings) {
  const std::string text =
      "d: &d {a: 1, b: 2}\n"
      "e: {c: 3, <<: *d, b: 4}\n"
      "f: {<<: [*d, {b: 5, c: 6}]}\n"
      "g: {'<<': *d}\n";
  EXPECT_EQ(to_yaml(Config::from_yaml(text).root()),
            "d:\n  a: 1\n  b: 2\ne:\n  a: 1\n  b: 4\n  c: 3\nf:\n  b: 2\n  c: 6\n  a: 1\n"
            "g:\n  '<<':\n    a: 1\n    b: 2\n");
}

TEST(FromYaml, TakesTheLastOfEqualKeysThatAreNoStrings) {
  EXPECT_EQ(to_yaml(Config::from_yaml("1: a\n2: b\n1.0: c\n").root()), "1: c\n2: b\n");
}

TEST(FromYaml, ReadsPathsAsToYamlWritesThem) {
  const std::string text =
      "a: &id001 !!python/object/apply:pathlib.PosixPath\n- /\n- x\nb: *id001\n"
      "c: !!python/object/apply:pathlib._local.PosixPath\n- /x\n";
  EXPECT_EQ(to_yaml(Config::from_yaml(text).root()), text);
  EXPECT_EQ(reread("!!python/object/apply:pathlib.Path [a/./b//c, d]"),
            "a: !!python/object/apply:pathlib.PosixPath\n- a\n- b\n- c\n- d\n");
  EXPECT_EQ(reread("!!python/object/apply:pathlib.PosixPath [x, //y w, z]"),
            "a: !!python/object/apply:pathlib.PosixPath\n- //\n- y w\n- z\n");
}

TEST(FromYaml, CopiesAliases) {
  EXPECT_EQ(to_yaml(Config::from_yaml("a: &x [1, &y 2]\nb: *x\nc: *y\n").root()),
            "a:\n- 1\n- 2\nb:\n- 1\n- 2\nc: 2\n");
}

TEST(FromYaml, ReadsBase64AsPythonDoes) {
  for (const char* text : {"aGk=", "a Gk=", "aG.k=", "aGk=x", "=aGk="}) {
    EXPECT_EQ(reread(std::string("!!binary \"") + text + "\""), "a: !!binary |\n  aGk=\n") << text;
  }
  EXPECT_EQ(reread("!!binary aA=="), "a: !!binary |\n  aA==\n");
  EXPECT_EQ(reread("!!binary aGkh"), "a: !!binary |\n  aGkh\n");
  EXPECT_EQ(reread("!!binary ''"), "a: !!binary \"\"\n");
}

TEST(FromYaml, KeepsTypesOfKeys) {
  EXPECT_EQ(to_yaml(Config::from_yaml("2: a\n'2': b\n1.5: c\ntrue: d\n!!binary aGk=: e\n").root()),
            "2: a\n'2': b\n1.5: c\ntrue: d\n? !!binary |\n  aGk=\n: e\n");
}

struct Refused {
  std::string text;
  std::string code;
  std::string message;
};

TEST(FromYaml, RefusesWithTheReason) {
  const std::vector<Refused> cases = {
      {"", "config.empty", "is empty"},
      {"# only a comment\n", "config.empty", "is empty"},
      {"- 1", "config.type", "is list; expected a mapping"},
      {"3", "config.type", "is int; expected a mapping"},
      {"a: b: c", "config.syntax", "line 1, column 5: "},
      {"a: 1\nb: [1", "config.syntax", "line 2, column 6: expected ',' or the end"},
      {"a: 'x\nb: 1", "config.syntax", "line 1, column 4: the quote is not closed"},
      {"a: 'x\n--- y'", "config.syntax",
       "line 1, column 4: the quote is not closed in its document"},
      {"a:\t1", "config.syntax", "line 1, column 3: the character '\\t' cannot begin a value"},
      {"a: x\ty", "config.syntax", "line 1, column 5: the character '\\t'"},
      {"a: \"\\q\"", "config.syntax", "line 1, column 5: an escape of 'q' is not known"},
      {"a: \"\\x1g\"", "config.syntax",
       "line 1, column 8: expected a hexadecimal digit, found 'g'"},
      {"a: \"\\U00110000\"", "config.syntax", "stands for no character"},
      {"'a\n b': 1", "config.syntax", "line 2, column 4: "},
      {"a: 1\nb\nc: 2", "config.syntax", "line 2, column 1: the key has no ':' on its line"},
      {"? " + std::string(1025, 'k') + "\n" + std::string(1025, 'k') + ": 1", "config.syntax",
       "line 2, column 1: the key has no ':'"},
      {"a: {b c}: d", "config.syntax", "line 1, column 9: "},
      {"a: [1]]", "config.syntax", "line 1, column 7: ']' closes nothing"},
      {"a: - b", "config.syntax", "line 1, column 4: an item of a list is not allowed here"},
      {"a: @b", "config.syntax", "line 1, column 4: the character '@' cannot begin a value"},
      {"a: !h!x y", "config.syntax", "the tag handle '!h!' is not defined"},
      {"%YAML 2.0\n---\na: 1", "config.syntax", "line 1, column 1: expected YAML 1"},
      {"a: &x 1\nb: &x 2", "config.syntax", "line 2, column 4: the anchor 'x' stands twice"},
      {"a: |0\n x", "config.syntax", "line 1, column 5: expected an indentation from 1 to 9"},
      {"a: 1\n---\nb: 2", "config.syntax", "line 2, column 1: a second document begins"},
      {std::string("a: 1\nb: \0", 9), "config.syntax", "line 2, column 4: the character '\\x00'"},
      {"a: \xFF", "config.syntax", "not valid UTF-8"},
      {"a: \x1B[31m", "config.syntax", "line 1, column 4: the character '\\x1B'"},
      {"a: *x", "config.syntax", "line 1, column 4: the alias 'x' has no anchor before it"},
      {"a: &x [*x]", "config.alias", "line 1, column 4: an alias in this value refers to it"},
      {"a: 1\nb: 2\na: 3", "config.duplicate_key", "line 3, column 1: the key 'a' stands twice"},
      {"null: 1", "config.type", "a key is None"},
      {"? [1]\n: 2", "config.type", "a key is a list or mapping"},
      {"<<: 1", "config.type", "line 1, column 5: only mappings, or a list of them, can be merged"},
      {"<<: [1]", "config.type", "line 1, column 6: only mappings"},
      {"a: <<", "config.value", "'<<' has no value"},
      {"a: =", "config.value", "'=' has no value"},
      {"a: 0b_", "config.value", "'0b_' has no value"},
      {"a: !!int x", "config.value", "'x' has no value"},
      {"a: !!binary a", "config.value", "not base64"},
      {"a: !!binary aGk=\u00e9", "config.value", "not base64"},
      {"a: {b: [x, '${c']}", "config.interpolation",
       "config key 'a.b[1]': the interpolation '${c' is malformed"},
      {"a: 1" + std::string(2000, '0'), "config.value", "too long"},
      {"a: 0x" + std::string(900, 'F'), "config.value", "too long"},
      {"a: !!python/object/apply:os.system [x]", "config.tag",
       "'!!python/object/apply:os.system' is not supported"},
      {"a: !!python/name:os.system", "config.tag", "'!!python/name:os.system'"},
      {"a: !!set {b}", "config.tag", "'!!set'"},
      {"a: !mine 1", "config.tag", "'!mine'"},
      {"!!python/object:x.Y {a: 1}", "config.tag", "'!!python/object:x.Y'"},
      {"a: !!python/object/apply:pathlib.PosixPath [1]", "config.type", "a path is made of int"},
  };
  for (const Refused& refused : cases) {
    SCOPED_TRACE(refused.text);
    expect_error(ErrorKind::input, refused.code, HasSubstr(refused.message),
                 [&] { Config::from_yaml(refused.text); });
  }
}

std::string repeated(const std::string& piece, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += piece;
  return text;
}

TEST(FromYaml, BoundsDepth) {
  EXPECT_NO_THROW(Config::from_yaml("a: " + repeated("[", 63) + repeated("]", 63)));
  std::string block;
  for (std::size_t i = 0; i < 1000; ++i) block += std::string(i, ' ') + "a:\n";
  for (const std::string& text :
       {"a: " + repeated("[", 65) + repeated("]", 65), repeated("- ", 40'000), block,
        "a: " + repeated("[", 40'000) + repeated("]", 40'000),
        repeated("{a: ", 40'000) + repeated("}", 40'000)}) {
    expect_error(ErrorKind::input, "config.depth", HasSubstr("deeper than 64 levels"),
                 [&] { Config::from_yaml(text); });
  }
}

TEST(FromYaml, BoundsWhatAliasesMultiply) {
  std::string bomb = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const std::string before = std::string("*") + static_cast<char>(c - 1) + ",";
    bomb += std::string(1, c) + ": &" + c + " [" + repeated(before, 9) + "]\n";
  }
  expect_error(ErrorKind::input, "config.size", HasSubstr("more than 200000 values"),
               [&] { Config::from_yaml(bomb); });
  std::string merges = "a: &a {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9}\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const std::string before = std::string("*") + static_cast<char>(c - 1) + ",";
    merges += std::string(1, c) + ": &" + c + " {<<: [" + repeated(before, 9) + "]}\n";
  }
  expect_error(ErrorKind::input, "config.size", HasSubstr("more than 200000 values"),
               [&] { Config::from_yaml(merges); });
  expect_error(ErrorKind::input, "config.size", HasSubstr("more than 1.0 MiB of text"), [] {
    Config::from_yaml("a: &a " + std::string(100'000, 'x') + "\nb: [" + repeated("*a, ", 50) + "]");
  });
}

TEST(FromYaml, BoundsChainsOfMerges) {
  std::string text = "x: {y: {a0: &a0 {k: 1}";
  for (int i = 1; i < 10'000; ++i) {
    const std::string name = "a" + std::to_string(i);
    text += ", " + name + ": &" + name + " {<<: *a" + std::to_string(i - 1) + "}";
  }
  text += "}}\nz: {<<: *a9999}";
  expect_error(ErrorKind::input, "config.depth", HasSubstr("deeper than 64 levels"),
               [&] { Config::from_yaml(text); });
}

TEST(FromYaml, BoundsTheText) {
  expect_error(ErrorKind::input, "config.size", AllOf(HasSubstr("2.0 MiB"), HasSubstr("1.0 MiB")),
               [] { Config::from_yaml("a: " + std::string(2 << 20, 'x')); });
}

}  // namespace
}  // namespace craftbundle::testing
