// Byte order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

namespace craftbundle {

// Reverses each unit of `size` bytes.
inline void swap_bytes(std::span<std::byte> bytes, std::size_t size) {
  for (std::size_t i = 0; i + size <= bytes.size(); i += size) {
    const auto unit = bytes.subspan(i, size);
    std::reverse(unit.begin(), unit.end());
  }
}

}  // namespace craftbundle
