#include "craftbundle/detail/tensor/dtype.h"

#include <gtest/gtest.h>

#include "craftbundle/detail/tensor/dtype_words.h"

namespace craftbundle {
namespace {

TEST(DType, NamesLeadBack) {
  for (int i = 0; i <= static_cast<int>(DType::float8_e8m0fnu); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(dtype_from_name(name(dtype)), dtype);
    if (!storage_class(dtype).empty()) {
      EXPECT_EQ(dtype_from_storage_class(storage_class(dtype)), dtype);
    }
    EXPECT_EQ(item_size(dtype) % swap_size(dtype), 0U);
  }
}

TEST(DType, IsFoundByTheWordsPeopleHave) {
  for (const char* word : {"float16", "torch.float16", "fp16", "FP16", "half", "Half", "f16"}) {
    EXPECT_EQ(dtype_from_word(word), DType::float16) << word;
  }
  EXPECT_EQ(dtype_from_word("bf16"), DType::bfloat16);
  EXPECT_EQ(dtype_from_word("float"), DType::float32);
  EXPECT_EQ(dtype_from_word("torch.double"), DType::float64);
  EXPECT_EQ(dtype_from_word("int8"), DType::int8);
  for (const char* word : {"", "fp15", "torch.", "16", "keep"}) {
    EXPECT_EQ(dtype_from_word(word), std::nullopt) << word;
  }
}

TEST(DType, KnowsPyTorchsTypes) {
  EXPECT_EQ(item_size(DType::bfloat16), 2U);
  EXPECT_EQ(storage_class(DType::bfloat16), "BFloat16Storage");
  EXPECT_EQ(item_size(DType::complex128), 16U);
  EXPECT_EQ(swap_size(DType::complex128), 8U);
  EXPECT_EQ(name(DType::boolean), "bool");
  EXPECT_TRUE(is_floating(DType::float8_e4m3fn));
  EXPECT_FALSE(is_floating(DType::int8));
}

TEST(DType, DoesNotGuess) {
  EXPECT_EQ(dtype_from_name("float"), std::nullopt);
  EXPECT_EQ(dtype_from_storage_class(""), std::nullopt);
  EXPECT_EQ(dtype_from_storage_class("QInt8Storage"), std::nullopt);
  EXPECT_TRUE(is_quantized_storage_class("QUInt4x2Storage"));
  EXPECT_FALSE(is_quantized_storage_class("FloatStorage"));
}

}  // namespace
}  // namespace craftbundle
