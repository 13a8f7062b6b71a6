// Memory that the kernel copies to and from at full speed.
#pragma once

#include <boost/align/aligned_allocator.hpp>
#include <cstddef>
#include <vector>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// Begins at a page. A large block of malloc() begins 16 bytes behind one, and there reading from
// the page cache was seen to take three times as long (AMD EPYC: a copy between addresses that
// agree in nearly all of their last 12 bits).
inline constexpr std::size_t kPageSize = 4096;
using PageBuffer =
    std::vector<std::byte, boost::alignment::aligned_allocator<std::byte, kPageSize>>;

}  // namespace craftbundle
