#include "craftbundle/io/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <random>
#include <vector>

#include "craftbundle/base/error.h"
#include "hasher.h"

namespace craftbundle {
namespace {

// For copies that pass through this process: large enough to be hashed beside the write.
constexpr std::uint64_t kCopyBuffer = 1 << 20;

// Write-back begins early, so that the final fsync has little left to wait for.
constexpr std::uint64_t kWriteBackStep = 16ULL << 20;

constexpr int kNameAttempts = 100;

Path or_current(const Path& directory) { return directory.empty() ? Path(".") : directory; }

std::string descriptor_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

Error exists_error(const Path& target) {
  return Error(ErrorKind::usage, "target.exists", path_text(target) + ": exists",
               "pass --force to replace it, or choose another name");
}

// Gives the unnamed file behind `fd` a name; false with errno set on failure. Never replaces.
bool link_unnamed(int fd, const Path& name) {
  return ::linkat(AT_FDCWD, descriptor_path(fd).c_str(), AT_FDCWD, name.c_str(),
                  AT_SYMLINK_FOLLOW) == 0;
}

// false with errno set on failure.
bool rename_without_replacing(const Path& from, const Path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno != EINVAL && errno != ENOSYS) return false;
  // The file system does not know the flag. A hard link never replaces either.
  if (::link(from.c_str(), to.c_str()) != 0) return false;
  ::unlink(from.c_str());
  return true;
}

int flush_descriptor(int fd) {
  int result = 0;
  do {
    result = ::fsync(fd);
  } while (result != 0 && errno == EINTR);
  return result;
}

// A directory held open to be flushed.
class OpenDirectory {
 public:
  explicit OpenDirectory(const Path& path)
      : path_(or_current(path)), fd_(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (fd_ < 0) throw system_error(errno, path_text(path_));
  }
  OpenDirectory(const OpenDirectory&) = delete;
  OpenDirectory& operator=(const OpenDirectory&) = delete;
  ~OpenDirectory() { ::close(fd_); }

  void flush() const {
    // Some network file systems cannot flush a directory; there is nothing better to do there.
    if (flush_descriptor(fd_) != 0 && errno != EINVAL) {
      throw system_error(errno, path_text(path_) + ": flushing the directory");
    }
  }

 private:
  Path path_;
  int fd_;
};

}  // namespace

void sync_directory(const Path& directory) { OpenDirectory(directory).flush(); }

Path temporary_name(const Path& directory) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device random;
  std::string name(kTemporaryPrefix);
  for (int i = 0; i < 12; ++i) name += kLetters[random() % kLetters.size()];
  return directory / name;
}

OutputFile::OutputFile(const Path& directory, Durability durability, Temporary temporary)
    : directory_(or_current(directory)), durability_(durability) {
  if (temporary == Temporary::unnamed) create_unnamed();
  if (fd_ < 0) create_hidden();
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

// Leaves fd_ unset on failure. File systems and kernels without unnamed files answer in many ways;
// what is wrong with the directory itself, create_hidden() finds and reports.
void OutputFile::create_unnamed() {
  fd_ = ::open(directory_.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
  if (fd_ >= 0 && ::access(descriptor_path(fd_).c_str(), F_OK) != 0) {
    // Without /proc the file could never be given a name.
    ::close(fd_);
    fd_ = -1;
  }
}

void OutputFile::create_hidden() {
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    Path name = temporary_name(directory_);
    fd_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd_ >= 0) {
      temporary_ = std::move(name);
      return;
    }
    if (errno != EEXIST) throw system_error(errno, path_text(directory_) + ": creating a file");
  }
  throw Error(ErrorKind::system, "io.error",
              path_text(directory_) + ": no free temporary name was found");
}

void OutputFile::write(std::span<const std::byte> bytes) {
  const Hasher::Pass pass(hasher_.get(), bytes);
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      throw system_error(errno, path_text(directory_) + ": writing a file");
    }
    size_ += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  start_write_back();
}

void OutputFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void OutputFile::copy(const InputFile& source, std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t copied = hasher_ ? 0 : copy_in_kernel(source, offset, length);
  offset += copied;
  length -= copied;
  std::vector<std::byte> buffer(std::min<std::uint64_t>(kCopyBuffer, length));
  while (length > 0) {
    const auto piece = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), length));
    source.read(offset, piece);
    write(piece);
    offset += piece.size();
    length -= piece.size();
  }
}

// Returns how much was copied: less than `length` where the kernel cannot do it between these two
// files, or the source ends early, which reading then reports.
std::uint64_t OutputFile::copy_in_kernel(const InputFile& source, std::uint64_t offset,
                                         std::uint64_t length) {
  std::uint64_t copied = 0;
  while (copied < length) {
    auto from = static_cast<off_t>(offset + copied);
    const ssize_t count = ::copy_file_range(source.fd_, &from, fd_, nullptr, length - copied, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) {
      throw system_error(errno, path_text(directory_) + ": writing a file");
    }
    if (count <= 0) break;
    copied += static_cast<std::uint64_t>(count);
    size_ += static_cast<std::uint64_t>(count);
    start_write_back();
  }
  return copied;
}

void OutputFile::start_write_back() {
  if (durability_ != Durability::sync || size_ - write_back_started_ < kWriteBackStep) return;
  // Best effort: fsync in publish() is what counts, and reports errors.
  ::sync_file_range(fd_, static_cast<off_t>(write_back_started_),
                    static_cast<off_t>(size_ - write_back_started_), SYNC_FILE_RANGE_WRITE);
  write_back_started_ = size_;
}

void OutputFile::reserve(std::uint64_t bytes) {
  int result = 0;
  do {
    // FALLOC_FL_KEEP_SIZE: a file that is dropped half way never looks complete.
    result = ::fallocate(fd_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  if (result != 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) {
    throw system_error(errno, path_text(directory_) + ": reserving " + human_bytes(bytes));
  }
}

void OutputFile::hash_contents() { hasher_ = std::make_unique<Hasher>(); }

std::string OutputFile::sha256() const {
  if (!hasher_) {
    throw Error(ErrorKind::internal, "hash.none",
                "the SHA-256 of a file was asked for that is not hashed");
  }
  return hasher_->digest();
}

void OutputFile::flush_contents() {
  if (durability_ == Durability::sync) {
    // A failed fsync is final: the kernel may have dropped the data and will not say so twice.
    if (flush_descriptor(fd_) != 0) {
      throw system_error(errno, path_text(directory_) + ": flushing a file");
    }
    return;
  }
  // Network file systems report a full disk when a descriptor is closed, but the file still needs
  // its own.
  const int copy = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (copy >= 0 && ::close(copy) != 0 && errno != EINTR) {
    throw system_error(errno, path_text(directory_) + ": writing a file");
  }
}

void OutputFile::take_name(const Path& target, bool replace) {
  if (temporary_.empty()) {
    if (link_unnamed(fd_, target)) return;
    if (errno != EEXIST) throw system_error(errno, path_text(target));
    if (!replace) throw exists_error(target);
    // Only a file with a name can be renamed over another.
    Path name = temporary_name(or_current(target.parent_path()));
    if (!link_unnamed(fd_, name)) throw system_error(errno, path_text(target));
    temporary_ = std::move(name);
  }
  if (replace) {
    if (::rename(temporary_.c_str(), target.c_str()) != 0) {
      throw system_error(errno, path_text(target));
    }
  } else if (!rename_without_replacing(temporary_, target)) {
    throw errno == EEXIST ? exists_error(target) : system_error(errno, path_text(target));
  }
  temporary_.clear();
}

void OutputFile::publish(const Path& target, bool replace) {
  flush_contents();
  if (durability_ == Durability::no_sync) return take_name(target, replace);
  // Opened before the file is named: a directory that cannot be opened is found out in time.
  const OpenDirectory directory(target.parent_path());
  take_name(target, replace);
  try {
    directory.flush();
  } catch (...) {
    if (!replace) ::unlink(target.c_str());
    throw;
  }
}

}  // namespace craftbundle
