// A file that is read at random positions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/io/path.h"

namespace CRAFTBUNDLE_API craftbundle {

// A regular file opened for reading. The file is not mapped: a file that shrinks while it is read
// gives an Error, not a SIGBUS.
//
// Thread: all const functions may be called concurrently.
class InputFile {
 public:
  // Opens `path` (O_CLOEXEC). Throws system ("io.enoent", "io.eacces", ...) when it cannot be
  // opened and input ("io.not_a_file") when it is a directory, FIFO, socket or device.
  explicit InputFile(const Path& path) : InputFile(path, path) {}
  // Opens `path`, which messages and path() call `name`: for a file that is held by a descriptor.
  InputFile(const Path& path, Path name);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  const Path& path() const { return path_; }

  // Size in bytes when the file was opened.
  std::uint64_t size() const { return size_; }

  // Fills `buffer` from `offset` (bytes). Throws input ("io.truncated") when the file ends before,
  // which can only happen when it changed after it was opened.
  void read(std::uint64_t offset, std::span<std::byte> buffer) const;
  std::string read_text(std::uint64_t offset, std::size_t length) const;

  // Throws input ("io.changed") when size or times differ from those at opening; the time of the
  // last change too, which nobody can set back. Called after the last byte was taken, so that a
  // copy never mixes two versions of a file.
  void check_unchanged() const;

  // Whether `other` names this very file (device and inode), also through links.
  bool is_same_file(const Path& other) const;
  bool is_same_file(const InputFile& other) const;

  // Tells the kernel that [offset, offset + length) will be read soon. Best effort.
  void will_need(std::uint64_t offset, std::uint64_t length) const;

 private:
  friend class OutputFile;  // copies in the kernel

  Path path_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
  std::int64_t modified_ns_ = 0;
  std::int64_t changed_ns_ = 0;
};

}  // namespace craftbundle
