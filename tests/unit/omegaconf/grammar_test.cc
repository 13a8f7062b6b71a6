#include <gtest/gtest.h>

#include <string>

#include "craftbundle/detail/omegaconf/config.h"
#include "support/error_matchers.h"

namespace craftbundle::testing {
namespace {

using ::testing::HasSubstr;

Config with_value(const std::string& value) {
  std::string text = "k: '";
  for (const char c : value) text += c == '\'' ? std::string("''") : std::string(1, c);
  return Config::from_yaml(text + "'");
}

// Held against OmegaConf in tests/golden/omegaconf.
TEST(InterpolationGrammar, TakesWhatOmegaConfTakes) {
  for (const char* value : {"${a}",
                            "x ${ a } y",
                            "${..a.b[c].d}",
                            "${[a]}",
                            "${.[a].b}",
                            "${a-b}",
                            "${\u00e9}",
                            "${a.${b}.c}",
                            "${a[${b}]}",
                            "${${a}}",
                            "${f:}",
                            "${:x}",
                            "${oc.env:HOME,/root}",
                            "${f: a b , c }",
                            "${f:,,}",
                            "${f:a:b}",
                            "${f:[1, [], {a: 1, b c: [x]}], {}}",
                            "${f:'a\u00e9 }', \"${b}\"}",
                            "${f:'it\\'s'}",
                            "${f:\\,\\}\\(}",
                            "${f:${a}/${b}}",
                            "${${f}.g:1}",
                            "\\${a",
                            "\\\\\\${a",
                            "$${a}",
                            "${a}\\",
                            "$ {a}"}) {
    EXPECT_NO_THROW(with_value(value)) << value;
  }
}

TEST(InterpolationGrammar, RefusesWhatOmegaConfRefuses) {
  for (const char* value : {"${",
                            "${}",
                            "${a",
                            "${a b}",
                            "${.}",
                            "${a.}",
                            "${a.[b]}",
                            "${a[b}",
                            "${a[]}",
                            "${a[ b ]}",
                            "${a$b{c}}",
                            "${a${b}}",
                            "${a(b)}",
                            "${'a'}",
                            "${.f:x}",
                            "${f[g]:x}",
                            "${f-g:x}",
                            "${1:x}",
                            "${f:\u00e9}",
                            "${f:(a)}",
                            "${f:#}",
                            "${f:'a}",
                            "${f:'a' b}",
                            "${f:a 'b'}",
                            "${f:[a}",
                            "${f:[a] b}",
                            "${f:{a}}",
                            "${f:{a: }}",
                            "${f:{a: 1,}}",
                            "${f:{'a': 1}}",
                            "${f:{${a}: 1}}",
                            "${f:{:a}}",
                            "\\\\${a",
                            "${a} ${"}) {
    expect_error(ErrorKind::input, "config.interpolation",
                 HasSubstr("config key 'k': the interpolation '"), [&] { with_value(value); });
  }
}

TEST(InterpolationGrammar, IsBounded) {
  const auto nested = [](std::size_t depth) {
    std::string text = "a";
    for (std::size_t i = 0; i < depth; ++i) text = "${" + text + "}";
    return text;
  };
  EXPECT_NO_THROW(with_value(nested(64)));
  for (const std::string& value :
       {nested(65), "${f:" + std::string(100'000, '[') + "}", "${f:" + std::string(100'000, '{')}) {
    expect_error(ErrorKind::input, "config.interpolation", HasSubstr("is malformed"),
                 [&] { with_value(value); });
  }
}

}  // namespace
}  // namespace craftbundle::testing
