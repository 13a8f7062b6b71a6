// Touches everything a checkpoint offers, for tests that only ask that nothing worse than an Error
// happens.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/checkpoint/checkpoint.h"

namespace craftbundle::testing {

// Returns the number of tensors that could be read whole.
inline std::size_t exercise(const Checkpoint& checkpoint) {
  std::size_t tensors = 0;
  for_each_reachable(checkpoint.root(), [&](Object object) {
    (void)describe(object);
    if (!Checkpoint::is_tensor(object)) return;
    try {
      const Tensor tensor = checkpoint.tensor(object);
      constexpr std::uint64_t kMost = 1 << 20;
      const std::uint64_t unit = swap_size(tensor.storage.dtype);
      std::vector<std::byte> bytes(std::min(kMost, tensor.storage.bytes) / unit * unit);
      checkpoint.read(tensor.storage, tensor.storage.bytes - bytes.size(), bytes);
      ++tensors;
    } catch (const Error&) {
    }
  });
  return tensors;
}

}  // namespace craftbundle::testing
