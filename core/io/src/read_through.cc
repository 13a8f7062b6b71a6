#include "craftbundle/detail/io/read_through.h"

#include <algorithm>
#include <utility>

namespace craftbundle {

void read_through(const InputFile& file, std::vector<BufferRing::Use> uses,
                  const Cancellation& cancellation,
                  const std::function<void(std::uint64_t)>& progress) {
  BufferRing ring(std::move(uses));
  for (std::uint64_t done = 0; done < file.size();) {
    cancellation.check();
    const std::span<std::byte> room = ring.room();
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(room.size(), file.size() - done));
    file.read(done, room.first(size));
    ring.push(size);
    done += size;
    if (progress) progress(done);
  }
  ring.finish();
  file.check_unchanged();
}

BufferRing::Use use_ranges(
    std::vector<FileRange> ranges,
    std::function<void(std::size_t index, std::span<const std::byte> bytes)> part) {
  return [ranges = std::move(ranges), part = std::move(part), first = std::size_t{0},
          begin = std::uint64_t{0}](std::span<const std::byte> bytes) mutable {
    const std::uint64_t end = begin + bytes.size();
    while (first < ranges.size() && ranges[first].end <= begin) ++first;
    for (std::size_t i = first; i < ranges.size() && ranges[i].begin < end; ++i) {
      const std::uint64_t from = std::max(ranges[i].begin, begin);
      const std::uint64_t to = std::min(ranges[i].end, end);
      if (from < to) part(i, bytes.subspan(from - begin, to - from));
    }
    begin = end;
  };
}

}  // namespace craftbundle
