// Matchers for craftbundle::Error: a test of an error checks its kind, code and text.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "craftbundle/detail/base/error.h"

namespace craftbundle::testing {

// Runs `action`, which must throw an Error of this kind and code whose message matches.
template <typename Action>
void expect_error(ErrorKind kind, const std::string& code,
                  const ::testing::Matcher<std::string>& message, Action&& action) {
  try {
    std::forward<Action>(action)();
  } catch (const Error& error) {
    EXPECT_EQ(to_string(error.kind()), to_string(kind)) << error.what();
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.message(), message);
    return;
  }
  ADD_FAILURE() << "expected an error with code " << code << ", nothing was thrown";
}

}  // namespace craftbundle::testing
