#include <string_view>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "fuzz_target.h"
#include "support/exercise.h"

namespace {

// A CRC-32 of 0 means that the writer computed none: changes of the data get past it.
void clear_crcs(std::vector<std::uint8_t>& file) {
  struct Place {
    std::string_view signature;
    std::size_t crc;
  };
  constexpr Place kPlaces[] = {{"PK\1\2", 16}, {"PK\3\4", 14}, {"PK\7\x08", 4}};
  for (std::size_t i = 0; i + 4 <= file.size(); ++i) {
    const std::string_view here(reinterpret_cast<const char*>(file.data()) + i, 4);
    for (const Place& place : kPlaces) {
      if (here != place.signature) continue;
      for (std::size_t at = i + place.crc; at < i + place.crc + 4 && at < file.size(); ++at)
        file[at] = 0;
    }
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace craftbundle;
  std::vector<std::uint8_t> bytes(data, data + size);
  clear_crcs(bytes);
  const testing::MemoryFile memory(bytes);
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
