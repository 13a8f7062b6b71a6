#include "craftbundle/detail/plugin/exporter.h"

#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <string>
#include <utility>

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

// ---- facts ----

FitFact fact(std::string name, FactValue value) { return {std::move(name), std::move(value), {}}; }

TEST(Facts, MayBeWhatTheyAre) {
  for (const FitFact& sound :
       {fact("codebooks", std::int64_t{4}), fact("cardinality", 1024.0), fact("frame_rate", 12.5),
        fact("sample_rate", std::int64_t{44'100}), fact("loudness", -23.5), fact("levels", 0.0),
        fact("renormalize", std::string("no")), fact("codec_class", std::string())}) {
    EXPECT_EQ(find_problem(sound), std::nullopt) << sound.name;
  }
}

TEST(Facts, ThatAreNoneAreFound) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  const auto problem = [](std::string name, FactValue value) {
    return find_problem(fact(std::move(name), std::move(value))).value_or("none");
  };
  EXPECT_EQ(problem("", std::int64_t{1}), "a fact has no name");
  EXPECT_EQ(problem("frame_rate", kNan), "the fact 'frame_rate' is nan, expected a number");
  EXPECT_EQ(problem("loudness", -kInfinite), "the fact 'loudness' is -inf, expected a number");
  EXPECT_EQ(problem("codebooks", std::int64_t{-4}),
            "the fact 'codebooks' is -4, expected a whole number above 0");
  EXPECT_EQ(problem("codebooks", 4.5),
            "the fact 'codebooks' is 4.5, expected a whole number above 0");
  EXPECT_EQ(problem("codebooks", std::string("4")),
            "the fact 'codebooks' is the text '4', expected a whole number above 0");
  EXPECT_EQ(problem("sample_rate", std::int64_t{0}),
            "the fact 'sample_rate' is 0, expected a whole number above 0");
  EXPECT_EQ(problem("frame_rate", -75.0),
            "the fact 'frame_rate' is -75, expected a number above 0");
  for (const char* name : {"cardinality", "channels", "latent_dimension", "hop_length"}) {
    EXPECT_NE(problem(name, std::int64_t{-1}), "none") << name;
  }
}

TEST(Facts, OfAComponentAreFoundOnBothSides) {
  Component component;
  component.provides = {fact("codebooks", std::int64_t{4})};
  EXPECT_EQ(find_problem(component), std::nullopt);
  component.requires_ = {fact("channels", std::int64_t{-1})};
  EXPECT_EQ(find_problem(component), "the fact 'channels' is -1, expected a whole number above 0");
}

}  // namespace
}  // namespace craftbundle
