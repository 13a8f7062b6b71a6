#include "craftbundle/detail/base/utf8.h"

#include <gtest/gtest.h>

namespace craftbundle {
namespace {

TEST(Utf8, WhatIsAppendedIsReadAgain) {
  for (const char32_t c : {U'\0', U'a', U'\x7F', U'\x80', U'\u07FF', U'\u0800', U'\uD7FF',
                           U'\uE000', U'\uFFFF', U'\U00010000', U'\U0010FFFF'}) {
    std::string text;
    append_utf8(text, c);
    const std::size_t length = text.size();
    const Utf8Character found = first_character(text + "more");
    EXPECT_EQ(found.code_point, c);
    EXPECT_EQ(found.length, length);
    for (std::size_t cut = 1; cut < length; ++cut) {
      EXPECT_EQ(first_character(text.substr(0, cut)).length, 0u);
    }
  }
}

TEST(Utf8, RefusesWhatIsMalformed) {
  for (const char* text :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC2z", "\xE2\x82z", "\xF0\x9F\x98z"}) {
    EXPECT_EQ(first_character(text).length, 0u) << text;
    EXPECT_EQ(first_character(text, Surrogates::pass).length, 0u) << text;
  }
}

TEST(Utf8, SurrogatesAsAsked) {
  for (const char32_t c : {char32_t{0xD800}, char32_t{0xDFFF}}) {
    std::string text;
    append_utf8(text, c);
    EXPECT_EQ(first_character(text).length, 0u);
    EXPECT_EQ(first_character(text, Surrogates::pass).code_point, c);
    EXPECT_EQ(first_character(text, Surrogates::pass).length, 3u);
  }
}

}  // namespace
}  // namespace craftbundle
