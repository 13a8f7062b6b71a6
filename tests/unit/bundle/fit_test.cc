#include "craftbundle/detail/bundle/fit.h"

#include <gtest/gtest.h>

#include <cmath>

namespace craftbundle {
namespace {

FitCheck::Outcome outcome(FactValue required, FactValue provided) {
  const auto checks = check_fit({{"lm", {}, {{"rate", std::move(required), ""}}},
                                 {"compression", {{"rate", std::move(provided), ""}}, {}}});
  EXPECT_EQ(checks.size(), 1u);
  return checks.at(0).outcome;
}

FactValue integer(std::int64_t value) { return value; }

TEST(Fit, ComparesNumbersAsNumbers) {
  EXPECT_EQ(outcome(integer(50), integer(50)), FitCheck::Outcome::agrees);
  EXPECT_EQ(outcome(integer(50), 50.0), FitCheck::Outcome::agrees);
  EXPECT_EQ(outcome(integer(50), 50.1), FitCheck::Outcome::differs);
  EXPECT_EQ(outcome(86.1328125, 86.1328125 * (1 + 1e-12)), FitCheck::Outcome::agrees);
  EXPECT_EQ(outcome(0.0, integer(0)), FitCheck::Outcome::agrees);
  EXPECT_EQ(outcome(NAN, NAN), FitCheck::Outcome::differs);
}

TEST(Fit, ComparesLargeIntegersExactly) {
  const std::int64_t large = std::int64_t{1} << 60;
  EXPECT_EQ(outcome(integer(large), integer(large + 1)), FitCheck::Outcome::differs);
}

TEST(Fit, ComparesTextAsText) {
  EXPECT_EQ(outcome(std::string("a"), std::string("a")), FitCheck::Outcome::agrees);
  EXPECT_EQ(outcome(std::string("a"), std::string("b")), FitCheck::Outcome::differs);
  EXPECT_EQ(outcome(std::string("4"), integer(4)), FitCheck::Outcome::differs);
}

TEST(Fit, AComponentDoesNotAnswerForItself) {
  const auto checks = check_fit({{"lm", {{"rate", integer(1), ""}}, {{"rate", integer(1), ""}}}});
  ASSERT_EQ(checks.size(), 1u);
  EXPECT_EQ(checks[0].outcome, FitCheck::Outcome::unstated);
}

TEST(Fit, ChecksEveryStatementOfAName) {
  const auto checks = check_fit(
      {{"lm", {}, {{"codebooks", integer(4), "config"}, {"codebooks", integer(8), "tensors"}}},
       {"compression", {{"codebooks", integer(4), ""}, {"codebooks", integer(4), ""}}, {}}});
  ASSERT_EQ(checks.size(), 4u);
  EXPECT_EQ(checks[0].outcome, FitCheck::Outcome::agrees);
  EXPECT_EQ(checks[3].outcome, FitCheck::Outcome::differs);
  EXPECT_EQ(checks[3].required.origin, "tensors");
}

TEST(Fit, SaysBothSides) {
  const auto checks =
      check_fit({{"lm", {}, {{"codebooks", integer(4), "n_q in xp.cfg"}, {"other", 0.5, ""}}},
                 {"compression", {{"codebooks", integer(8), "rvq.n_q in xp.cfg"}}, {}}});
  ASSERT_EQ(checks.size(), 2u);
  EXPECT_EQ(to_string(checks[0]),
            "codebooks: lm needs 4 (n_q in xp.cfg), compression has 8 (rvq.n_q in xp.cfg)");
  EXPECT_EQ(to_string(checks[1]), "other: lm needs 0.5, no other component states it");
}

TEST(Fit, CodecsHaveNeedsToo) {
  const StatedFacts codec = {"compression",
                             {{"codebooks", integer(3), ""}},
                             {{"frames_per_code", std::string("4 2 1"), "strides"}}};
  StatedFacts lm = {"lm", {}, {{"codebooks", integer(3), ""}}};
  // A language model that knows nothing of it.
  const auto unchecked = find_unchecked(check_fit({lm, codec}));
  ASSERT_TRUE(unchecked);
  EXPECT_EQ(to_string(*unchecked),
            "whether the components fit cannot be told: compression needs 'frames_per_code', no "
            "other component states any of it");
  EXPECT_TRUE(find_unchecked(check_fit({codec})));
  lm.provides = {{"frames_per_code", std::string("4 2 1"), ""}};
  EXPECT_FALSE(find_unchecked(check_fit({lm, codec})));
  lm.provides = {{"frames_per_code", std::string("1 1 1"), ""}};
  const auto checks = check_fit({lm, codec});
  ASSERT_EQ(checks.size(), 2u);
  EXPECT_EQ(checks[1].outcome, FitCheck::Outcome::differs);
}

}  // namespace
}  // namespace craftbundle
