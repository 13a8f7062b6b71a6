// Where the elements of a tensor lie in its storage. No data here.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// Shape, strides and offset as PyTorch means them, all counted in elements. A scalar has no
// dimensions. Strides are never negative.
struct TensorLayout {
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
  std::int64_t offset = 0;

  friend bool operator==(const TensorLayout&, const TensorLayout&) = default;
};

// A half-open range of elements of a storage.
struct ElementRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;

  std::uint64_t size() const { return end - begin; }
  friend bool operator==(const ElementRange&, const ElementRange&) = default;
};

// Product of the shape; 1 for a scalar. nullopt when it does not fit 63 bits or a size is negative.
std::optional<std::uint64_t> element_count(const std::vector<std::int64_t>& shape);

// The smallest range that holds every element: [offset, offset + sum((shape_i - 1) * stride_i) +
// 1), empty at `offset` when a size is 0. nullopt when anything is negative, counts of shape and
// strides differ, or the arithmetic overflows.
std::optional<ElementRange> used_range(const TensorLayout& layout);

// Strides of a C-contiguous (row-major) tensor of this shape. REQUIRES: element_count(shape).
std::vector<std::int64_t> contiguous_strides(const std::vector<std::int64_t>& shape);

// Whether elements lie in row-major order without gaps (dimensions of size 1 have any stride).
bool is_contiguous(const TensorLayout& layout);

}  // namespace craftbundle
