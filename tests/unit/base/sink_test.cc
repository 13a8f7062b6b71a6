#include "craftbundle/detail/base/sink.h"

#include <gtest/gtest.h>

#include "support/error_matchers.h"

namespace craftbundle {
namespace {

TEST(Cancellation, ThrowsOnceCancelled) {
  Cancellation cancellation;
  EXPECT_NO_THROW(cancellation.check());
  EXPECT_FALSE(cancellation.cancelled());
  cancellation.cancel();
  EXPECT_TRUE(cancellation.cancelled());
  testing::expect_error(ErrorKind::interrupted, "run.interrupted", ::testing::Eq("interrupted"),
                        [&] { cancellation.check(); });
}

TEST(Cancellation, NeverIsNever) { EXPECT_NO_THROW(Cancellation::never().check()); }

TEST(Sink, NoneAcceptsEverything) {
  Sink::none().log(LogLevel::warning, "text");
  Sink::none().progress({"task", 1, 2});
  EXPECT_EQ(&Sink::none(), &Sink::none());
}

}  // namespace
}  // namespace craftbundle
