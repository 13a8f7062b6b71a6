// Low-rank products added to weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "craftbundle/detail/checkpoint/elements.h"
#include "craftbundle/detail/tensor/convert.h"
#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::Eq;
using testing::expect_error;

using Shape = std::vector<std::int64_t>;

// Numbers that count how often they are read.
class Counted final : public Elements {
 public:
  Counted(Shape shape, std::vector<double> numbers, DType dtype = DType::float32)
      : shape_(std::move(shape)), numbers_(std::move(numbers)), dtype_(dtype) {}
  const Shape& shape() const override { return shape_; }
  DType dtype() const override { return dtype_; }
  void read(std::uint64_t first, std::span<double> out, StorageReader& /*from*/) const override {
    if (first == 0) ++reads_;
    std::copy_n(numbers_.begin() + static_cast<std::ptrdiff_t>(first), out.size(), out.begin());
  }
  std::vector<Storage> sources() const override {
    Storage storage;
    storage.elements = numbers_.size();
    return {storage};
  }
  int reads() const { return reads_; }
  const std::vector<double>& numbers() const { return numbers_; }

 private:
  Shape shape_;
  std::vector<double> numbers_;
  DType dtype_;
  mutable std::atomic<int> reads_ = 0;
};

std::vector<double> rounded(DType dtype, std::vector<double> numbers) {
  std::vector<std::byte> bytes(numbers.size() * item_size(dtype));
  encode(dtype, numbers, bytes);
  decode(dtype, bytes, numbers);
  return numbers;
}

// Numbers with all bits of their type.
std::shared_ptr<const Counted> some(Shape shape, int seed, DType dtype = DType::float32) {
  std::vector<double> numbers(element_count(shape).value());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = std::sin(static_cast<double>(i * 31 + static_cast<std::size_t>(seed) * 7 + 1));
  }
  return std::make_shared<const Counted>(shape, rounded(dtype, std::move(numbers)), dtype);
}

std::vector<double> numbers_of(const Elements& elements, std::size_t piece = SIZE_MAX) {
  std::vector<double> numbers(elements.size());
  for (std::size_t done = 0; done < numbers.size();) {
    const auto part = std::span(numbers).subspan(done, std::min(piece, numbers.size() - done));
    elements.read(done, part);
    done += part.size();
  }
  return numbers;
}

// The product as sgemm makes it: element by element, in the order of the rank.
std::vector<float> product(const Counted& left, const Counted& right, float scaling) {
  const auto rows = static_cast<std::size_t>(left.shape()[0]);
  const auto rank = static_cast<std::size_t>(left.shape()[1]);
  const std::size_t columns = right.numbers().size() / rank;
  std::vector<float> result(rows * columns);
  for (std::size_t i = 0; i < result.size(); ++i) {
    float sum = 0;
    for (std::size_t k = 0; k < rank; ++k) {
      sum = std::fma(static_cast<float>(left.numbers()[i / columns * rank + k]),
                     static_cast<float>(right.numbers()[k * columns + i % columns]), sum);
    }
    result[i] = sum * scaling;
  }
  return result;
}

std::vector<double> sums(const Counted& base, const std::vector<float>& product,
                         std::size_t first = 0) {
  std::vector<double> numbers = base.numbers();
  for (std::size_t i = 0; i < product.size(); ++i) {
    numbers[first + i] = static_cast<float>(numbers[first + i]) + product[i];
  }
  return numbers;
}

TEST(LowRank, AddsTheProduct) {
  const auto base =
      std::make_shared<const Counted>(Shape{2, 3}, std::vector<double>{1, 2, 3, 4, 5, 6});
  const auto left = std::make_shared<const Counted>(Shape{2, 1}, std::vector<double>{1, 10});
  const auto right = std::make_shared<const Counted>(Shape{1, 3}, std::vector<double>{1, 2, 3});
  const ElementsPtr sum = add_low_rank(base, {{left, right, 0.5}});
  EXPECT_THAT(numbers_of(*sum), ElementsAre(1.5, 3, 4.5, 9, 15, 21));
  EXPECT_EQ(sum->shape(), (Shape{2, 3}));
  EXPECT_EQ(sum->dtype(), DType::float32);
  EXPECT_EQ(sum->sources().size(), 3u);
}

// Wide registers, and what is left beside them.
TEST(LowRank, HasTheBitsOfFusedMultiplyAdds) {
  for (const std::int64_t columns : {1, 7, 31, 32, 33, 100}) {
    for (const std::int64_t rank : {1, 3, 16}) {
      const auto base = some({5, columns}, 1);
      const auto left = some({5, rank}, 2);
      const auto right = some({rank, columns}, 3);
      const ElementsPtr sum = add_low_rank(base, {{left, right, 1.7}});
      const std::vector<double> expected = sums(*base, product(*left, *right, 1.7F));
      EXPECT_EQ(numbers_of(*sum), expected) << columns << " " << rank;
      EXPECT_EQ(numbers_of(*sum, 13), expected) << columns << " " << rank;
    }
  }
}

TEST(LowRank, IsNearTheExactProduct) {
  const auto base = some({40, 60}, 1);
  const auto left = some({40, 500}, 2);
  const auto right = some({500, 60}, 3);
  const std::vector<double> sum = numbers_of(*add_low_rank(base, {{left, right, 2}}));
  for (std::size_t i = 0; i < sum.size(); ++i) {
    double exact = 0;
    double magnitudes = std::abs(base->numbers()[i]);
    for (std::size_t k = 0; k < 500; ++k) {
      const double term = 2 * left->numbers()[i / 60 * 500 + k] * right->numbers()[k * 60 + i % 60];
      exact += term;
      magnitudes += std::abs(term);
    }
    EXPECT_NEAR(sum[i], base->numbers()[i] + exact, 1e-6 * magnitudes);
  }
}

TEST(LowRank, AddsToSomeRows) {
  const auto base = some({6, 4}, 1);
  const auto left = some({2, 3}, 2);
  const auto right = some({3, 4}, 3);
  const ElementsPtr sum = add_low_rank(base, {{left, right, 1, 4}, {left, right, -1, 1}});
  std::vector<double> expected = sums(*base, product(*left, *right, 1), 16);
  const std::vector<float> other = product(*left, *right, -1);
  for (std::size_t i = 0; i < other.size(); ++i) {
    expected[4 + i] = static_cast<float>(expected[4 + i]) + other[i];
  }
  EXPECT_EQ(numbers_of(*sum), expected);
  EXPECT_EQ(numbers_of(*sum, 5), expected);
  // From anywhere to anywhere.
  std::vector<double> part(9);
  sum->read(11, part);
  EXPECT_THAT(part, ElementsAreArray(expected.begin() + 11, expected.begin() + 20));
}

// Those of embeddings.
TEST(LowRank, TakesTransposedFactors) {
  const auto base = some({5, 3}, 1);
  const auto a = some({2, 5}, 2);
  const auto b = some({3, 2}, 3);
  std::vector<double> left(10);
  std::vector<double> right(6);
  for (std::size_t k = 0; k < 2; ++k) {
    for (std::size_t i = 0; i < 5; ++i) left[i * 2 + k] = a->numbers()[k * 5 + i];
    for (std::size_t j = 0; j < 3; ++j) right[k * 3 + j] = b->numbers()[j * 2 + k];
  }
  const ElementsPtr turned = add_low_rank(base, {{a, b, 0.5, 0, true}});
  const ElementsPtr plain =
      add_low_rank(base, {{std::make_shared<Counted>(Shape{5, 2}, left),
                           std::make_shared<Counted>(Shape{2, 3}, right), 0.5}});
  EXPECT_EQ(numbers_of(*turned), numbers_of(*plain));
}

TEST(LowRank, TakesConvolutions) {
  const auto base = some({4, 2, 3}, 1);
  const auto left = some({4, 2, 1}, 2);
  const auto right = some({2, 2, 3}, 3);
  EXPECT_EQ(numbers_of(*add_low_rank(base, {{left, right, 1}})),
            sums(*base, product(*left, *right, 1)));
}

TEST(LowRank, AddsVectors) {
  const auto base = some({4}, 1);
  const auto left = some({2}, 2);
  const ElementsPtr sum = add_low_rank(base, {{left, nullptr, 3, 1}});
  std::vector<double> expected = base->numbers();
  for (std::size_t i = 0; i < 2; ++i) {
    expected[1 + i] =
        static_cast<float>(expected[1 + i]) + static_cast<float>(left->numbers()[i]) * 3.0F;
  }
  EXPECT_EQ(numbers_of(*sum), expected);
}

TEST(LowRank, RoundsTheProductWhenAsked) {
  const auto base = some({8, 40}, 1, DType::float16);
  const auto left = some({8, 2}, 2);
  const auto right = some({2, 40}, 3);
  const std::vector<float> exact = product(*left, *right, 1);
  const std::vector<double> half = rounded(DType::float16, {exact.begin(), exact.end()});
  const ElementsPtr sum = add_low_rank(base, {{left, right, 1, 0, false, DType::float16}});
  EXPECT_EQ(numbers_of(*sum), sums(*base, {half.begin(), half.end()}));
  EXPECT_NE(numbers_of(*sum), sums(*base, exact));
}

TEST(LowRank, AddsToFloat64WithoutRounding) {
  const auto base = some({3, 5}, 1, DType::float64);
  const auto left = some({3, 2}, 2);
  const auto right = some({2, 5}, 3);
  std::vector<double> expected = base->numbers();
  const std::vector<float> delta = product(*left, *right, 1);
  for (std::size_t i = 0; i < delta.size(); ++i) expected[i] += delta[i];
  EXPECT_EQ(numbers_of(*add_low_rank(base, {{left, right, 1}})), expected);
}

TEST(LowRank, GivesRowsTheirMagnitude) {
  const auto base = some({6, 50}, 1);
  const auto left = some({2, 3}, 2);
  const auto right = some({3, 50}, 3);
  const auto magnitude = std::make_shared<Counted>(Shape{2}, std::vector<double>{2, 0.5});
  const ElementsPtr sum = add_low_rank(base, {{left, right, 1, 3, false, std::nullopt, magnitude}});
  const std::vector<double> numbers = numbers_of(*sum);
  EXPECT_EQ(numbers_of(*sum, 17), numbers);
  const std::vector<double> before = sums(*base, product(*left, *right, 1), 150);
  for (std::size_t row = 0; row < 6; ++row) {
    double squares = 0;
    double dot = 0;
    double old = 0;
    for (std::size_t i = row * 50; i < row * 50 + 50; ++i) {
      squares += numbers[i] * numbers[i];
      dot += numbers[i] * before[i];
      old += before[i] * before[i];
    }
    const bool is_scaled = row == 3 || row == 4;
    const double norm = is_scaled ? magnitude->numbers()[row - 3] : std::sqrt(old);
    EXPECT_NEAR(std::sqrt(squares), norm, 1e-6 * norm) << row;
    EXPECT_NEAR(dot, std::sqrt(squares * old), 1e-5) << row;  // the direction stays
  }
}

// The second needs the first as it is written in between, which is for the caller to say.
TEST(LowRank, AddsOneAfterTheOther) {
  const auto base = some({3, 4}, 1);
  const auto left = some({3, 2}, 2);
  const auto right = some({2, 4}, 3);
  const ElementsPtr once = add_low_rank(base, {{left, right, 1}});
  const ElementsPtr twice = add_low_rank(once, {{left, right, 2}});
  std::vector<double> expected = sums(*base, product(*left, *right, 1));
  const std::vector<float> more = product(*left, *right, 2);
  for (std::size_t i = 0; i < more.size(); ++i) {
    expected[i] = static_cast<float>(expected[i]) + more[i];
  }
  EXPECT_EQ(numbers_of(*twice), expected);
}

TEST(LowRank, HoldsFactorsUntilTheirEnd) {
  const auto base = some({4, 10}, 1);
  const auto left = some({2, 2}, 2);
  const auto right = some({2, 10}, 3);
  const ElementsPtr sum = add_low_rank(base, {{left, right, 1, 1}});
  numbers_of(*sum, 7);
  EXPECT_EQ(left->reads(), 1);
  EXPECT_EQ(right->reads(), 1);
  std::vector<double> row(10);
  sum->read(0, row);  // rows that it does not add to
  sum->read(30, row);
  EXPECT_EQ(left->reads(), 1);
  numbers_of(*sum, 7);
  EXPECT_EQ(left->reads(), 2);
}

TEST(LowRank, IsReadByManyThreads) {
  const auto base = some({50, 30}, 1);
  const auto magnitude = some({50}, 4);
  const ElementsPtr sum = add_low_rank(
      base, {{some({50, 4}, 2), some({4, 30}, 3), 1, 0, false, std::nullopt, magnitude}});
  const std::vector<double> expected = numbers_of(*sum);
  std::vector<std::vector<double>> found(4);
  {
    std::vector<std::jthread> threads;
    for (auto& numbers : found) {
      threads.emplace_back([&numbers, &sum] { numbers = numbers_of(*sum, 100); });
    }
  }
  EXPECT_THAT(found, Each(Eq(expected)));
}

TEST(LowRank, RefusesWhatDoesNotFit) {
  const auto base = some({4, 6}, 1);
  const auto refuse = [&](LowRank part, const std::string& message) {
    expect_error(ErrorKind::input, "tensor.shape", Eq(message),
                 [&] { add_low_rank(base, {std::move(part)}); });
  };
  refuse({some({4, 2}, 1), some({3, 6}, 1)},
         "the product of [4, 2] and [3, 6] does not fit the rows from 0 of [4, 6]");
  refuse({some({4, 2}, 1), some({2, 5}, 1)},
         "the product of [4, 2] and [2, 5] does not fit the rows from 0 of [4, 6]");
  refuse({some({4, 2}, 1), some({2, 6}, 1), 1, 1},
         "the product of [4, 2] and [2, 6] does not fit the rows from 1 of [4, 6]");
  refuse({some({4, 2}, 1), some({2, 6}, 1), 1, -1},
         "the product of [4, 2] and [2, 6] does not fit the rows from -1 of [4, 6]");
  refuse({some({4}, 1), nullptr},
         "the product of [4] and [1, 1] does not fit the rows from 0 of [4, 6]");
  refuse({some({4, 2}, 1), some({2, 6}, 1), 1, 0, false, std::nullopt, some({3}, 1)},
         "the magnitude of 4 rows has the shape [3]");
  expect_error(ErrorKind::input, "tensor.shape",
               Eq("a weight of the shape [] has nothing that a product could fit"),
               [&] { add_low_rank(some({}, 1), {}); });
}

}  // namespace
}  // namespace craftbundle
