#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "fuzz_target.h"
#include "support/exercise.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace craftbundle;
  const testing::MemoryFile memory(testing::without_crcs({data, size}));
  try {
    const auto checkpoint = Checkpoint::open(memory.path());
    for_each_reachable(checkpoint->root(), [&](Object object) {
      if (!Checkpoint::is_tensor(object)) return;
      try {
        const Tensor tensor = checkpoint->tensor(object);
        const auto used = used_range(tensor.layout);
        if (!tensor.storage.deflated &&
            (tensor.storage.file_offset > size ||
             tensor.storage.bytes > size - tensor.storage.file_offset)) {
          __builtin_trap();
        }
        if (!used || used->end > tensor.storage.bytes / item_size(tensor.dtype)) __builtin_trap();
      } catch (const Error&) {
      }
    });
    testing::exercise(*checkpoint);
  } catch (const Error&) {
  }
  return 0;
}
