#include "condition.h"

#include <gtest/gtest.h>

#include "support/error_matchers.h"

namespace craftbundle {
namespace {

// "${size}" is small, "${sizes}" a list; everything else is itself.
bool holds(std::string_view text) {
  return evaluate_condition(text, [](const std::string& written) -> std::vector<std::string> {
    if (written == "${size}") return {"small"};
    if (written == "${sizes}") return {"small", "large"};
    if (written == "${words}") return {"a and b == c"};
    return {written};
  });
}

TEST(Condition, Compares) {
  EXPECT_TRUE(holds("${size} == small"));
  EXPECT_FALSE(holds("${size} != small"));
  EXPECT_TRUE(holds("${size} in [medium, small]"));
  EXPECT_TRUE(holds("medium not in ${sizes}"));
  EXPECT_TRUE(holds("'a b' == \"a b\""));
}

TEST(Condition, Combines) {
  EXPECT_TRUE(holds("true or false and false"));
  EXPECT_FALSE(holds("(true or false) and false"));
  EXPECT_TRUE(holds("not ${size} == large"));
  EXPECT_TRUE(holds("yes and not no and 1 and not 0"));
}

TEST(Condition, ValuesAreNoSyntax) {
  EXPECT_TRUE(holds("${words} == 'a and b == c'"));
  EXPECT_TRUE(holds("'and' == 'and'"));
}

TEST(Condition, FaultsAreNamed) {
  const auto faulty = [](std::string_view text, const std::string& message) {
    testing::expect_error(ErrorKind::usage, "script.condition",
                          "the condition '" + std::string(text) + "' " + message,
                          [&] { holds(text); });
  };
  faulty("", "lacks an operand");
  faulty("a ==", "lacks an operand");
  faulty("(true", "has a '(' without a ')'");
  faulty("a in [b", "has a '[' without a ']'");
  faulty("a not b", "has a 'not' behind an operand without 'in'");
  faulty("true false", "does not go on with 'false'");
  faulty("${sizes} == small", "compares '${sizes}', which is a list");
}

}  // namespace
}  // namespace craftbundle
