#include "craftbundle/detail/io/crc32.h"

#include <libdeflate.h>

namespace craftbundle {

std::uint32_t crc32(std::uint32_t crc, std::span<const std::byte> bytes) {
  // libdeflate takes a null buffer as "give me the initial value".
  if (bytes.empty()) return crc;
  return libdeflate_crc32(crc, bytes.data(), bytes.size());
}

}  // namespace craftbundle
