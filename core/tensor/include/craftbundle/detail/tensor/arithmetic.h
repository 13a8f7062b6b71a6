// Arithmetic over many numbers, in vector registers. The order of operations is part of the
// contract: it decides the bits of a result.
#pragma once

#include <cstddef>
#include <span>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// sums[i] += numbers[i]. REQUIRES: as many of both.
void add(std::span<double> sums, std::span<const double> numbers);

// numbers[i] *= factor
void multiply(std::span<double> numbers, double factor);

// numbers[i] /= divisor
void divide(std::span<double> numbers, double divisor);

// Adds the square of each number to the sum of its row, one after the other. REQUIRES:
// numbers.size() is a multiple of sums.size(), the number of rows.
void add_squares(std::span<double> sums, std::span<const double> numbers);

}  // namespace craftbundle
