// The places of the elements of a tensor, in row-major order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "craftbundle/detail/tensor/layout.h"

namespace craftbundle {

// Places are counted in elements from the start of the range that the tensor uses.
class Walk {
 public:
  // Begins at the element of this number. REQUIRES: there is one; `layout` outlives the object.
  Walk(const TensorLayout& layout, std::uint64_t number) : layout_(layout), index_(layout.shape) {
    for (std::size_t i = index_.size(); i-- > 0;) {
      const auto length = static_cast<std::uint64_t>(layout_.shape[i]);
      index_[i] = static_cast<std::int64_t>(number % length);
      place_ += index_[i] * layout_.strides[i];
      number /= length;
    }
  }

  std::size_t place() const { return static_cast<std::size_t>(place_); }

  void next() {
    for (std::size_t i = index_.size(); i-- > 0;) {
      place_ += layout_.strides[i];
      if (++index_[i] < layout_.shape[i]) return;
      place_ -= layout_.shape[i] * layout_.strides[i];
      index_[i] = 0;
    }
  }

 private:
  const TensorLayout& layout_;
  std::vector<std::int64_t> index_;
  std::int64_t place_ = 0;
};

}  // namespace craftbundle
