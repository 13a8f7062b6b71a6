// Conversions of many elements at once give the bits that the formulas give for each.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "craftbundle/detail/tensor/convert.h"
#include "registers.h"

namespace craftbundle {
namespace {

using testing::Registers;
using testing::registers_text;

// How PyTorch rounds, one number at a time (c10/util/Half.h, c10/util/BFloat16.h).

std::uint16_t half_of(float number) {
  const auto all = std::bit_cast<std::uint32_t>(number);
  const std::uint32_t sign = (all >> 16) & 0x8000u;
  const std::uint32_t size = all & 0x7FFFFFFFu;
  if (size > 0x7F800000u) return static_cast<std::uint16_t>(sign | 0x7E00u);
  const float magnitude = std::bit_cast<float>(size);
  if (magnitude >= 65520) return static_cast<std::uint16_t>(sign | 0x7C00u);
  if (magnitude < 0x1p-14f) {
    return static_cast<std::uint16_t>(
        sign | static_cast<std::uint32_t>(std::nearbyint(std::ldexp(magnitude, 24))));
  }
  int exponent = 0;
  const float fraction = std::frexp(magnitude, &exponent);  // [0.5, 1)
  const auto rounded = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(fraction, 11)));
  // A fraction that is rounded up to 1 goes on to the next exponent.
  return static_cast<std::uint16_t>(sign |
                                    ((static_cast<std::uint32_t>(exponent + 13) << 10) + rounded));
}

std::uint16_t brain_of(float number) {
  if (std::isnan(number)) return 0x7FC0;
  const auto all = std::bit_cast<std::uint32_t>(number);
  return static_cast<std::uint16_t>((all + 0x7FFFu + ((all >> 16) & 1u)) >> 16);
}

double number_of_half(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1F;
  const double fraction = bits & 0x3FF;
  double size = std::ldexp(1024 + fraction, exponent - 25);
  if (exponent == 0) size = std::ldexp(fraction, -24);
  if (exponent == 0x1F) {
    size = fraction == 0 ? HUGE_VAL : std::numeric_limits<double>::quiet_NaN();
  }
  return (bits & 0x8000) != 0 ? -size : size;
}

// Every sign, exponent and upper part of a fraction, around every place where rounding turns.
std::vector<float> floats_of_every_kind() {
  std::vector<float> numbers;
  std::uint32_t state = 1;
  for (std::uint32_t upper = 0; upper < 0x10000; ++upper) {
    for (const std::uint32_t lower : {0x0000u, 0x0001u, 0x0FFFu, 0x1000u, 0x1001u, 0x2FFFu, 0x3000u,
                                      0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu, state >> 16}) {
      numbers.push_back(std::bit_cast<float>(upper << 16 | lower));
    }
    state = state * 1664525u + 1013904223u;
  }
  return numbers;
}

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& elements) {
  return std::as_bytes(std::span(elements));
}

std::vector<std::uint16_t> recoded(DType from, std::span<const std::byte> bytes, DType to) {
  std::vector<std::uint16_t> elements(bytes.size() / item_size(from));
  recode(from, bytes, to, std::as_writable_bytes(std::span(elements)));
  return elements;
}

class Vectors : public ::testing::TestWithParam<bool> {
 protected:
  Registers registers_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(All, Vectors, ::testing::ValuesIn(Registers::all()),
                         [](const ::testing::TestParamInfo<bool>& wide) {
                           return wide.param ? "Wide" : "Baseline";
                         });

TEST_P(Vectors, RoundFloatsOfEveryKind) {
  const std::vector<float> numbers = floats_of_every_kind();
  const std::vector<double> wide(numbers.begin(), numbers.end());
  const auto check = [&](DType dtype, std::uint16_t (*expected)(float)) {
    SCOPED_TRACE(std::string(name(dtype)));
    const std::vector<std::uint16_t> direct = recoded(DType::float32, bytes_of(numbers), dtype);
    const std::vector<std::uint16_t> by_numbers = recoded(DType::float64, bytes_of(wide), dtype);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto bits = std::bit_cast<std::uint32_t>(numbers[i]);
      ASSERT_EQ(direct[i], expected(numbers[i])) << bits;
      ASSERT_EQ(by_numbers[i], expected(numbers[i])) << bits;
    }
  };
  check(DType::float16, half_of);
  check(DType::bfloat16, brain_of);
}

TEST_P(Vectors, ReadEveryElementOfSixteenBits) {
  std::vector<std::uint16_t> all(1 << 16);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  const auto check = [&](DType dtype, double (*expected)(std::uint16_t)) {
    SCOPED_TRACE(std::string(name(dtype)));
    std::vector<double> numbers(all.size());
    decode(dtype, bytes_of(all), numbers);
    std::vector<float> floats(all.size());
    recode(dtype, bytes_of(all), DType::float32, std::as_writable_bytes(std::span(floats)));
    for (std::size_t i = 0; i < all.size(); ++i) {
      const double number = expected(all[i]);
      if (std::isnan(number)) {
        ASSERT_TRUE(std::isnan(numbers[i]) && std::isnan(floats[i])) << i;
        continue;
      }
      ASSERT_EQ(numbers[i], number) << i;
      ASSERT_EQ(static_cast<double>(floats[i]), number) << i;
      ASSERT_EQ(std::signbit(numbers[i]), i >= 0x8000) << i;
    }
  };
  check(DType::float16, number_of_half);
  check(DType::bfloat16, [](std::uint16_t bits) {
    return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16));
  });
}

// What does not fill a register, at any address.
TEST_P(Vectors, TakeAnyCountFromAnyPlace) {
  std::vector<float> numbers;
  for (int i = 0; i < 80; ++i) numbers.push_back(static_cast<float>(i - 40) / 3);
  for (const DType dtype : {DType::float16, DType::bfloat16}) {
    for (std::size_t count = 0; count <= 70; ++count) {
      const std::size_t first = count % 9;
      std::vector<std::byte> in(1 + count * 4);
      std::memcpy(in.data() + 1, numbers.data() + first, count * 4);
      std::vector<std::byte> out(3 + count * 2 + 1, std::byte{0x55});
      recode(DType::float32, std::span(in).subspan(1), dtype, std::span(out).subspan(3, count * 2));
      for (std::size_t i = 0; i < count; ++i) {
        std::uint16_t element = 0;
        std::memcpy(&element, out.data() + 3 + 2 * i, 2);
        const float number = numbers[first + i];
        ASSERT_EQ(element, dtype == DType::float16 ? half_of(number) : brain_of(number));
      }
      ASSERT_EQ(out.front(), std::byte{0x55});
      ASSERT_EQ(out.back(), std::byte{0x55});
    }
  }
}

TEST_P(Vectors, RecodeAsNumbersDo) {
  std::vector<double> numbers;
  for (int i = -2'000; i < 2'000; ++i) numbers.push_back(i * 0.37);
  for (const DType from : {DType::float64, DType::float32, DType::bfloat16, DType::int32}) {
    std::vector<std::byte> bytes(numbers.size() * item_size(from));
    encode(from, numbers, bytes);
    std::vector<double> there(numbers.size());
    decode(from, bytes, there);
    for (const DType to : {DType::float64, DType::float32, DType::float16, DType::int8}) {
      SCOPED_TRACE(std::string(name(from)) + " to " + std::string(name(to)));
      std::vector<std::byte> expected(numbers.size() * item_size(to));
      encode(to, there, expected);
      std::vector<std::byte> found(expected.size());
      recode(from, bytes, to, found);
      EXPECT_TRUE(found == expected);
    }
  }
}

// More of one kind than an element of 16 bits can count.
TEST_P(Vectors, CountManyElements) {
  std::vector<std::uint16_t> elements(200'001, 0x7C00);
  elements.resize(300'003, 0x8000);
  elements.resize(400'002, 0x7C01);
  elements.push_back(0x7BFF);
  ValueCounts counts;
  count_values(DType::float16, bytes_of(elements), counts);
  EXPECT_EQ(counts.elements, 400'003u);
  EXPECT_EQ(counts.infinite, 200'001u);
  EXPECT_EQ(counts.zero, 100'002u);
  EXPECT_EQ(counts.not_a_number, 99'999u);
}

}  // namespace
}  // namespace craftbundle
