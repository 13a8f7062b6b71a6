#include "craftbundle/detail/bundle/tensor_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A tensor of rows x 4 float32 in the storage `key` of `elements`, from `offset` on.
ListedTensor listed(const std::string& name, const std::string& key, std::int64_t rows,
                    std::uint64_t elements, std::int64_t offset = 0) {
  Tensor tensor;
  tensor.layout = {{rows, 4}, {4, 1}, offset};
  tensor.storage.key = key;
  tensor.storage.elements = elements;
  tensor.storage.bytes = elements * 4;
  return {name, tensor};
}

TEST(IsMeant, FindsWordsAnywhere) {
  EXPECT_TRUE(is_meant("best_state.model.emb.0.weight", ""));
  EXPECT_TRUE(is_meant("best_state.model.emb.0.weight", "emb"));
  EXPECT_TRUE(is_meant("best_state.model.emb.0.weight", "model.emb.0"));
  EXPECT_FALSE(is_meant("best_state.model.emb.0.weight", "bias"));
}

TEST(IsMeant, LetsPatternsLeaveOutWhatIsInFront) {
  EXPECT_TRUE(is_meant("best_state.model.emb.0.weight", "*.weight"));
  EXPECT_TRUE(is_meant("best_state.model.emb.0.weight", "emb.?.weight"));
  EXPECT_TRUE(is_meant("best_state.model.emb.0.weight", "[be]mb.*"));
  EXPECT_FALSE(is_meant("best_state.model.emb.0.weight", "mb.*"));
  EXPECT_FALSE(is_meant("best_state.model.emb.0.weight", "*.weigh"));
}

TEST(StoragesOf, TellsWhoSharesOne) {
  TensorGroup group;
  group.tensors = {listed("a", "0", 2, 8), listed("b", "1", 2, 16), listed("c", "1", 2, 16, 8),
                   listed("d", "1", 4, 16)};
  std::get<Tensor>(group.tensors[3].tensor).layout.strides = {1, 4};
  group.tensors.push_back({"e", JoinedTensor{DType::float32, {2}, {}}});
  const auto uses = storages_of(group);
  ASSERT_EQ(uses.size(), 5U);
  EXPECT_THAT(uses[0]->shared, IsEmpty());
  EXPECT_THAT(uses[1]->shared, ElementsAre(2, 3));
  EXPECT_THAT(uses[2]->shared, ElementsAre(1, 3));
  EXPECT_EQ(uses[2]->key, "1");
  EXPECT_EQ(uses[2]->offset, 8U);
  EXPECT_EQ(uses[2]->elements, 16U);
  EXPECT_TRUE(uses[2]->contiguous);
  EXPECT_FALSE(uses[3]->contiguous);
  EXPECT_FALSE(uses[4]);
}

TEST(BytesOf, CountsElements) {
  EXPECT_EQ(bytes_of(listed("a", "0", 2, 8).tensor), 32U);
  EXPECT_EQ(bytes_of(JoinedTensor{DType::float16, {3, 5}, {}}), 30U);
}

}  // namespace
}  // namespace craftbundle
