#include "craftbundle/detail/tensor/convert.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "support/error_matchers.h"

namespace craftbundle {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNotANumber = std::numeric_limits<double>::quiet_NaN();

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& elements) {
  return std::as_bytes(std::span(elements));
}

template <typename T>
std::vector<double> decoded(DType dtype, const std::vector<T>& elements) {
  std::vector<double> numbers(elements.size() * sizeof(T) / item_size(dtype));
  decode(dtype, bytes_of(elements), numbers);
  return numbers;
}

template <typename T>
std::vector<T> encoded(DType dtype, const std::vector<double>& numbers) {
  std::vector<T> elements(numbers.size());
  encode(dtype, numbers, std::as_writable_bytes(std::span(elements)));
  return elements;
}

std::uint16_t encoded16(DType dtype, double number) {
  return encoded<std::uint16_t>(dtype, {number}).front();
}

// A type of 16 bits, by the formula of IEEE 754.
struct Small {
  DType dtype;
  int fraction_bits;
  int bias;
  std::uint16_t not_a_number;  // what PyTorch writes
  bool keeps_sign;             // of what is not a number

  std::uint32_t exponent_end() const { return (1u << (15 - fraction_bits)) - 1; }
  std::uint16_t infinity() const {
    return static_cast<std::uint16_t>(exponent_end() << fraction_bits);
  }
  double magnitude(std::uint32_t bits) const {
    const std::uint32_t exponent = bits >> fraction_bits;
    const std::uint32_t fraction = bits & ((1u << fraction_bits) - 1);
    if (exponent == 0) return std::ldexp(fraction, 1 - bias - fraction_bits);
    return std::ldexp((1u << fraction_bits) + fraction,
                      static_cast<int>(exponent) - bias - fraction_bits);
  }
};

const Small kHalf = {DType::float16, 10, 15, 0x7E00, true};
const Small kBrain = {DType::bfloat16, 7, 127, 0x7FC0, false};

class SmallFloat : public ::testing::TestWithParam<Small> {};

TEST_P(SmallFloat, EveryBitPatternIsReadAndWrittenBack) {
  const Small& type = GetParam();
  std::vector<std::uint16_t> all(1 << 16);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  const std::vector<double> numbers = decoded(type.dtype, all);
  const std::vector<std::uint16_t> again = encoded<std::uint16_t>(type.dtype, numbers);
  for (std::uint32_t bits = 0; bits < all.size(); ++bits) {
    const std::uint32_t magnitude = bits & 0x7FFFu;
    ASSERT_EQ(std::signbit(numbers[bits]), bits >= 0x8000u) << bits;
    if (magnitude > type.infinity()) {
      ASSERT_TRUE(std::isnan(numbers[bits])) << bits;
      const std::uint32_t sign = type.keeps_sign ? bits & 0x8000u : 0;
      ASSERT_EQ(again[bits], sign | type.not_a_number) << bits;
      continue;
    }
    const double expected = magnitude == type.infinity() ? kInfinity : type.magnitude(magnitude);
    ASSERT_EQ(std::abs(numbers[bits]), expected) << bits;
    ASSERT_EQ(again[bits], bits);
  }
}

// Between each number and the next one, which for the largest is the one that would follow.
TEST_P(SmallFloat, RoundsToTheNearestAndTiesToEven) {
  const Small& type = GetParam();
  for (std::uint32_t bits = 0; bits < type.infinity(); ++bits) {
    const double middle = (type.magnitude(bits) + type.magnitude(bits + 1)) / 2;
    const auto single = static_cast<float>(middle);
    ASSERT_EQ(single, middle);
    const std::uint32_t even = (bits & 1u) == 0 ? bits : bits + 1;
    ASSERT_EQ(encoded16(type.dtype, middle), even);
    ASSERT_EQ(encoded16(type.dtype, -middle), even | 0x8000u);
    ASSERT_EQ(encoded16(type.dtype, std::nextafter(single, 0.0f)), bits);
    ASSERT_EQ(encoded16(type.dtype, std::nextafter(single, INFINITY)), bits + 1);
  }
}

TEST_P(SmallFloat, WhatIsTooLargeIsInfinite) {
  const Small& type = GetParam();
  const double beyond = type.magnitude(type.infinity());
  for (const double number : {beyond, 2 * beyond, 1e300, kInfinity}) {
    EXPECT_EQ(encoded16(type.dtype, number), type.infinity()) << number;
    EXPECT_EQ(encoded16(type.dtype, -number), type.infinity() | 0x8000u) << number;
  }
}

TEST_P(SmallFloat, WhatIsTooSmallIsZeroWithItsSign) {
  const Small& type = GetParam();
  const double least = type.magnitude(1);
  for (const double number : {least / 2, least / 4, 1e-300}) {
    EXPECT_EQ(encoded16(type.dtype, number), 0) << number;
    EXPECT_EQ(encoded16(type.dtype, -number), 0x8000) << number;
  }
  EXPECT_EQ(encoded16(type.dtype, 0.75 * least), 1);
}

std::string name_of(const ::testing::TestParamInfo<Small>& info) {
  return std::string(name(info.param.dtype));
}

INSTANTIATE_TEST_SUITE_P(All, SmallFloat, ::testing::Values(kHalf, kBrain), name_of);

// As Tensor.to() in PyTorch does with float32.
TEST(Convert, RoundsSomeKnownNumbers) {
  EXPECT_EQ(encoded16(DType::float16, 1.0), 0x3C00);
  EXPECT_EQ(encoded16(DType::float16, -2.0), 0xC000);
  EXPECT_EQ(encoded16(DType::float16, 1.0 / 3), 0x3555);
  EXPECT_EQ(encoded16(DType::float16, 65504), 0x7BFF);
  EXPECT_EQ(encoded16(DType::float16, 65519), 0x7BFF);
  EXPECT_EQ(encoded16(DType::float16, 65520), 0x7C00);
  EXPECT_EQ(encoded16(DType::bfloat16, 1.0 / 3), 0x3EAB);
  EXPECT_EQ(encoded16(DType::bfloat16, 65520), 0x4780);
}

TEST(Convert, FloatsAndDoublesKeepTheirBits) {
  const std::vector<float> floats = {0.0f, -0.0f, 1.5f, -3.25e-30f, 1e-45f, 3.4e38f, INFINITY};
  EXPECT_EQ(encoded<float>(DType::float32, decoded(DType::float32, floats)), floats);
  EXPECT_TRUE(std::signbit(encoded<float>(DType::float32, {-0.0}).front()));
  EXPECT_TRUE(std::isnan(encoded<float>(DType::float32, {kNotANumber}).front()));
  EXPECT_EQ(encoded<float>(DType::float32, {1e39}).front(), INFINITY);
  const std::vector<double> doubles = {0.1, -1e308, 5e-324, kInfinity};
  EXPECT_EQ(encoded<double>(DType::float64, doubles), doubles);
  EXPECT_EQ(decoded(DType::float64, doubles), doubles);
}

template <typename T>
void expect_integers(DType dtype) {
  using Limits = std::numeric_limits<T>;
  SCOPED_TRACE(std::string(name(dtype)));
  const std::vector<double> numbers = {0,         1.9,   100.5,      -0.9,       1e30,
                                       kInfinity, -1e30, -kInfinity, kNotANumber};
  EXPECT_EQ(encoded<T>(dtype, numbers), (std::vector<T>{0, 1, 100, 0, Limits::max(), Limits::max(),
                                                        Limits::min(), Limits::min(), 0}));
  if (Limits::is_signed) {
    EXPECT_EQ(encoded<T>(dtype, {-1.9, -100.5}),
              (std::vector<T>{static_cast<T>(-1), static_cast<T>(-100)}));
  }
  const std::vector<T> ends = {Limits::min(), 0, 7, static_cast<T>(Limits::max() / 2),
                               Limits::max()};
  const std::vector<double> there = decoded(dtype, ends);
  for (std::size_t i = 0; i < ends.size(); ++i) {
    EXPECT_EQ(there[i], static_cast<double>(ends[i]));
  }
  // The ends are exact in a double but for the largest of 64 bits, which is cut off again.
  EXPECT_EQ(encoded<T>(dtype, {there.front(), there.back()}),
            (std::vector<T>{Limits::min(), Limits::max()}));
}

TEST(Convert, IntegersAreCutOffTowardsZeroAndAtTheirEnds) {
  expect_integers<std::int8_t>(DType::int8);
  expect_integers<std::int16_t>(DType::int16);
  expect_integers<std::int32_t>(DType::int32);
  expect_integers<std::int64_t>(DType::int64);
  expect_integers<std::uint8_t>(DType::uint8);
  expect_integers<std::uint16_t>(DType::uint16);
  expect_integers<std::uint32_t>(DType::uint32);
  expect_integers<std::uint64_t>(DType::uint64);
}

TEST(Convert, WhatIsNotZeroIsTrue) {
  EXPECT_EQ(encoded<std::uint8_t>(DType::boolean, {0, -0.0, 1, 0.25, -3, 256, kNotANumber}),
            (std::vector<std::uint8_t>{0, 0, 1, 1, 1, 1, 1}));
  EXPECT_EQ(decoded(DType::boolean, std::vector<std::uint8_t>{0, 1, 2, 255}),
            (std::vector<double>{0, 1, 1, 1}));
}

TEST(Convert, KnowsItsTypes) {
  for (const DType dtype : {DType::complex128, DType::complex64, DType::complex32,
                            DType::float8_e5m2, DType::float8_e4m3fn, DType::float8_e5m2fnuz,
                            DType::float8_e4m3fnuz, DType::float8_e8m0fnu}) {
    EXPECT_FALSE(is_convertible(dtype));
    std::vector<std::byte> bytes(item_size(dtype));
    std::vector<double> number(1);
    const auto message =
        ::testing::Eq("elements of type " + std::string(name(dtype)) + " are no numbers here");
    testing::expect_error(ErrorKind::internal, "tensor.convert", message,
                          [&] { decode(dtype, bytes, number); });
    testing::expect_error(ErrorKind::internal, "tensor.convert", message,
                          [&] { encode(dtype, number, bytes); });
  }
  for (const DType dtype : {DType::float64, DType::bfloat16, DType::int64, DType::uint16,
                            DType::uint64, DType::boolean}) {
    EXPECT_TRUE(is_convertible(dtype));
  }
}

TEST(Convert, TakesBytesOfAnyAlignment) {
  std::vector<std::byte> bytes(17);
  const double number = 0.1;
  encode(DType::float64, {&number, 1}, std::span(bytes).subspan(3, 8));
  double again = 0;
  decode(DType::float64, std::span(bytes).subspan(3, 8), {&again, 1});
  EXPECT_EQ(again, number);
}

ValueCounts counted(DType dtype, const std::vector<double>& numbers) {
  std::vector<std::byte> bytes(numbers.size() * item_size(dtype));
  encode(dtype, numbers, bytes);
  ValueCounts counts;
  count_values(dtype, bytes, counts);
  return counts;
}

TEST(CountValues, FindsWhatIsOdd) {
  const std::vector<double> numbers = {0,         -0.0,       1,         kNotANumber, -kNotANumber,
                                       kInfinity, -kInfinity, kInfinity, -2,          1e-40};
  for (const DType dtype : {DType::float64, DType::float32, DType::float16, DType::bfloat16}) {
    SCOPED_TRACE(std::string(name(dtype)));
    const ValueCounts counts = counted(dtype, numbers);
    EXPECT_EQ(counts.elements, numbers.size());
    EXPECT_EQ(counts.not_a_number, 2u);
    EXPECT_EQ(counts.infinite, 3u);
    // float16 has no 1e-40.
    EXPECT_EQ(counts.zero, dtype == DType::float16 ? 3u : 2u);
  }
}

TEST(CountValues, IntegersAreZeroOrNot) {
  for (const DType dtype : {DType::int64, DType::int32, DType::int16, DType::int8, DType::uint8,
                            DType::uint16, DType::uint32, DType::uint64, DType::boolean}) {
    SCOPED_TRACE(std::string(name(dtype)));
    const ValueCounts counts = counted(dtype, {0, 1, 2, 0, 0});
    EXPECT_EQ(counts.elements, 5u);
    EXPECT_EQ(counts.not_a_number, 0u);
    EXPECT_EQ(counts.infinite, 0u);
    EXPECT_EQ(counts.zero, 3u);
  }
}

TEST(CountValues, AddsUp) {
  ValueCounts counts;
  const std::vector<float> piece = {0, NAN, 1};
  count_values(DType::float32, bytes_of(piece), counts);
  count_values(DType::float32, bytes_of(piece), counts);
  count_values(DType::float32, {}, counts);
  EXPECT_EQ(counts.elements, 6u);
  EXPECT_EQ(counts.not_a_number, 2u);
  EXPECT_EQ(counts.zero, 2u);
}

}  // namespace
}  // namespace craftbundle
