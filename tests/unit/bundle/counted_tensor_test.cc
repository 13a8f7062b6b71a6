#include "counted_tensor.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <limits>

#include "unit/checkpoint/fake_checkpoint.h"

namespace craftbundle {
namespace {

using testing::FakeCheckpoint;
using testing::TemporaryDirectory;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

Tensor tensor(const FakeCheckpoint& file, std::uint64_t offset, std::vector<std::int64_t> shape) {
  const std::uint64_t bytes = element_count(shape).value() * 4;
  return {DType::float32,
          {shape, contiguous_strides(shape), 0},
          file.storage(std::to_string(offset), DType::float32, offset, bytes)};
}

// Numbers that lie at an odd place: pieces cut them in two.
TEST(CountedTensor, CountsWhatPassesByInPieces) {
  const std::array<float, 7> numbers = {1, kNaN, 0, -kInfinity, kNaN, 0, 0};
  std::string content = "abc";
  content.append(reinterpret_cast<const char*>(numbers.data()), sizeof numbers);
  content += "tail";
  const TemporaryDirectory directory;
  const auto file = FakeCheckpoint::make(directory / "file", content);
  for (std::size_t size = 1; size <= content.size(); ++size) {
    CountedPart all(tensor(*file, 3, {7}));
    CountedPart inside(tensor(*file, 7, {2, 2}));
    CountedPart none(tensor(*file, 7, {0}));
    const BufferRing::Use use = count_parts({&inside, &all, &none});
    for (std::size_t i = 0; i < content.size(); i += size) {
      use(std::as_bytes(std::span(content)).subspan(i, std::min(size, content.size() - i)));
    }
    EXPECT_EQ(all.counts().elements, 7u) << size;
    EXPECT_EQ(all.counts().not_a_number, 2u) << size;
    EXPECT_EQ(all.counts().infinite, 1u) << size;
    EXPECT_EQ(all.counts().zero, 3u) << size;
    EXPECT_EQ(inside.counts().elements, 4u) << size;
    EXPECT_EQ(inside.counts().not_a_number, 2u) << size;
    EXPECT_EQ(none.counts().elements, 0u) << size;
  }
}

TEST(CountedTensor, HasARangeOnlyWhenItLiesAsItIs) {
  const TemporaryDirectory directory;
  const auto file = FakeCheckpoint::make(directory / "file", std::string(64, '\0'));
  Tensor rows = tensor(*file, 8, {4, 2});
  rows.layout.offset = 2;
  rows.layout.shape = {3, 2};
  const std::optional<FileRange> range = CountedPart(rows).range();
  ASSERT_TRUE(range);
  EXPECT_EQ(range->begin, 16u);
  EXPECT_EQ(range->end, 40u);
  Tensor other = rows;
  other.layout.strides = {1, 3};
  EXPECT_FALSE(CountedPart(other).range()) << "transposed";
  other = rows;
  other.storage.swapped = true;
  EXPECT_FALSE(CountedPart(other).range()) << "foreign byte order";
  other = rows;
  other.storage.deflated = true;
  EXPECT_FALSE(CountedPart(other).range()) << "compressed";
}

TEST(CountedTensor, LeavesOutWhatIsComputed) {
  const TemporaryDirectory directory;
  const auto file = FakeCheckpoint::make(directory / "file", std::string(64, '\0'));
  const Tensor stored = tensor(*file, 0, {2, 2});
  const std::vector<CountedTensor> tensors =
      counted({{"stored", stored},
               {"joined", join({stored, tensor(*file, 32, {1, 2})})},
               {"computed", ComputedTensor{DType::float16, elements_of(stored), {}}}});
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].name, "stored");
  EXPECT_EQ(tensors[0].parts.size(), 1u);
  EXPECT_EQ(tensors[1].name, "joined");
  EXPECT_EQ(tensors[1].parts.size(), 2u);
}

}  // namespace
}  // namespace craftbundle
