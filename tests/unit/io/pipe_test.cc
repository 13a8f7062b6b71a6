// OutputFile::pipe(): what is pushed is written and hashed beside the owner.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <string>

#include "craftbundle/detail/io/output_file.h"
#include "craftbundle/detail/io/sha256.h"
#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using ::testing::Eq;
using testing::expect_error;
using testing::read_file;
using testing::TemporaryDirectory;

void push(BufferRing& ring, std::string_view text) {
  std::ranges::copy(std::as_bytes(std::span(text)), ring.room().begin());
  ring.push(text.size());
}

std::string some_text() {
  std::string text;
  for (int i = 0; text.size() < (3 << 20); ++i) text += std::to_string(i) + " ";
  return text;
}

TEST(Pipe, WritesAndHashesPiecesOfAnySize) {
  const TemporaryDirectory directory;
  const std::string text = some_text();
  for (const std::size_t piece : {std::size_t{4096}, std::size_t{65535}, std::size_t{65536},
                                  BufferRing::kBufferSize - 1, BufferRing::kBufferSize}) {
    OutputFile file(directory.path(), Durability::no_sync);
    file.hash_contents();
    file.write("head");
    {
      BufferRing ring = file.pipe();
      for (std::size_t i = 0; i < text.size(); i += piece) {
        push(ring, std::string_view(text).substr(i, piece));
      }
      ring.finish();
    }
    file.write("tail");
    EXPECT_EQ(file.size(), text.size() + 8);
    EXPECT_EQ(file.sha256(), sha256_of_text("head" + text + "tail")) << piece;
    file.publish(directory / "out", true);
    EXPECT_TRUE(read_file(directory / "out") == "head" + text + "tail") << piece;
  }
}

// The size limit of the process stands for a full disk.
TEST(Pipe, ARefusedWriteReachesTheOwner) {
  const TemporaryDirectory directory;
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small { 1 << 20, before.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  {
    OutputFile file(directory.path(), Durability::no_sync);
    file.hash_contents();
    BufferRing ring = file.pipe();
    expect_error(ErrorKind::system, "io.efbig",
                 Eq(directory.path().string() + ": writing a file: File too large"), [&] {
                   while (true) push(ring, std::string(BufferRing::kBufferSize, 'x'));
                 });
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
}

}  // namespace
}  // namespace craftbundle
