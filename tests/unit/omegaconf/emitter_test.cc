// Structure of to_yaml; its scalars are held against OmegaConf's in tests/golden/omegaconf.

#include <gtest/gtest.h>

#include <string>

#include "craftbundle/detail/omegaconf/node.h"
#include "unit/omegaconf/trees.h"

namespace craftbundle::testing {
namespace {

ConfigNode posix_path(std::vector<std::string> arguments, std::uint32_t identity = 0) {
  return {ConfigPath{"pathlib.PosixPath", std::move(arguments), identity}};
}

TEST(ToYaml, WritesEmptyContainersInline) {
  EXPECT_EQ(to_yaml(mapping()), "{}\n");
  EXPECT_EQ(to_yaml(list()), "[]\n");
  EXPECT_EQ(to_yaml(mapping(entry("a", list()), entry("b", mapping()))), "a: []\nb: {}\n");
}

TEST(ToYaml, EndsAPlainRootWithDots) {
  EXPECT_EQ(to_yaml(ConfigNode{}), "null\n...\n");
  EXPECT_EQ(to_yaml(text("???")), "???\n...\n");
  EXPECT_EQ(to_yaml(text("a: ${b}")), "'a: ${b}'\n");
}

TEST(ToYaml, PutsAListAtTheIndentOfItsKey) {
  EXPECT_EQ(to_yaml(mapping(
                entry("a", mapping(entry("b", list(number(1), list(number(2), number(3)))))))),
            "a:\n  b:\n  - 1\n  - - 2\n    - 3\n");
  EXPECT_EQ(to_yaml(list(mapping(entry("a", number(1)), entry("b", number(2))))),
            "- a: 1\n  b: 2\n");
}

TEST(ToYaml, WritesKeysOfAllTypes) {
  EXPECT_EQ(to_yaml(mapping(entry("yes", number(1)), entry(true, number(2)),
                            entry(std::int64_t{3}, number(3)), entry(1e-7, number(4)),
                            entry(ConfigBigInteger{"99999999999999999999"}, number(5)))),
            "'yes': 1\ntrue: 2\n3: 3\n1.0e-07: 4\n99999999999999999999: 5\n");
}

TEST(ToYaml, WritesLongKeysAndBytesKeysInFull) {
  const std::string longest(122, 'k');
  EXPECT_EQ(to_yaml(mapping(entry(longest, number(1)))), longest + ": 1\n");
  const std::string longer(123, 'k');
  EXPECT_EQ(to_yaml(mapping(entry(longer, list(number(1))))), "? " + longer + "\n: - 1\n");
  EXPECT_EQ(to_yaml(mapping(entry(longer, mapping(entry("a", number(1)), entry("b", number(2)))))),
            "? " + longer + "\n: a: 1\n  b: 2\n");
  EXPECT_EQ(to_yaml(mapping(entry(ConfigBytes{"by"}, number(1)), entry(ConfigBytes{}, number(2)))),
            "? !!binary |\n  Ynk=\n: 1\n? !!binary \"\"\n: 2\n");
  EXPECT_EQ(to_yaml(mapping(entry("", number(1)))), "? ''\n: 1\n");
}

TEST(ToYaml, BreaksBase64After57Bytes) {
  const std::string line(76, 'A');
  EXPECT_EQ(to_yaml(mapping(entry("b", ConfigNode{ConfigBytes{std::string(58, '\0')}}))),
            "b: !!binary |\n  " + line + "\n  AA==\n");
}

TEST(ToYaml, WritesPathsAsCalls) {
  EXPECT_EQ(to_yaml(mapping(entry("p", posix_path({"/", "a b", "1"})), entry("q", posix_path({})))),
            "p: !!python/object/apply:pathlib.PosixPath\n- /\n- a b\n- '1'\n"
            "q: !!python/object/apply:pathlib.PosixPath []\n");
  EXPECT_EQ(to_yaml(list(posix_path({"a"}))), "- !!python/object/apply:pathlib.PosixPath\n  - a\n");
}

TEST(ToYaml, WritesASharedPathOnce) {
  // Numbers go by second uses: b comes again before a does. Equal paths are not shared.
  const ConfigNode tree = list(posix_path({"a"}, 1), posix_path({"b"}, 2), posix_path({"b"}, 2),
                               posix_path({"a"}, 1), posix_path({"a"}, 3));
  EXPECT_EQ(to_yaml(tree),
            "- &id002 !!python/object/apply:pathlib.PosixPath\n  - a\n"
            "- &id001 !!python/object/apply:pathlib.PosixPath\n  - b\n"
            "- *id001\n- *id002\n"
            "- !!python/object/apply:pathlib.PosixPath\n  - a\n");
}

}  // namespace
}  // namespace craftbundle::testing
