#include "file_status.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace craftbundle {
namespace {

std::int64_t nanoseconds(const struct statx_timestamp& time) {
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

std::optional<FileStatus> ask(int fd, const char* path, int flags) {
  struct statx status {};
  if (::statx(fd, path, flags | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &status) != 0) {
    return std::nullopt;
  }
  return FileStatus{status.stx_mode,
                    status.stx_size,
                    makedev(status.stx_dev_major, status.stx_dev_minor),
                    status.stx_ino,
                    nanoseconds(status.stx_mtime),
                    nanoseconds(status.stx_ctime)};
}

}  // namespace

std::optional<FileStatus> file_status(const Path& path) { return ask(AT_FDCWD, path.c_str(), 0); }

std::optional<FileStatus> file_status(int fd) { return ask(fd, "", AT_EMPTY_PATH); }

}  // namespace craftbundle
