#include "craftbundle/detail/io/read_through.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using testing::expect_error;
using ::testing::HasSubstr;
using testing::TemporaryDirectory;

BufferRing::Use append_to(std::string& text) {
  return [&text](std::span<const std::byte> bytes) {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
}

std::string some_text() {
  std::string text;
  for (int i = 0; text.size() < 3 * BufferRing::kBufferSize; ++i) text += std::to_string(i) + " ";
  return text;
}

TEST(ReadThrough, EachUseGetsTheWholeFile) {
  const TemporaryDirectory directory;
  const std::string text = some_text();
  testing::write_file(directory / "file", text);
  std::string one;
  std::string other;
  std::uint64_t told = 0;
  read_through(InputFile(directory / "file"), {append_to(one), append_to(other)},
               Cancellation::never(), [&](std::uint64_t done) {
                 EXPECT_GT(done, told);
                 told = done;
               });
  EXPECT_EQ(told, text.size());
  EXPECT_TRUE(one == text);
  EXPECT_TRUE(other == text);
}

TEST(ReadThrough, RangesGetTheirBytes) {
  const TemporaryDirectory directory;
  const std::string text = some_text();
  testing::write_file(directory / "file", text);
  constexpr std::uint64_t kPiece = BufferRing::kBufferSize;
  const std::vector<FileRange> ranges = {
      {0, 1}, {3, 3}, {5, 2 * kPiece + 9}, {kPiece, kPiece + 1}, {2 * kPiece, text.size()}};
  std::array<std::string, 5> found;
  read_through(InputFile(directory / "file"),
               {use_ranges(ranges,
                           [&](std::size_t index, std::span<const std::byte> bytes) {
                             append_to(found.at(index))(bytes);
                           })},
               Cancellation::never());
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    EXPECT_TRUE(found[i] == text.substr(ranges[i].begin, ranges[i].end - ranges[i].begin)) << i;
  }
}

TEST(ReadThrough, AFileThatChangesIsAnError) {
  const TemporaryDirectory directory;
  const Path path = directory / "file";
  testing::write_file(path, some_text());
  const InputFile file(path);
  testing::write_file(path, "short");
  std::string text;
  expect_error(ErrorKind::input, "io.truncated", HasSubstr("ends at byte 5"),
               [&] { read_through(file, {append_to(text)}, Cancellation::never()); });
  testing::write_file(path, some_text() + "more");
  expect_error(ErrorKind::input, "io.changed", HasSubstr("changed while it was read"),
               [&] { read_through(file, {append_to(text)}, Cancellation::never()); });
}

TEST(ReadThrough, CanBeCancelled) {
  const TemporaryDirectory directory;
  testing::write_file(directory / "file", some_text());
  Cancellation cancellation;
  std::string text;
  expect_error(ErrorKind::interrupted, "run.interrupted", HasSubstr("interrupted"), [&] {
    read_through(InputFile(directory / "file"), {append_to(text)}, cancellation,
                 [&](std::uint64_t) { cancellation.cancel(); });
  });
}

}  // namespace
}  // namespace craftbundle
