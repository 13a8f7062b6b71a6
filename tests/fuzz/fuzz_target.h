// What a fuzz target and its replay share.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/io/path.h"

// Each target defines it, as libFuzzer calls it: crashes on failure, returns 0.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace craftbundle::testing {

// A file that has a path but is in memory only.
class MemoryFile {
 public:
  explicit MemoryFile(std::span<const std::uint8_t> bytes)
      : fd_(::memfd_create("input", MFD_CLOEXEC)) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
      if (count < 0) throw std::runtime_error("cannot write to memory");
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(fd_); }

  Path path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

// A zip file with every CRC-32 in it taken as "not computed", so that changes of the data get past.
inline std::vector<std::uint8_t> without_crcs(std::span<const std::uint8_t> bytes) {
  struct Place {
    std::string_view signature;
    std::size_t crc;
  };
  constexpr Place kPlaces[] = {{"PK\1\2", 16}, {"PK\3\4", 14}, {"PK\7\x08", 4}};
  std::vector<std::uint8_t> file(bytes.begin(), bytes.end());
  for (std::size_t i = 0; i + 4 <= file.size(); ++i) {
    const std::string_view here(reinterpret_cast<const char*>(file.data()) + i, 4);
    for (const Place& place : kPlaces) {
      if (here != place.signature) continue;
      for (std::size_t at = i + place.crc; at < i + place.crc + 4 && at < file.size(); ++at)
        file[at] = 0;
    }
  }
  return file;
}

}  // namespace craftbundle::testing
