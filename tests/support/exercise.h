// Touches everything a checkpoint offers, for tests that only ask that nothing worse than an Error
// happens.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_set>
#include <vector>

#include "craftbundle/base/error.h"
#include "craftbundle/checkpoint/checkpoint.h"

namespace craftbundle::testing {

// Visits every object reachable from `root` once and calls `visit` with it.
template <typename Visit>
void for_each_object(Object root, Visit&& visit) {
  std::unordered_set<std::uint32_t> seen;
  std::vector<Object> pending = {root};
  while (!pending.empty()) {
    const Object object = pending.back();
    pending.pop_back();
    if (!seen.insert(object.id()).second) continue;
    visit(object);
    switch (object.kind()) {
      case Kind::list:
      case Kind::tuple:
      case Kind::set:
        for (std::size_t i = 0; i < object.size(); ++i) pending.push_back(object[i]);
        break;
      case Kind::dict:
        for (const DictView::Entry entry : object.entries()) {
          pending.push_back(entry.key);
          pending.push_back(entry.value);
        }
        break;
      case Kind::call:
        pending.push_back(object.callee());
        pending.push_back(object.arguments());
        for (const Object item : object.appended()) pending.push_back(item);
        for (const auto& [key, value] : object.assigned()) {
          pending.push_back(key);
          pending.push_back(value);
        }
        break;
      case Kind::persistent:
        pending.push_back(object.persistent_id());
        break;
      default:
        break;
    }
    if (object.is(Kind::call) || object.is(Kind::dict)) {
      if (const std::optional<Object> state = object.state()) pending.push_back(*state);
    }
  }
}

// Returns the number of tensors that could be read whole.
inline std::size_t exercise(const Checkpoint& checkpoint) {
  std::size_t tensors = 0;
  for_each_object(checkpoint.root(), [&](Object object) {
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
