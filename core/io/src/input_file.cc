#include "craftbundle/detail/io/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "file_status.h"

namespace craftbundle {
namespace {

std::string_view kind_of(const FileStatus& status) {
  if (S_ISDIR(status.mode)) return "a directory";
  if (S_ISFIFO(status.mode)) return "a FIFO";
  if (S_ISSOCK(status.mode)) return "a socket";
  return "a device";
}

void require_regular(const Path& path, const FileStatus& status) {
  if (S_ISREG(status.mode)) return;
  throw Error(ErrorKind::input, "io.not_a_file",
              "is " + std::string(kind_of(status)) + ", expected a file")
      .add_context(path_text(path));
}

}  // namespace

InputFile::InputFile(const Path& path, Path name) : path_(std::move(name)) {
  // Looked at by name first: opening a device can act on it, and a socket cannot be opened at all.
  const auto named = file_status(path);
  if (!named) throw system_error(errno, path_text(path_));
  require_regular(path_, *named);
  // O_NONBLOCK: should the name have become a FIFO meanwhile, opening it must not wait.
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) throw system_error(errno, path_text(path_));
  try {
    const auto status = file_status(fd_);
    if (!status) throw system_error(errno, path_text(path_));
    require_regular(path_, *status);
    size_ = status->size;
    device_ = status->device;
    inode_ = status->inode;
    modified_ns_ = status->modified_ns;
    changed_ns_ = status->changed_ns;
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

InputFile::~InputFile() { ::close(fd_); }

void InputFile::read(std::uint64_t offset, std::span<std::byte> buffer) const {
  while (!buffer.empty()) {
    const ssize_t count = ::pread(fd_, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (count < 0) {
      if (errno == EINTR) continue;
      throw system_error(errno, path_text(path_) + ": reading at byte " + std::to_string(offset));
    }
    if (count == 0) {
      throw Error(ErrorKind::input, "io.truncated",
                  "ends at byte " + std::to_string(offset) + ", " + std::to_string(buffer.size()) +
                      " more were expected",
                  "the file changed while it was read; try again when nothing writes to it")
          .add_context(path_text(path_));
    }
    offset += static_cast<std::uint64_t>(count);
    buffer = buffer.subspan(static_cast<std::size_t>(count));
  }
}

std::string InputFile::read_text(std::uint64_t offset, std::size_t length) const {
  std::string text(length, '\0');
  read(offset, std::as_writable_bytes(std::span(text)));
  return text;
}

void InputFile::check_unchanged() const {
  const auto status = file_status(fd_);
  if (!status) throw system_error(errno, path_text(path_));
  if (status->size != size_ || status->modified_ns != modified_ns_ ||
      status->changed_ns != changed_ns_) {
    throw Error(ErrorKind::input, "io.changed", "changed while it was read",
                "try again when nothing writes to it")
        .add_context(path_text(path_));
  }
}

bool InputFile::is_same_file(const Path& other) const {
  const auto status = file_status(other);
  return status && status->device == device_ && status->inode == inode_;
}

bool InputFile::is_same_file(const InputFile& other) const {
  return other.device_ == device_ && other.inode_ == inode_;
}

void InputFile::will_need(std::uint64_t offset, std::uint64_t length) const {
  ::posix_fadvise(fd_, static_cast<off_t>(offset), static_cast<off_t>(length), POSIX_FADV_WILLNEED);
}

}  // namespace craftbundle
