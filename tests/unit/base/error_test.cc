#include "craftbundle/detail/base/error.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using ::testing::Eq;
using testing::expect_error;

TEST(Error, KeepsItsParts) {
  const Error error(ErrorKind::input, "zip.crc", "CRC differs", "copy the file again");
  EXPECT_EQ(error.kind(), ErrorKind::input);
  EXPECT_EQ(error.code(), "zip.crc");
  EXPECT_EQ(error.message(), "CRC differs");
  EXPECT_STREQ(error.what(), "CRC differs");
  EXPECT_EQ(error.hint(), "copy the file again");
}

TEST(Error, ContextIsAddedOutermostFirst) {
  expect_error(ErrorKind::input, "zip.crc", Eq("a.th: record 'data/3': CRC differs"), [] {
    with_context("a.th", [] {
      with_context([] { return std::string("record 'data/3'"); },
                   [] { throw Error(ErrorKind::input, "zip.crc", "CRC differs"); });
    });
  });
}

TEST(Error, ContextsAndTheCulpritAreData) {
  Error error(ErrorKind::usage, "option.value", "option 'x: y' is odd");
  EXPECT_EQ(error.subject(), "");
  EXPECT_EQ(error.bare_message(), error.message());
  error.about("option:x: y")
      .add_context("xp.cfg")
      .add_context("a: b.th")
      .add_context("the original");
  const Error copy = error;
  EXPECT_EQ(copy.subject(), "option:x: y");
  EXPECT_THAT(copy.contexts(), ElementsAre("the original", "a: b.th", "xp.cfg"));
  EXPECT_EQ(copy.message(), "the original: a: b.th: xp.cfg: option 'x: y' is odd");
  EXPECT_EQ(copy.bare_message(), "option 'x: y' is odd");
  EXPECT_EQ(copy.message_within("a: b.th"), "xp.cfg: option 'x: y' is odd");
  EXPECT_EQ(copy.message_within("xp.cfg"), "option 'x: y' is odd");
  // What the message itself says is no context.
  EXPECT_EQ(copy.message_within("option 'x"), copy.message());
}

TEST(Error, ContextIsNotBuiltWithoutAnError) {
  bool built = false;
  const int result = with_context(
      [&] {
        built = true;
        return std::string("where");
      },
      [] { return 7; });
  EXPECT_EQ(result, 7);
  EXPECT_FALSE(built);
}

TEST(Error, ErrnoBecomesCodeAndHint) {
  const Error full = system_error(ENOSPC, "out.bin");
  EXPECT_EQ(full.kind(), ErrorKind::system);
  EXPECT_EQ(full.code(), "io.enospc");
  EXPECT_EQ(full.message(), "out.bin: No space left on device");
  EXPECT_EQ(full.hint(), "free some space, or write to another file system");
  EXPECT_EQ(system_error(ENOENT, "x").code(), "io.enoent");
  EXPECT_THAT(system_error(EACCES, "x").hint(), ::testing::HasSubstr("'ls -ld' shows whose it is"));
  EXPECT_EQ(system_error(EROFS, "x").hint(), "write to another file system");
  EXPECT_EQ(system_error(EACCES, "x", "do this").hint(), "do this");
  EXPECT_EQ(system_error(EPERM, "x").code(), "io.eacces");
  EXPECT_EQ(system_error(ENXIO, "x").code(), "io.error");
  EXPECT_EQ(system_error(ENOSPC, "x", "own hint").hint(), "own hint");
}

TEST(Error, KindsHaveWords) {
  EXPECT_EQ(to_string(ErrorKind::usage), "usage");
  EXPECT_EQ(to_string(ErrorKind::input), "input");
  EXPECT_EQ(to_string(ErrorKind::system), "system");
  EXPECT_EQ(to_string(ErrorKind::plugin), "plugin");
  EXPECT_EQ(to_string(ErrorKind::mismatch), "mismatch");
  EXPECT_EQ(to_string(ErrorKind::interrupted), "interrupted");
  EXPECT_EQ(to_string(ErrorKind::internal), "internal");
}

}  // namespace
}  // namespace craftbundle
