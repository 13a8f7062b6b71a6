#include "craftbundle/detail/tensor/arithmetic.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "registers.h"

namespace craftbundle {
namespace {

using testing::Registers;
using testing::registers_text;

// Of any size: sums of them are rounded.
std::vector<double> some_numbers(std::size_t count) {
  std::vector<double> numbers(count);
  std::uint64_t state = 1;
  for (double& number : numbers) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    number = std::ldexp(static_cast<double>(state >> 32) - 0x1p31, static_cast<int>(state % 40));
  }
  return numbers;
}

std::vector<std::uint64_t> bits_of(const std::vector<double>& numbers) {
  std::vector<std::uint64_t> bits;
  for (const double number : numbers) bits.push_back(std::bit_cast<std::uint64_t>(number));
  return bits;
}

// Counts that are no multiple of a register, and none.
constexpr std::size_t kCounts[] = {0, 1, 3, 4, 7, 8, 33, 1'001};

void expect_each(const std::function<void(std::span<double>)>& apply,
                 const std::function<double(double)>& expected) {
  for (const bool wide : Registers::all()) {
    const Registers registers(wide);
    for (const std::size_t count : kCounts) {
      SCOPED_TRACE(registers_text(wide) + ", " + std::to_string(count));
      std::vector<double> numbers = some_numbers(count);
      std::vector<double> result = numbers;
      for (double& number : numbers) number = expected(number);
      apply(result);
      EXPECT_EQ(bits_of(result), bits_of(numbers));
    }
  }
}

TEST(Arithmetic, Adds) {
  expect_each(
      [](std::span<double> numbers) {
        add(numbers, std::vector<double>(numbers.begin(), numbers.end()));
        add(numbers, std::vector<double>(numbers.size(), 0.1));
      },
      [](double number) { return number + number + 0.1; });
}

TEST(Arithmetic, Multiplies) {
  expect_each([](std::span<double> numbers) { multiply(numbers, 1.0 / 3); },
              [](double number) { return number * (1.0 / 3); });
}

TEST(Arithmetic, DividesWithOneRounding) {
  for (const double divisor : {1.0, 2.0, 3.0, 7.0, 8.0, -0.5, 0.1, 1e300, 0.0, HUGE_VAL}) {
    SCOPED_TRACE(divisor);
    expect_each([&](std::span<double> numbers) { divide(numbers, divisor); },
                [&](double number) { return number / divisor; });
  }
  // The reciprocal of the smallest number is infinite.
  std::vector<double> least = {0x1p-1074, 0x1p-1000};
  divide(least, 0x1p-1074);
  EXPECT_EQ(least, (std::vector<double>{1, 0x1p74}));
}

TEST(Arithmetic, AddsSquaresInOrder) {
  for (const std::size_t rows : {1u, 2u, 3u, 4u, 5u, 9u}) {
    for (const std::size_t length : {0u, 1u, 7u, 100u}) {
      SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(length));
      const std::vector<double> numbers = some_numbers(rows * length);
      std::vector<double> expected(rows, 0.5);
      for (std::size_t i = 0; i < numbers.size(); ++i) {
        expected[i / length] += numbers[i] * numbers[i];
      }
      std::vector<double> sums(rows, 0.5);
      add_squares(sums, numbers);
      EXPECT_EQ(bits_of(sums), bits_of(expected));
    }
  }
  add_squares({}, {});
}

}  // namespace
}  // namespace craftbundle
