// A file that is read once for several purposes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/io/buffer_ring.h"
#include "craftbundle/detail/io/input_file.h"

namespace CRAFTBUNDLE_API craftbundle {

// Reads each byte of `file` once, from the first to the last; `uses` get them piece by piece,
// beside one another. `progress` is told how many bytes were read so far. Throws as
// InputFile::read, "io.changed" when the file changed meanwhile, Error(interrupted), and what a use
// throws.
void read_through(const InputFile& file, std::vector<BufferRing::Use> uses,
                  const Cancellation& cancellation,
                  const std::function<void(std::uint64_t)>& progress = {});

// A half-open range of the bytes of a file.
struct FileRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// A use that shares the bytes out: `part` gets those of ranges[index], piece by piece and in order.
// REQUIRES: the ranges ascend by `begin`; they may overlap.
BufferRing::Use use_ranges(
    std::vector<FileRange> ranges,
    std::function<void(std::size_t index, std::span<const std::byte> bytes)> part);

}  // namespace craftbundle
