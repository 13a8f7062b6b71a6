#include "unpickler.h"

#include "archive.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/limits.h"
#include "pickle_pieces.h"
#include "pickle_text.h"
#include "support/error_matchers.h"
#include "support/exercise.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using namespace std::string_literals;
using namespace testing::pickles;
using testing::expect_error;
using ::testing::HasSubstr;

// The object as Python would write it. For small objects without cycles.
std::string show(Object object) {
  const auto items = [&](const char* open, const char* close) {
    std::string text = open;
    for (std::size_t i = 0; i < object.size(); ++i) text += (i > 0 ? "," : "") + show(object[i]);
    return text + close;
  };
  switch (object.kind()) {
    case Kind::none:
      return "None";
    case Kind::boolean:
      return object.as_bool() ? "True" : "False";
    case Kind::integer:
    case Kind::big_integer:
      return object.as_text();
    case Kind::real:
      return "f" + std::to_string(object.as_real());
    case Kind::string:
      return "'" + std::string(object.as_string()) + "'";
    case Kind::bytes:
      return "b'" + std::string(object.as_bytes()) + "'";
    case Kind::list:
      return items("[", "]");
    case Kind::tuple:
      return items("(", ")");
    case Kind::set:
      return object.class_name() + items("{", "}");
    case Kind::dict: {
      std::string text = object.class_name() == "dict" ? "{" : object.class_name() + "{";
      for (const auto entry : object.entries()) {
        if (text.back() != '{') text += ",";
        text += show(entry.key) + ":" + show(entry.value);
      }
      text += "}";
      if (object.state()) text += "." + show(*object.state());
      return text;
    }
    case Kind::global:
      return "<" + object.class_name() + ">";
    case Kind::call: {
      std::string text = show(object.callee()) + show(object.arguments());
      if (object.state()) text += "." + show(*object.state());
      for (const Object item : object.appended()) text += "+" + show(item);
      for (const auto& [key, value] : object.assigned())
        text += "[" + show(key) + "]=" + show(value);
      return text;
    }
    case Kind::persistent:
      return "storage" + show(object.persistent_id());
  }
  return "?";
}

std::string run(const std::string& pickle) {
  const Pickle result = read_pickle(PickleInput(pickle));
  EXPECT_EQ(result.size, pickle.size());
  return show(result.tree->root());
}

void refuse(const std::string& code, const std::string& pickle, const std::string& text = "") {
  SCOPED_TRACE(printable(pickle));
  expect_error(ErrorKind::input, code, HasSubstr(text), [&] { read_pickle(PickleInput(pickle)); });
}

TEST(UnpicklerTest, Constants) {
  EXPECT_EQ(run("N."), "None");
  EXPECT_EQ(run("\x88."), "True");
  EXPECT_EQ(run("\x89."), "False");
  EXPECT_EQ(run("I01\n."), "True");
  EXPECT_EQ(run("I00\n."), "False");
}

TEST(UnpicklerTest, Integers) {
  EXPECT_EQ(run("K\xff."), "255");
  EXPECT_EQ(run("M\xff\xff."), "65535");
  EXPECT_EQ(run("J\xff\xff\xff\xff."), "-1");
  EXPECT_EQ(run("I-12\n."), "-12");
  EXPECT_EQ(run("I+0012\n."), "12");
  EXPECT_EQ(run("L-5L\n."), "-5");
  EXPECT_EQ(run("L5\n."), "5");
  EXPECT_EQ(run("\x8a\0."s), "0");
  EXPECT_EQ(run("\x8a\x01\x80."), "-128");
  EXPECT_EQ(run("\x8a\x02\xff\0."s), "255");
  EXPECT_EQ(run("\x8b\x01\0\0\0\x07."s), "7");
  EXPECT_EQ(run(integer(INT64_MIN) + "."), "-9223372036854775808");
  EXPECT_EQ(run("\x8a\x09\0\0\0\0\0\0\0\x80\0."s), "9223372036854775808");
  EXPECT_EQ(run("\x8a\x09\0\0\0\0\0\0\0\x80\xff."s), "-9223372036854775808");
  EXPECT_EQ(run("\x8a\x09\0\0\0\0\0\0\0\0\xff."s), "-18446744073709551616");
  EXPECT_EQ(run("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."), "119547037146038801333356");
  EXPECT_EQ(run("I9223372036854775808\n."), "9223372036854775808");
  EXPECT_EQ(run("L" + std::string(1000, '7') + "L\n."), std::string(1000, '7'));
  EXPECT_EQ(run("L" + std::string(90000, '7') + "L\n."), "<integer of 37501 bytes>");
  EXPECT_EQ(run("\x8b\x40\x9c\0\0"s + std::string(40000, 'x') + "."), "<integer of 40000 bytes>");
  EXPECT_EQ(run("\x8b\x40\x9c\0\0"s + std::string(40000, '\xff') + "."), "-1");
  refuse("pickle.number", "Iabc\n.", "'abc' is no integer");
  refuse("pickle.number", "I\n.");
  refuse("pickle.number", "L-L\n.");
  refuse("pickle.length", "\x8b\xff\xff\xff\xff.");
}

TEST(UnpicklerTest, Reals) {
  EXPECT_EQ(run("G\x3f\xf8\0\0\0\0\0\0."s), "f1.500000");
  EXPECT_EQ(run("F1.5\n."), "f1.500000");
  EXPECT_EQ(run("F-inf\n."), "f-inf");
  EXPECT_EQ(run("Fnan\n."), "fnan");
  EXPECT_EQ(run("F+1e2\n."), "f100.000000");
  refuse("pickle.number", "Fone\n.", "no float");
  refuse("pickle.number", "F1.5x\n.");
}

TEST(UnpicklerTest, Strings) {
  EXPECT_EQ(run("\x8c\x02\xc3\xa9."), "'é'");
  EXPECT_EQ(run("X\x02\0\0\0ab."s), "'ab'");
  EXPECT_EQ(run("\x8d\x02\0\0\0\0\0\0\0ab."s), "'ab'");
  EXPECT_EQ(run("X\x03\0\0\0\xed\xa0\x80."s), "'\xed\xa0\x80'");  // a lone surrogate
  EXPECT_EQ(run("Va\\u00e9\\U0001f600\\\\u0041\n."), "'aé😀\\\\u0041'");
  EXPECT_EQ(run("V\xe9\n."), "'é'");
  EXPECT_EQ(run("S'a\\x41\\n\\\\\\'\\101'\n."), "'aA\n\\'A'");
  EXPECT_EQ(run("S\"it's\"\n."), "'it's'");
  EXPECT_EQ(run("U\x02"
                "ab."),
            "'ab'");
  EXPECT_EQ(run("U\x02\xff\xfe."), "b'\xff\xfe'");  // a str of Python 2 that is no text
  EXPECT_EQ(run("T\x02\0\0\0ab."s), "'ab'");
  refuse("pickle.utf8", "X\x01\0\0\0\xff."s, "not UTF-8");
  refuse("pickle.utf8", "X\x02\0\0\0\xc0\x80."s);
  refuse("pickle.utf8", "X\x04\0\0\0\xf4\x90\x80\x80."s);
  refuse("pickle.utf8", "X\x02\0\0\0\xe2\x82."s);
  refuse("pickle.utf8", "V\\u12\n.", "bad escape");
  refuse("pickle.utf8", "V\\U00110000\n.");
  refuse("pickle.string", "S'ab\n.");
  refuse("pickle.string", "Sab\n.");
  refuse("pickle.string", "S'a'b'\n.");
  refuse("pickle.string", "S'\\x4'\n.");
  refuse("pickle.length", "T\xff\xff\xff\xff.");
}

TEST(UnpicklerTest, Bytes) {
  EXPECT_EQ(run("C\x02\xff"
                "a."),
            "b'\xff"
            "a'");
  EXPECT_EQ(run("B\x02\0\0\0ab."s), "b'ab'");
  EXPECT_EQ(run("\x8e\x02\0\0\0\0\0\0\0ab."s), "b'ab'");
  EXPECT_EQ(run("\x96\x02\0\0\0\0\0\0\0ab."s), "b'ab'");
  EXPECT_EQ(run(call("_codecs", "encode", str("a\xc3\xbf") + str("latin1")) + "."), "b'a\xff'");
  EXPECT_EQ(run(call("__builtin__", "bytes", "") + "."), "b''");
  EXPECT_EQ(run(call("builtins", "bytearray", "C\x01z") + "."), "b'z'");
  EXPECT_EQ(run(call("builtins", "bytearray", str("\xc3\xbf") + str("latin-1")) + "."), "b'\xff'");
  // Anything else stays a call.
  EXPECT_EQ(run(call("_codecs", "encode", str("\xe2\x82\xac") + str("latin1")) + "."),
            "<_codecs.encode>('€','latin1')");
  EXPECT_EQ(run(call("_codecs", "encode", str("a") + str("rot13")) + "."),
            "<_codecs.encode>('a','rot13')");
  EXPECT_EQ(run(call("builtins", "bytes", "K\x05") + "."), "<builtins.bytes>(5)");
}

TEST(UnpicklerTest, Containers) {
  EXPECT_EQ(run("]."), "[]");
  EXPECT_EQ(run("]K\1a."), "[1]");
  EXPECT_EQ(run("](K\1K\2e(K\3e."), "[1,2,3]");
  EXPECT_EQ(run("](K\1]K\2ae."), "[1,[2]]");
  EXPECT_EQ(run("(K\1K\2l."), "[1,2]");
  EXPECT_EQ(run(")."), "()");
  EXPECT_EQ(run("(K\1K\2K\3K\4t."), "(1,2,3,4)");
  EXPECT_EQ(run("K\1\x85."), "(1)");
  EXPECT_EQ(run("K\1K\2\x86."), "(1,2)");
  EXPECT_EQ(run("K\1K\2K\3\x87."), "(1,2,3)");
  EXPECT_EQ(run("}."), "{}");
  EXPECT_EQ(run("}K\1K\2s."), "{1:2}");
  EXPECT_EQ(run("}(K\1K\2K\3K\4u(K\5K\6u."), "{1:2,3:4,5:6}");
  EXPECT_EQ(run("(K\1K\2d."), "{1:2}");
  EXPECT_EQ(run("\x8f(K\1K\2\x90."), "set{1,2}");
  EXPECT_EQ(run("(K\1\x91."), "frozenset{1}");
}

TEST(UnpicklerTest, ListsThatGrowInTurns) {
  // Two lists, appended to alternately.
  EXPECT_EQ(run("]q\0]q\1h\0K\1a0h\1K\2a0h\0K\3a0h\1(K\4K\5e0h\0(K\6e0\x86."s),
            "([1,3,6],[2,4,5])");
}

TEST(UnpicklerTest, KnownClasses) {
  EXPECT_EQ(run(call("collections", "OrderedDict", "") + "}" + str("m") + "K\1sb."),
            "collections.OrderedDict{}.{'m':1}");
  EXPECT_EQ(run(call("collections", "OrderedDict", "") + "K\1K\2s."),
            "collections.OrderedDict{1:2}");
  EXPECT_EQ(run(call("collections", "OrderedDict", "]](K\1K\2ea") + "."),
            "collections.OrderedDict{1:2}");
  EXPECT_EQ(run(call("collections", "defaultdict", global("builtins", "list")) + "K\1]s."),
            "collections.defaultdict{1:[]}");
  EXPECT_EQ(run(call("collections", "Counter", "}K\1K\2s") + "."), "collections.Counter{1:2}");
  EXPECT_EQ(run(call("__builtin__", "set", "](K\1K\2e") + "."), "set{1,2}");
  EXPECT_EQ(run(call("__builtin__", "frozenset", "](K\1e") + "."), "frozenset{1}");
  EXPECT_EQ(run(call("builtins", "dict", "") + "."), "{}");
}

TEST(UnpicklerTest, CopiesWhatIsReadBefore) {
  // As in Python, later changes of the list do not change the set.
  EXPECT_EQ(run("]q\0K\1a"s + global("builtins", "set") + "h\0\x85R\x86."s), "([1],set{1})");
}

TEST(UnpicklerTest, Names) {
  EXPECT_EQ(run(global("os", "system") + "."), "<os.system>");
  EXPECT_EQ(run(str("os") + str("system") + "\x93."), "<os.system>");
  EXPECT_EQ(run(str("torch.serialization") + str("os.system") + "\x93."),
            "<torch.serialization.os.system>");
  EXPECT_EQ(run(global("__builtin__", "long") + "."), "<builtins.int>");
  EXPECT_EQ(run(global("copy_reg", "_reconstructor") + "."), "<copyreg._reconstructor>");
  EXPECT_EQ(run(global("cPickle", "loads") + "."), "<pickle.loads>");
  EXPECT_EQ(run("\x82\x05."), "<<ext:5>>");
  EXPECT_EQ(run("\x83\x34\x12."), "<<ext:4660>>");
  EXPECT_EQ(run("\x84\x01\0\0\0."s), "<<ext:1>>");
  // A name that is computed, here from an opaque call.
  EXPECT_EQ(run(str("os") + call("m", "f", "") + "\x93."), "<<dynamic>>");
  refuse("pickle.type", str("os") + "K\1\x93.", "a name must be a str");
  refuse("pickle.utf8", global("os", "\xff") + ".");
  refuse("pickle.extension", "\x82\0."s);
  refuse("pickle.extension", "\x84\xff\xff\xff\xff.");
  refuse("pickle.truncated", "cos\nsystem");
}

TEST(UnpicklerTest, Calls) {
  EXPECT_EQ(run(call("m", "C", "K\1K\2") + "."), "<m.C>(1,2)");
  EXPECT_EQ(run(global("m", "C") + ")\x81."), "<m.C>()");
  EXPECT_EQ(run(global("m", "C") + ")}\x92."), "<m.C>()");
  EXPECT_EQ(run(global("m", "C") + "K\1\x85}" + str("k") + "K\2s\x92."), "<m.C>((1),{'k':2})");
  EXPECT_EQ(run("(K\1im\nC\n."), "<m.C>(1)");
  EXPECT_EQ(run("(" + global("m", "C") + "K\1o."), "<m.C>(1)");
  EXPECT_EQ(run(call("m", "C", "") + ")R."), "<m.C>()()");
  EXPECT_EQ(run(call("m", "C", "") + "}" + str("x") + "K\1sb."), "<m.C>().{'x':1}");
  EXPECT_EQ(run(call("m", "C", "") + "K\1b" + "K\2b."), "<m.C>().2");
  EXPECT_EQ(run(call("m", "C", "") + "K\1a(K\2K\3e."), "<m.C>()+1+2+3");
  EXPECT_EQ(run(call("m", "C", "") + "(K\2\x90."), "<m.C>()+2");
  EXPECT_EQ(run(call("m", "C", "") + "K\1K\2s(K\3K\4u."), "<m.C>()[1]=2[3]=4");
  EXPECT_EQ(run("K\1\x85Q."), "storage(1)");
  EXPECT_EQ(run(global("m", "C") + "}b."), "<m.C>");
  refuse("pickle.type", "K\1)R.", "calls int");
  refuse("pickle.type", str("os.system") + ")R.", "calls str");
  refuse("pickle.type", global("m", "C") + "]R.", "arguments must be a tuple");
  refuse("pickle.type", global("m", "C") + ")K\1\x92.", "keyword arguments");
  refuse("pickle.stack", "(o.", "without a class");
}

TEST(UnpicklerTest, AttributesOfObjects) {
  const Pickle pickle =
      read_pickle(PickleInput(call("m", "C", "") + "N}" + str("slot") + "K\1s\x86" + "b."));
  EXPECT_EQ(pickle.tree->root().attribute("slot")->as_int(), 1);
  EXPECT_FALSE(pickle.tree->root().attribute("other"));
}

TEST(UnpicklerTest, StackAndMarks) {
  EXPECT_EQ(run("K\1K\2"
                "0."),
            "1");
  EXPECT_EQ(run("K\1(0."), "1");  // POP of a mark
  EXPECT_EQ(run("K\1(K\2K\3"
                "1."),
            "1");
  EXPECT_EQ(run("K\1"
                "2\x86."),
            "(1,1)");
  refuse("pickle.stack", ".", "needs 1 objects");
  refuse("pickle.stack", "0.");
  refuse("pickle.stack", "2.");
  refuse("pickle.stack", "K\1\x86.", "found 1");
  refuse("pickle.stack", "K\1(K\2\x86.", "above the last mark");
  refuse("pickle.stack", "K\1(.");
  refuse("pickle.stack", "]a.");
  refuse("pickle.stack", "}K\1s.");
  refuse("pickle.stack", "(e.");
  refuse("pickle.stack", "Q.");
  refuse("pickle.mark", "K\1t.", "none is set");
  refuse("pickle.mark", "1.");
  refuse("pickle.mark", "]e.");
}

TEST(UnpicklerTest, FillingOtherThings) {
  refuse("pickle.type", "}K\1a.", "appends to dict");
  refuse("pickle.type", ")K\1a.", "appends to tuple");
  refuse("pickle.type", "]K\1K\2s.", "assigns items of list");
  refuse("pickle.type", "}(K\1u.", "a key has no value");
  refuse("pickle.type", "(K\1d.", "a key has no value");
  refuse("pickle.type", "](K\1\x90.", "adds items to list");
  refuse("pickle.type", "(\x91(K\1\x90.", "adds items to set");
  refuse("pickle.type", "]}b.", "sets the state of list");
  refuse("pickle.type", "}}b.", "sets the state of dict");
  refuse("pickle.type", "K\1}b.", "sets the state of int");
}

// What runs in Python has lists and dicts of its own.
TEST(UnpicklerTest, FillingWhatPythonHas) {
  for (const std::string body :
       {"csys\npath\nK\1a.", "csys\npath\n(K\1e.", "cos\nenviron\nK\1K\2s.",
        "cos\nenviron\n(K\1K\2u.", "cmy.module\nregistry\n(K\1\x90."}) {
    EXPECT_NO_THROW(run(body)) << body;
  }
  EXPECT_EQ(judge_global("os", "environ"), GlobalReference::Verdict::unsafe);
  EXPECT_EQ(judge_global("sys", "path"), GlobalReference::Verdict::unsafe);
  refuse("pickle.type", "ccollections\nOrderedDict\nK\1K\2s.", "assigns items of");
}

TEST(UnpicklerTest, Memo) {
  EXPECT_EQ(run("K\1q\0"
                "0h\0."s),
            "1");
  EXPECT_EQ(run("K\1p0\n0g0\n."), "1");
  EXPECT_EQ(run("K\1r\xff\xff\xff\xff"
                "0j\xff\xff\xff\xff."),
            "1");
  EXPECT_EQ(run("K\1p4000000000\n0g4000000000\n."), "1");
  EXPECT_EQ(run("K\1p18446744073709551615\n0g18446744073709551615\n."), "1");
  EXPECT_EQ(run("K\1\x94K\2\x94h\0h\1\x86."s), "(1,2)");
  EXPECT_EQ(run("K\1q\0K\2q\0h\0."s), "2");  // overwritten
  refuse("pickle.memo", "h\0."s, "memo entry 0 was never set");
  refuse("pickle.memo", "g7\n.");
  refuse("pickle.memo", "K\1q\5h\4.");
  refuse("pickle.memo", "K\1p-1\n.", "'-1' is no memo index");
  refuse("pickle.memo", "K\1p99999999999999999999999\n.");
  refuse("pickle.memo", "K\1p\n.");
  refuse("pickle.stack", "q\0."s);
}

TEST(UnpicklerTest, ManyFarMemoEntries) {
  std::string pickle = "N";
  for (std::uint64_t i = 0; i < 4294; ++i) pickle += "r" + little(i * 1000000, 4);
  pickle += "0j" + little(4293ULL * 1000000, 4) + ".";
  EXPECT_EQ(run(pickle), "None");
}

TEST(UnpicklerTest, SharingAndCycles) {
  const Pickle shared = read_pickle(PickleInput("]q\0h\0\x86."s));
  EXPECT_TRUE(shared.tree->root()[0] == shared.tree->root()[1]);
  const Pickle cycle = read_pickle(PickleInput("]q\0h\0a."s));
  EXPECT_TRUE(cycle.tree->root()[0] == cycle.tree->root());
  const Pickle dict = read_pickle(PickleInput("}q\0"s + str("me") + "h\0s."s));
  EXPECT_TRUE(dict.tree->root().at("me") == dict.tree->root());
}

TEST(UnpicklerTest, Protocols) {
  for (const char version : {'\0', '\1', '\2', '\3', '\4', '\5'}) {
    const Pickle pickle = read_pickle(PickleInput("\x80"s + version + "N."));
    EXPECT_EQ(pickle.protocol, version);
  }
  refuse("pickle.protocol", "\x80\x06N.", "protocol 6");
  refuse("pickle.opcode", "\x80\x02\x7f.", "0x7f");
  refuse("pickle.opcode", "\0."s);
  refuse("pickle.opcode", "\x97.", "outside of the file");
  refuse("pickle.opcode", "N\x98.");
  refuse("pickle.persid", "P5\n.");
}

TEST(UnpicklerTest, Frames) {
  EXPECT_EQ(run("\x80\4\x95\2\0\0\0\0\0\0\0N."s), "None");
  EXPECT_EQ(run("\x80\4\x95\1\0\0\0\0\0\0\0N."s), "None");
  refuse("pickle.truncated", "\x80\4\x95\3\0\0\0\0\0\0\0N."s, "a frame of 3 bytes");
  refuse("pickle.truncated", "\x95\xff\xff\xff\xff\xff\xff\xff\xffN."s);
  refuse("pickle.frame", "\x95\1\0\0\0\0\0\0\0K\1."s, "crosses the end");
  refuse("pickle.frame", "\x95\x0b\0\0\0\0\0\0\0\x95\1\0\0\0\0\0\0\0N."s, "within a frame");
}

TEST(UnpicklerTest, LengthsBeyondTheEnd) {
  refuse("pickle.truncated",
         "X\xff\xff\xff\x7f"
         "abc.",
         "2147483647 bytes, but only 4 are left");
  refuse("pickle.truncated",
         "\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
         "abc.");
  refuse("pickle.truncated",
         "\x8d\xf7\xff\xff\xff\xff\xff\xff\xff"
         "abc.");
  refuse("pickle.truncated", "\x96\0\0\0\0\0\1\0\0."s);
  refuse("pickle.truncated", "\x8b\xff\xff\xff\x7f.");
  refuse("pickle.truncated",
         "C\x05"
         "ab.");
  refuse("pickle.truncated", "");
  refuse("pickle.truncated", "N", "without STOP");
}

TEST(UnpicklerTest, StopsAtStop) {
  const Pickle pickle = read_pickle(PickleInput("N.cos\nsystem\n."));
  EXPECT_EQ(pickle.size, 2U);
  EXPECT_TRUE(pickle.tree->names.empty());
}

TEST(UnpicklerTest, DepthCostsNothing) {
  constexpr std::size_t kDepth = 200000;
  std::string pickle = "N";
  for (std::size_t i = 0; i < kDepth; ++i) pickle += "\x85";
  const Pickle result = read_pickle(PickleInput(pickle + "."));
  std::size_t objects = 0;
  for_each_reachable(result.tree->root(), [&](Object) { ++objects; });
  EXPECT_EQ(objects, kDepth + 1);
  EXPECT_EQ(describe(result.tree->root()), "tuple of 1");
}

TEST(UnpicklerTest, Limits) {
  refuse("limit.stack", std::string(limits::kPickleStack + 1, 'N') + ".", "on the stack");
  refuse("limit.stack", std::string(limits::kPickleStack + 1, '(') + ".", "marks");
  std::string names;
  for (std::size_t i = 0; i <= limits::kPickleNames; ++i)
    names += "cm\n" + std::to_string(i) + "\n0";
  refuse("limit.names", names + ".", "names");
}

TEST(UnpicklerTest, CopyingCannotMultiplyTheFile) {
  // A long list, turned into a set again and again.
  std::string pickle = "](";
  for (int i = 0; i < 20000; ++i) pickle += "N";
  pickle += "e\x85q\0"s + global("builtins", "set") + "q\1";
  for (int i = 0; i < 20000; ++i) pickle += "h\1h\0R0"s;
  refuse("limit.expansion", pickle + ".", "copied");

  std::string text = str(std::string(20000, 'x')) + str("latin1") + "\x86q\0"s +
                     global("_codecs", "encode") + "q\1";
  for (int i = 0; i < 20000; ++i) text += "h\1h\0R0"s;
  refuse("limit.expansion", text + ".", "copied");
}

TEST(UnpicklerTest, ReadsFromAFileWhatItNeeds) {
  testing::TemporaryDirectory directory;
  const std::string text(300000, 'x');
  testing::write_file(directory / "file", "skip" + str(text) + ".rest");
  const InputFile file(directory / "file");
  const Pickle pickle = read_pickle(PickleInput(file, 4));
  EXPECT_EQ(pickle.tree->root().as_string(), text);
  EXPECT_EQ(pickle.size, 5 + text.size() + 1);
}

TEST(UnpicklerTest, LinesFromAFile) {
  testing::TemporaryDirectory directory;
  testing::write_file(directory / "file", "V" + std::string(200000, 'x') + "\n.");
  const InputFile file(directory / "file");
  EXPECT_EQ(read_pickle(PickleInput(file, 0)).tree->root().as_string().size(), 200000U);
  testing::write_file(directory / "open", "V" + std::string(200000, 'x'));
  const InputFile open(directory / "open");
  expect_error(ErrorKind::input, "pickle.truncated", HasSubstr("no end"),
               [&] { read_pickle(PickleInput(open, 0)); });
}

std::string golden_pickle(const std::string& name) {
  const InputFile file(Path(CRAFTBUNDLE_TEST_DATA) / "golden" / name);
  const Archive archive(file);
  return archive.read(*archive.find("data.pkl"));
}

TEST(UnpicklerTest, RefusesARealPickleCutAnywhere) {
  const std::string pickle = golden_pickle("errors/already_exported.th");
  for (std::size_t size = 0; size < pickle.size(); ++size) {
    expect_error(ErrorKind::input, "pickle.truncated", ::testing::_,
                 [&] { read_pickle(PickleInput(pickle.substr(0, size))); });
  }
}

TEST(UnpicklerTest, SurvivesEveryFlippedByteOfARealPickle) {
  const std::string pickle = golden_pickle("omegaconf/data/020.th");
  std::size_t read = 0;
  std::size_t refused = 0;
  for (std::size_t i = 0; i < pickle.size(); ++i) {
    for (const char mask : {'\x01', '\x20', '\x80', '\xff'}) {
      std::string damaged = pickle;
      damaged[i] = static_cast<char>(damaged[i] ^ mask);
      try {
        const Pickle result = read_pickle(PickleInput(damaged));
        for_each_reachable(result.tree->root(), [](Object object) { (void)describe(object); });
        (void)list_globals(*result.tree);
        ++read;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::input) << error.what();
        ++refused;
      }
    }
  }
  EXPECT_GT(read, 0U);
  EXPECT_GT(refused, 0U);
}

TEST(PickleTextTest, Decimals) {
  EXPECT_EQ(decimal_of_twos_complement("\xff"s), "-1");
  EXPECT_EQ(decimal_of_twos_complement(""), "0");
  EXPECT_EQ(decimal_of_twos_complement("\0\xff"s), "-256");
  EXPECT_EQ(decimal_of_twos_complement(std::string(16, '\0') + "\1"),
            "340282366920938463463374607431768211456");
  EXPECT_EQ(decimal_of_twos_complement(std::string(415, '\x55')).size(), 999U);
  EXPECT_EQ(decimal_of_twos_complement(std::string(416, '\x55')), "<integer of 416 bytes>");
  EXPECT_EQ(normal_decimal("-000"), "0");
  EXPECT_EQ(normal_decimal("12 "), std::nullopt);
}

}  // namespace
}  // namespace craftbundle
