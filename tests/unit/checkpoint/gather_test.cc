#include "gather.h"

#include <gtest/gtest.h>

#include <random>

#include "fake_checkpoint.h"
#include "walk.h"

namespace craftbundle {
namespace {

using testing::FakeCheckpoint;
using testing::make_tensor;
using testing::TemporaryDirectory;

class GatherTest : public ::testing::Test {
 protected:
  // Block by block against element by element.
  void check(const Tensor& tensor, std::uint64_t block_bytes) const {
    const std::size_t size = item_size(tensor.dtype);
    std::string found;
    Gather gather(tensor, block_bytes);
    for (auto block = gather.next(); !block.empty(); block = gather.next()) {
      EXPECT_LE(block.size(), block_bytes);
      found.append(reinterpret_cast<const char*>(block.data()), block.size());
    }
    std::string expected;
    Walk walk(tensor.layout, 0);
    for (std::uint64_t i = *element_count(tensor.layout.shape); i > 0; --i, walk.next()) {
      const std::size_t place = static_cast<std::size_t>(tensor.layout.offset) + walk.place();
      expected += content_.substr(place * size, size);
    }
    EXPECT_TRUE(found == expected) << block_bytes;
  }

  TemporaryDirectory directory_;
  std::string content_ = testing::pattern(4096);
  std::shared_ptr<const FakeCheckpoint> source_ =
      FakeCheckpoint::make(directory_ / "source", content_);
  Storage storage_ = source_->storage("0", DType::int16, 0, 4096);
};

TEST_F(GatherTest, AnyLayoutInBlocksOfAnySize) {
  std::mt19937 random(1);
  const auto below = [&](std::int64_t end) {
    return std::uniform_int_distribution<std::int64_t>(0, end - 1)(random);
  };
  for (int i = 0; i < 400; ++i) {
    std::vector<std::int64_t> shape;
    for (auto n = below(5); n > 0; --n) shape.push_back(1 + below(6));
    // Permuted, then some strides are wider, or 0.
    std::vector<std::size_t> order(shape.size());
    for (std::size_t k = 0; k < order.size(); ++k) order[k] = k;
    std::shuffle(order.begin(), order.end(), random);
    std::vector<std::int64_t> strides(shape.size());
    std::int64_t stride = 1 + below(2);
    for (const std::size_t k : order) {
      strides[k] = below(8) == 0 ? 0 : stride;
      stride *= shape[k] + (below(4) == 0 ? 1 : 0);
    }
    const Tensor tensor = make_tensor(storage_, shape, strides, below(9));
    if (used_range(tensor.layout)->end > storage_.elements) continue;
    for (const std::uint64_t bytes : {2U, 4U, 6U, 10U, 32U, 100U, 10000U}) check(tensor, bytes);
  }
}

TEST_F(GatherTest, ReadsRunsThatLieTogether) {
  const Tensor tensor = make_tensor(storage_, {32, 64}, {1, 32});
  Gather gather(tensor, 1024);
  std::size_t blocks = 0;
  while (!gather.next().empty()) ++blocks;
  EXPECT_EQ(blocks, 4U);
  EXPECT_EQ(source_->bytes_read(), 4096U);
}

}  // namespace
}  // namespace craftbundle
