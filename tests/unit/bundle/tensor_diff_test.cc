#include "craftbundle/detail/bundle/tensor_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using testing::expect_error;
using ::testing::IsEmpty;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

class Numbers final : public Elements {
 public:
  Numbers(std::vector<std::int64_t> shape, DType dtype, std::vector<double> numbers)
      : shape_(std::move(shape)), dtype_(dtype), numbers_(std::move(numbers)) {}

  const std::vector<std::int64_t>& shape() const override { return shape_; }
  DType dtype() const override { return dtype_; }
  void read(std::uint64_t first, std::span<double> out, StorageReader& /*from*/) const override {
    std::copy_n(numbers_.begin() + static_cast<std::ptrdiff_t>(first), out.size(), out.begin());
  }
  std::vector<Storage> sources() const override { return {}; }

 private:
  std::vector<std::int64_t> shape_;
  DType dtype_;
  std::vector<double> numbers_;
};

NamedTensor tensor(std::string name, std::vector<std::int64_t> shape, std::vector<double> numbers,
                   DType dtype = DType::float32) {
  auto elements = std::make_shared<Numbers>(std::move(shape), dtype, std::move(numbers));
  return {std::move(name), ComputedTensor{dtype, std::move(elements), {}}};
}

NamedTensor row(std::string name, std::vector<double> numbers, DType dtype = DType::float32) {
  const auto size = static_cast<std::int64_t>(numbers.size());
  return tensor(std::move(name), {size}, std::move(numbers), dtype);
}

Component component(std::vector<NamedTensor> tensors) {
  Model model;
  model.tensors = std::move(tensors);
  Component made;
  made.content = std::move(model);
  return made;
}

TensorComparison compare(std::vector<NamedTensor> found, std::vector<NamedTensor> original) {
  return compare_tensors(component(std::move(found)), component(std::move(original)),
                         Cancellation::never());
}

// Of one tensor.
TensorDifference difference(std::vector<double> found, std::vector<double> original) {
  TensorComparison comparison =
      compare({row("t", std::move(found))}, {row("t", std::move(original))});
  EXPECT_EQ(comparison.differences.size(), 1u);
  return comparison.differences.front();
}

TEST(CompareTensors, MeasuresEachByItsName) {
  const TensorComparison comparison =
      compare({row("b", {1, 2}), row("a", {3, 4}, DType::float16)},
              {row("a", {3, 5}), row("b", {1, 2}), row("not compared", {1})});
  ASSERT_EQ(comparison.differences.size(), 2u);
  EXPECT_THAT(comparison.strangers, IsEmpty());
  const TensorDifference& equal = comparison.differences[0];
  EXPECT_EQ(equal.name, "b");
  EXPECT_EQ(equal.what, "float32");
  EXPECT_EQ(equal.absolute, 0);
  EXPECT_EQ(equal.relative, 0);
  EXPECT_EQ(equal.elements, 2u);
  const TensorDifference& other = comparison.differences[1];
  EXPECT_EQ(other.what, "float32 to float16");
  EXPECT_EQ(other.absolute, 1);
  EXPECT_NEAR(other.relative, std::sqrt(1.0 / 34), 1e-12);
}

TEST(CompareTensors, WhatIsNoNumberIsFarFromWhatIs) {
  EXPECT_EQ(difference({kNaN, 1}, {2, 1}).absolute, kInfinity);
  EXPECT_EQ(difference({1, 1}, {kNaN, 1}).relative, kInfinity);
  EXPECT_EQ(difference({kInfinity}, {-kInfinity}).absolute, kInfinity);
  EXPECT_EQ(difference({kInfinity}, {1}).relative, kInfinity);
}

// Two that are odd in the same way are equal, and leave the others to be measured.
TEST(CompareTensors, TheSameOddNumbersAreEqual) {
  const TensorDifference odd = difference({kNaN, kInfinity, 3}, {kNaN, kInfinity, 4});
  EXPECT_EQ(odd.absolute, 1);
  EXPECT_EQ(odd.relative, 0.25);
  EXPECT_EQ(difference({0, 0}, {0, 0}).relative, 0);
  EXPECT_EQ(difference({1, 0}, {0, 0}).relative, kInfinity);
}

TEST(CompareTensors, NamesThoseWithoutAnOriginal) {
  const TensorComparison comparison =
      compare({row("new", {1}), tensor("turned", {2, 1}, {1, 2}), row("same", {1})},
              {tensor("turned", {1, 2}, {1, 2}), row("same", {1})});
  EXPECT_THAT(comparison.strangers, ElementsAre("new", "turned"));
  EXPECT_EQ(comparison.differences.size(), 1u);
}

TEST(CompareTensors, FoldsTheOriginal) {
  const TensorComparison comparison =
      compare({row("bias", {1}), tensor("w.weight", {1, 2, 1}, {1.2, 1.6})},
              {row("bias", {1}), tensor("w.weight_g", {1, 1, 1}, {2}),
               tensor("w.weight_v", {1, 2, 1}, {3, 4})});
  ASSERT_EQ(comparison.differences.size(), 2u);
  EXPECT_EQ(comparison.differences[1].what, "folded, float32");
  EXPECT_LT(comparison.differences[1].relative, 1e-6);
}

TEST(CompareTensors, CanBeCancelled) {
  Cancellation cancellation;
  cancellation.cancel();
  const Component one = component({row("t", {1})});
  expect_error(ErrorKind::interrupted, "run.interrupted", ::testing::_,
               [&] { compare_tensors(one, one, cancellation); });
}

}  // namespace
}  // namespace craftbundle
