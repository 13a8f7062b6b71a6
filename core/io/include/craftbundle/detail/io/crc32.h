// CRC-32 as in zip (polynomial 0xEDB88320), at memory speed (libdeflate).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// CRC-32 of the bytes so far (`crc`, 0 at the start) followed by `bytes`.
std::uint32_t crc32(std::uint32_t crc, std::span<const std::byte> bytes);

}  // namespace craftbundle
