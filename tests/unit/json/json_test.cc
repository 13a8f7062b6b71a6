#include "craftbundle/detail/json/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using testing::expect_error;
using ::testing::HasSubstr;

TEST(Json, IsWrittenWhateverTheBytes) {
  const Json json = {{"b", "caf\xe9"}, {"a", Json::array()}};
  EXPECT_EQ(json_document(json), "{\n  \"b\": \"caf\xef\xbf\xbd\",\n  \"a\": []\n}\n");
  EXPECT_EQ(json_line(json), "{\"b\":\"caf\xef\xbf\xbd\",\"a\":[]}");
}

TEST(Json, OfAnError) {
  EXPECT_EQ(json_line(error_json(Error(ErrorKind::input, "zip.crc", "no", "again"))),
            R"({"kind":"input","code":"zip.crc","message":"no","hint":"again"})");
}

TEST(ParseJson, RefusesWhatIsNone) {
  for (const char* text : {"", "{", "[1,]", "nul", "{} {}", "\"\xff\"", "01"}) {
    expect_error(ErrorKind::input, "x.syntax", HasSubstr("no JSON: byte "),
                 [&] { parse_json(text, "x"); });
  }
}

// The library throws something else for these.
TEST(ParseJson, RefusesNumbersThatNoMachineNumberHolds) {
  for (const char* text : {"1e999", "{\"a\": [-1e999]}"}) {
    expect_error(ErrorKind::input, "x.syntax", HasSubstr("holds a number that is too large"),
                 [&] { parse_json(text, "x"); });
  }
}

TEST(ParseJson, SurvivesDepth) {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  EXPECT_TRUE(parse_json(deep, "x").is_array());
  expect_error(ErrorKind::input, "x.syntax", HasSubstr("no JSON"),
               [&] { parse_json(std::string(200'000, '['), "x"); });
}

class JsonReaderTest : public ::testing::Test {
 protected:
  // A reader of {"a": VALUE}.
  const JsonReader& of(const std::string& value) {
    json_ = parse_json("{\"a\": " + value + "}", "x");
    reader_.emplace(json_, "x");
    return *reader_;
  }
  // What `read` refuses of it.
  template <typename Read>
  void refuses(const std::string& value, const std::string& what, Read read) {
    expect_error(ErrorKind::input, "x.type", HasSubstr(what), [&] { read(of(value)); });
  }

 private:
  Json json_;
  std::optional<JsonReader> reader_;
};

TEST_F(JsonReaderTest, ReadsWhatIsThere) {
  EXPECT_EQ(of("\"t\"").text("a"), "t");
  EXPECT_TRUE(of("true").boolean("a"));
  EXPECT_EQ(of("18446744073709551615").size("a"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(of("-9223372036854775808").integer("a"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(of("1000000").small_integer("a"), 1'000'000);
  EXPECT_EQ(of("1e3").real("a"), 1000);
  EXPECT_EQ(of("7").real("a"), 7);
  EXPECT_THAT(of("[\"p\", \"q\"]").texts("a"), ElementsAre("p", "q"));
  EXPECT_EQ(of("{\"b\": {\"c\": 1}}").object("a").object("b").size("c"), 1u);
  EXPECT_TRUE(of("null").value("a").is_null());
  EXPECT_THAT(of("[{\"n\": 1}, {\"n\": 2}]")
                  .list("a", [](const JsonReader& item) { return item.size("n"); }),
              ElementsAre(1u, 2u));
}

TEST_F(JsonReaderTest, RefusesWhatDoesNotFit) {
  const auto size = [](const JsonReader& reader) { reader.size("a"); };
  const auto integer = [](const JsonReader& reader) { reader.integer("a"); };
  const auto small = [](const JsonReader& reader) { reader.small_integer("a"); };
  for (const char* value : {"-1", "1.5", "1e20", "18446744073709551616", "\"1\"", "null"}) {
    refuses(value, "a is not a size", size);
  }
  for (const char* value : {"1.0", "1e300", "-9223372036854775809", "[]"}) {
    refuses(value, "a is not a whole number", integer);
  }
  refuses("9223372036854775808", "a is out of range", integer);
  refuses("1000001", "a is out of range", small);
  refuses("\"1\"", "a is not a number", [](const JsonReader& reader) { reader.real("a"); });
  refuses("1", "a is not true or false", [](const JsonReader& reader) { reader.boolean("a"); });
  refuses("1", "a is not text", [](const JsonReader& reader) { reader.text("a"); });
  refuses("[1]", "a holds something else than text",
          [](const JsonReader& reader) { reader.texts("a"); });
  refuses("[]", "a is not an object", [](const JsonReader& reader) { reader.object("a"); });
}

TEST_F(JsonReaderTest, NamesThePlace) {
  expect_error(ErrorKind::input, "x.missing", HasSubstr("b is missing"),
               [&] { of("1").text("b"); });
  const auto text = [](const JsonReader& item) { return item.text("t"); };
  expect_error(ErrorKind::input, "x.type", HasSubstr("a.b[1].t is not text"),
               [&] { of(R"({"b": [{"t": ""}, {"t": 1}]})").object("a").list("b", text); });
  expect_error(ErrorKind::input, "x.type", HasSubstr("a[0] is no object"),
               [&] { of("[7]").list("a", text); });
  expect_error(ErrorKind::input, "x.type", HasSubstr("it is no object"),
               [] { JsonReader(Json(1), "x"); });
}

}  // namespace
}  // namespace craftbundle
