#include "craftbundle/detail/io/sha256.h"

#include <gtest/gtest.h>

#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

// FIPS 180-2, appendix B.
TEST(Sha256, KnowsTheStandardsExamples) {
  EXPECT_EQ(sha256_of_text("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of_text(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of_text(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, ReadsFilesAndTellsHowFarItIs) {
  testing::TemporaryDirectory directory;
  const std::string text(5'000'001, 'x');
  testing::write_file(directory / "file", text);
  std::uint64_t told = 0;
  EXPECT_EQ(sha256_of_file(InputFile(directory / "file"), Cancellation::never(),
                           [&](std::uint64_t done) {
                             EXPECT_GT(done, told);
                             told = done;
                           }),
            sha256_of_text(text));
  EXPECT_EQ(told, text.size());
}

TEST(Sha256, IsCancelled) {
  testing::TemporaryDirectory directory;
  testing::write_file(directory / "file", std::string(5'000'000, 'x'));
  Cancellation cancellation;
  cancellation.cancel();
  testing::expect_error(ErrorKind::interrupted, "run.interrupted", ::testing::_,
                        [&] { sha256_of_file(InputFile(directory / "file"), cancellation); });
}

}  // namespace
}  // namespace craftbundle
