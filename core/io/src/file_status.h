// What a file system says of a file now.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "craftbundle/detail/io/path.h"

namespace craftbundle {

struct FileStatus {
  mode_t mode = 0;
  std::uint64_t size = 0;
  dev_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
};

// Of what `path` leads to, or of an open file. None with errno set on failure. FUSE and network
// file systems are asked, where stat() would give what the kernel remembers: for a second after a
// file was renamed, the times of before.
std::optional<FileStatus> file_status(const Path& path);
std::optional<FileStatus> file_status(int fd);

}  // namespace craftbundle
