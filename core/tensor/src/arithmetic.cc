#include "craftbundle/detail/tensor/arithmetic.h"

#include <cmath>

#include "wide.h"

namespace craftbundle {
namespace {

struct Add {
  [[gnu::always_inline]] static void run(double* __restrict sums, const double* __restrict numbers,
                                         std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) sums[i] += numbers[i];
  }
};

struct Multiply {
  [[gnu::always_inline]] static void run(double* numbers, double factor, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) numbers[i] *= factor;
  }
};

struct Divide {
  [[gnu::always_inline]] static void run(double* numbers, double divisor, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) numbers[i] /= divisor;
  }
};

// Each sum waits for the one before it: several rows at a time keep the processor busy.
template <std::size_t kRows>
void add_squares_of(double* sums, const double* numbers, std::size_t length) {
  double sum[kRows];
  for (std::size_t row = 0; row < kRows; ++row) sum[row] = sums[row];
  for (std::size_t i = 0; i < length; ++i) {
    for (std::size_t row = 0; row < kRows; ++row) {
      const double number = numbers[row * length + i];
      sum[row] += number * number;
    }
  }
  for (std::size_t row = 0; row < kRows; ++row) sums[row] = sum[row];
}

}  // namespace

void add(std::span<double> sums, std::span<const double> numbers) {
  run_loop<Add>(sums.data(), numbers.data(), sums.size());
}

void multiply(std::span<double> numbers, double factor) {
  run_loop<Multiply>(numbers.data(), factor, numbers.size());
}

void divide(std::span<double> numbers, double divisor) {
  // The reciprocal of a power of two is exact, and multiplying is several times as fast.
  int exponent = 0;
  const double reciprocal = 1 / divisor;
  if (std::frexp(divisor, &exponent) == 0.5 && std::isfinite(reciprocal)) {
    return multiply(numbers, reciprocal);
  }
  run_loop<Divide>(numbers.data(), divisor, numbers.size());
}

void add_squares(std::span<double> sums, std::span<const double> numbers) {
  constexpr std::size_t kRows = 4;
  const std::size_t length = sums.empty() ? 0 : numbers.size() / sums.size();
  std::size_t row = 0;
  for (; row + kRows <= sums.size(); row += kRows) {
    add_squares_of<kRows>(&sums[row], numbers.data() + row * length, length);
  }
  for (; row < sums.size(); ++row) {
    add_squares_of<1>(&sums[row], numbers.data() + row * length, length);
  }
}

}  // namespace craftbundle
