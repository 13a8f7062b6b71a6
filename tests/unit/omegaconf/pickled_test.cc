// Hand-made pickles; real ones are in tests/golden/omegaconf.

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "craftbundle/detail/omegaconf/config.h"
#include "support/error_matchers.h"
#include "support/temporary_directory.h"
#include "unit/checkpoint/pickle_pieces.h"
#include "unit/checkpoint/zip_builder.h"

namespace craftbundle::testing {
namespace {

using namespace pickles;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string dict(const std::string& items) { return "}(" + items + "u"; }
std::string list(const std::string& items) { return "](" + items + "e"; }

std::string object(const std::string& module, const std::string& name, const std::string& state) {
  return global(module, name) + ")\x81" + dict(state) + "b";
}

std::string dict_config(const std::string& content) {
  return object("omegaconf.dictconfig", "DictConfig", str("_content") + content);
}
std::string list_config(const std::string& content) {
  return object("omegaconf.listconfig", "ListConfig", str("_content") + content);
}
std::string any(const std::string& value) {
  return object("omegaconf.nodes", "AnyNode", str("_val") + value);
}
std::string enum_node(const std::string& type, const std::string& fields,
                      const std::string& value) {
  return object("omegaconf.nodes", "EnumNode",
                str("fields") + dict(fields) + str("enum_type") + type + str("_val") + value);
}
std::string member(const std::string& type, const std::string& name) {
  return call("__builtin__", "getattr", type + str(name));
}
std::string by_value(const std::string& type, const std::string& value) {
  return type + tuple(value) + "R";
}

const std::string kColor = global("my.types", "Color");

Config read(const std::string& pickle, bool with_whole = false) {
  const TemporaryDirectory directory;
  write_file(directory / "config.th", checkpoint_zip(protocol2(pickle)).bytes());
  const auto checkpoint = Checkpoint::open(directory / "config.th");
  if (!with_whole) return Config::from_object(checkpoint->root());
  return Config::from_object(checkpoint->root().at("xp.cfg"), checkpoint->root());
}

// The text of a configuration {"k": value}.
std::string text_of(const std::string& value) {
  return read(dict_config(dict(str("k") + value))).text();
}

void refuses(const std::string& code, const std::string& message, const std::string& pickle) {
  SCOPED_TRACE(message);
  expect_error(ErrorKind::input, code, HasSubstr(message), [&] { read(pickle); });
}

TEST(FromObject, ReadsNodesOfAllClasses) {
  EXPECT_EQ(text_of(any(integer(1))), "k: 1\n");
  EXPECT_EQ(text_of(any("N")), "k: null\n");
  EXPECT_EQ(text_of(object("omegaconf.nodes", "IntegerNode", str("_val") + str("???"))),
            "k: ???\n");
  EXPECT_EQ(text_of(list_config(list(any("\x88") + any("\x89")))), "k:\n- true\n- false\n");
  EXPECT_EQ(text_of(dict_config("N")), "k: null\n");
  EXPECT_EQ(text_of(list_config(str("${a}"))), "k: ${a}\n");
  EXPECT_EQ(text_of(object("omegaconf.base", "UnionNode", str("_content") + any(str("x")))),
            "k: x\n");
  EXPECT_EQ(text_of(object("omegaconf.base", "UnionNode", str("_content") + "N")), "k: null\n");
  EXPECT_EQ(read(dict_config(str("???"))).text(), "???\n...\n");
}

// OmegaConf 2.0 took it.
TEST(FromObject, RefusesMalformedInterpolations) {
  expect_error(ErrorKind::input, "config.interpolation",
               HasSubstr("config key 'k.j': the interpolation '${a' is malformed"),
               [] { text_of(dict_config(dict(str("j") + any(str("${a"))))); });
}

TEST(FromObject, ReadsPlainContainers) {
  EXPECT_EQ(read(dict(str("a") + tuple(integer(1) + list("N")))).text(), "a:\n- 1\n- - null\n");
  EXPECT_EQ(read(list(integer(1) + dict(str("a") + any(integer(2))))).text(), "- 1\n- a: 2\n");
}

TEST(FromObject, WritesSharedPathsAsAliases) {
  const std::string path = call("pathlib", "PosixPath", str("/") + str("a"));
  EXPECT_EQ(read(list(path + "q\x01" + "h\x01" + path)).text(),
            "- &id001 !!python/object/apply:pathlib.PosixPath\n  - /\n  - a\n- *id001\n"
            "- !!python/object/apply:pathlib.PosixPath\n  - /\n  - a\n");
  EXPECT_EQ(read(list(call("pathlib._local", "PosixPath", str("/a//b")))).text(),
            "- !!python/object/apply:pathlib._local.PosixPath\n  - /a//b\n");
}

TEST(FromObject, FindsNamesOfEnumMembers) {
  EXPECT_EQ(text_of(any(member(kColor, "RED"))), "k: RED\n");
  EXPECT_EQ(text_of(any(member(member(global("my.types", "Outer"), "Nested"), "one"))), "k: one\n");

  // By value: from the table of any EnumNode of that class, the first equal one.
  const std::string fields = str("GREEN") + str("g") + str("RED") + integer(1) + str("ALIAS") +
                             "\x88" + str("PAIR") + tuple(integer(1) + str("x"));
  const auto with_table = [&](const std::string& value) {
    return read(list(any(value) + enum_node(kColor, fields, "N"))).text();
  };
  EXPECT_EQ(with_table(by_value(kColor, integer(1))), "- RED\n- null\n");
  EXPECT_EQ(with_table(by_value(kColor, "\x88")), "- RED\n- null\n");
  EXPECT_EQ(with_table(by_value(kColor, str("g"))), "- GREEN\n- null\n");
  EXPECT_EQ(with_table(by_value(kColor, tuple("\x88" + str("x")))), "- PAIR\n- null\n");
}

TEST(FromObject, FindsNamesOfCombinedFlags) {
  const std::string fields = str("B") + integer(2) + str("A") + integer(1) + str("AB") + integer(3);
  const std::string either = call("_operator", "or_", member(kColor, "B") + member(kColor, "A"));
  const auto with_table = [&](const std::string& value) {
    return read(list(any(value) + enum_node(kColor, fields, "N"))).text();
  };
  EXPECT_EQ(with_table(either), "- B|A\n- null\n");
  EXPECT_EQ(with_table(by_value(kColor, integer(3))), "- AB\n- null\n");
  const std::string two = str("B") + integer(2) + str("A") + integer(1);
  EXPECT_EQ(read(list(by_value(kColor, integer(3)) + enum_node(kColor, two, "N"))).text(),
            "- B|A\n- null\n");
  refuses("config.enum", "is not in the file", list(either));
  refuses("config.enum", "is not in the file",
          list(by_value(kColor, integer(5)) + enum_node(kColor, two, "N")));
}

TEST(FromObject, LooksForEnumNamesInTheWholePickle) {
  const std::string config = dict_config(dict(str("k") + any(by_value(kColor, integer(1)))));
  const std::string table = enum_node(kColor, str("RED") + integer(1), "N");
  EXPECT_EQ(read(dict(str("xp.cfg") + config + str("other") + table), true).text(), "k: RED\n");
  expect_error(ErrorKind::input, "config.enum",
               AllOf(HasSubstr("config key 'k': "), HasSubstr("my.types.Color")),
               [&] { read(dict(str("xp.cfg") + config), true); });
}

TEST(FromObject, LetsAnEnumKeyReplaceItsName) {
  EXPECT_EQ(read(dict_config(dict(str("RED") + any(integer(1)) + str("z") + any(integer(2)) +
                                  member(kColor, "RED") + any(integer(3)))))
                .text(),
            "RED: 3\nz: 2\n");
}

TEST(FromObject, RefusesOtherTypesNamingTheKey) {
  refuses("config.type", "the configuration is str", str("a: 1"));
  refuses("config.type", "the configuration is None", "N");
  refuses("config.type", "the configuration is ", call("collections", "OrderedDict", ""));
  refuses("config.type", "config key 'a.b[1]': opaque my.module.Thing",
          dict_config(dict(
              str("a") +
              dict_config(dict(
                  str("b") + list_config(list(any("N") + any(call("my.module", "Thing", "")))))))));
  refuses("config.type", "config key 'k': ", dict(str("k") + global("my.module", "Thing")));
  refuses("config.type", "config key 'k': ", dict(str("k") + any(dict(str("a") + "N"))));
  refuses("config.type",
          "config key 'k': ", dict(str("k") + call("__builtin__", "set", list("N"))));
  refuses("config.type", "config key 'k': ", dict(str("k") + call("torch", "Size", tuple(""))));
  refuses("config.type", "None cannot be a key", dict("N" + integer(1)));
  refuses("config.type", "cannot be a key", dict(tuple(integer(1)) + integer(1)));
  refuses("config.type", "has no attribute '_content'",
          object("omegaconf.dictconfig", "DictConfig", ""));
  refuses("config.type", "cannot be a value", list_config(dict(str("a") + "N")));
  refuses("config.type", "cannot be a value", list(call("pathlib", "PosixPath", integer(1))));
}

TEST(FromObject, RefusesWhatCouldRunCode) {
  const std::string system = call("os", "system", str("true"));
  refuses("config.unsafe", "'os.system'", dict_config(dict(str("k") + any(system))));
  refuses("config.unsafe", "'os.system'", system);
  // Not in the text, but run by Python all the same.
  refuses("config.unsafe", "'os.system'",
          object("omegaconf.dictconfig", "DictConfig",
                 str("_content") + dict(str("k") + any("N")) + str("_metadata") + list(system)));
  refuses("config.unsafe", "can run code",
          dict(str("k") + by_value(member(global("torch", "serialization"), "os"), str("x"))));
  refuses("config.unsafe", "<dynamic>",
          dict(str("k") + call("my.module", "make", "") + tuple(integer(1)) + "R"));
}

TEST(FromObject, BoundsDepthAndSize) {
  std::string nested = "N";
  for (int i = 0; i < 1000; ++i) nested = list(nested);
  refuses("config.depth", "deeper than 64 levels", nested);

  // A container that holds itself.
  refuses("config.depth", "deeper than 64 levels", "]q\x01" + std::string("h\x01") + "a");

  // Sharing: 2^30 leaves in 30 lists.
  std::string shared = list("NN");
  for (int i = 0; i < 29; ++i) shared = list(shared + "q\x01" + "h\x01");
  refuses("config.size", "more than 200000 values", shared);

  const std::string text(600'000, 'x');
  refuses("config.size", "more than 1.0 MiB of text", list(str(text) + str(text)));
}

}  // namespace
}  // namespace craftbundle::testing
