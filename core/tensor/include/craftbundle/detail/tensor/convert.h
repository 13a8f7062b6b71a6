// Elements of tensors as numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/tensor/dtype.h"

namespace CRAFTBUNDLE_API craftbundle {

// Whether decode() and encode() know the type: float64, float32, float16, bfloat16, the integers of
// up to 64 bits, and bool.
bool is_convertible(DType dtype);

// Elements in the machine's byte order as numbers. Exact but for integers beyond 2^53. REQUIRES:
// is_convertible(dtype), bytes.size() == numbers.size() * item_size(dtype).
void decode(DType dtype, std::span<const std::byte> bytes, std::span<double> numbers);

// The reverse, rounded as PyTorch's Tensor.to(dtype) rounds from float32: to the nearest, ties to
// even; what is too large becomes infinite. Integers are cut off towards zero and at their ends;
// what is no number becomes 0. REQUIRES: as decode().
void encode(DType dtype, std::span<const double> numbers, std::span<std::byte> bytes);

// What encode() makes of what decode() reads. REQUIRES: is_convertible(from) and (to), as many
// elements in `out` as in `bytes`.
void recode(DType from, std::span<const std::byte> bytes, DType to, std::span<std::byte> out);

// What is odd among elements.
struct ValueCounts {
  std::uint64_t elements = 0;
  std::uint64_t not_a_number = 0;
  std::uint64_t infinite = 0;
  std::uint64_t zero = 0;
};

// Adds the elements of `bytes` to `counts`, at memory speed for floating types. REQUIRES:
// is_convertible(dtype), bytes.size() a multiple of item_size(dtype).
void count_values(DType dtype, std::span<const std::byte> bytes, ValueCounts& counts);

}  // namespace craftbundle
