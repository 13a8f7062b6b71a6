#include "craftbundle/detail/plugin/exporter.h"

#include <gtest/gtest.h>

#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using testing::expect_error;
using ::testing::HasSubstr;

TEST(FactValue, IsShownAsItReadsBack) {
  EXPECT_EQ(to_string(FactValue(std::int64_t{2048})), "2048");
  EXPECT_EQ(to_string(FactValue(std::string("mono"))), "mono");
  EXPECT_EQ(to_string(FactValue(86.1328125)), "86.1328125");
  EXPECT_EQ(to_string(FactValue(50.0)), "50");
}

TEST(Source, IsACheckpointOrAName) {
  const Source named = Source::of_pretrained("//pretrained/x", "x");
  EXPECT_EQ(named.kind(), AcceptedSource::Kind::pretrained);
  EXPECT_EQ(named.given(), "//pretrained/x");
  EXPECT_EQ(named.name(), "x");
}

TEST(Files, AreJoinedByCommas) {
  EXPECT_EQ(files_value({}), "");
  EXPECT_EQ(files_value({"a.th", "/b c/d.th"}), "a.th,/b c/d.th");
  EXPECT_EQ(files_of("a.th,/b c/d.th"), (std::vector<Path>{"a.th", "/b c/d.th"}));
  EXPECT_TRUE(files_of("").empty());
  EXPECT_EQ(files_of(",a.th,,b.th,"), (std::vector<Path>{"a.th", "b.th"}));
}

TEST(Files, WithACommaAreRefused) {
  try {
    files_value({"a.th", "b,c.th"});
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_EQ(error.code(), "option.value");
    EXPECT_EQ(error.message(), "b,c.th has a comma in its path, which separates files in options");
    EXPECT_EQ(error.hint(), "give it another name, for example with a symbolic link");
  }
}

TEST(OptionSpec, TypesHaveNames) {
  using Type = OptionSpec::Type;
  EXPECT_EQ(to_string(Type::files), "files");
  EXPECT_EQ(to_string(Type::text), "text");
}

TEST(ExportRequest, KnowsDeclaredOptionsOnly) {
  const ExportRequest request{Source::of_pretrained("x", "x"), {{"state", "best"}}};
  EXPECT_EQ(request.option("state"), "best");
  EXPECT_TRUE(request.option_is("state", "best"));
  EXPECT_FALSE(request.option_is("state", "last"));
  expect_error(ErrorKind::internal, "option.undeclared", HasSubstr("'stat'"),
               [&] { return request.option("stat"); });
}

}  // namespace
}  // namespace craftbundle
