#include "craftbundle/detail/tensor/layout.h"

#include <limits>

#include "craftbundle/detail/base/checked.h"

namespace craftbundle {

std::optional<std::uint64_t> element_count(const std::vector<std::int64_t>& shape) {
  // A size of 0 makes the product 0 whatever the others are, but negative sizes stay wrong.
  std::uint64_t count = 1;
  bool empty = false;
  bool overflow = false;
  for (const std::int64_t size : shape) {
    if (size < 0) return std::nullopt;
    if (size == 0) empty = true;
    const auto product = checked_mul(count, static_cast<std::uint64_t>(size));
    if (product) {
      count = *product;
    } else {
      overflow = true;
    }
  }
  if (empty) return 0;
  if (overflow || count > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return std::nullopt;
  }
  return count;
}

std::optional<ElementRange> used_range(const TensorLayout& layout) {
  if (layout.offset < 0 || layout.shape.size() != layout.strides.size()) return std::nullopt;
  const auto begin = static_cast<std::uint64_t>(layout.offset);
  std::uint64_t last = begin;
  bool empty = false;
  bool overflow = false;
  for (std::size_t i = 0; i < layout.shape.size(); ++i) {
    if (layout.shape[i] < 0 || layout.strides[i] < 0) return std::nullopt;
    if (layout.shape[i] == 0) {
      empty = true;
      continue;
    }
    const auto reach = checked_mul(static_cast<std::uint64_t>(layout.shape[i] - 1),
                                   static_cast<std::uint64_t>(layout.strides[i]));
    const auto sum = reach ? checked_add(last, *reach) : std::nullopt;
    if (sum) {
      last = *sum;
    } else {
      overflow = true;
    }
  }
  if (empty) return ElementRange{begin, begin};
  const auto end = checked_add(last, 1);
  if (overflow || !end) return std::nullopt;
  return ElementRange{begin, *end};
}

std::vector<std::int64_t> contiguous_strides(const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) {
    // As PyTorch: a size of 0 counts as 1 here.
    strides[i - 1] = strides[i] * (shape[i] > 0 ? shape[i] : 1);
  }
  return strides;
}

bool is_contiguous(const TensorLayout& layout) {
  std::int64_t expected = 1;
  for (std::size_t i = layout.shape.size(); i-- > 0;) {
    if (layout.shape[i] == 0) return true;
    if (layout.shape[i] == 1) continue;
    if (layout.strides[i] != expected) return false;
    expected *= layout.shape[i];
  }
  return true;
}

}  // namespace craftbundle
