#include "craftbundle/detail/io/output_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <cerrno>
#include <cstdio>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/io/sha256.h"
#include "naming.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

// For copies that pass through this process.
constexpr std::uint64_t kCopyBuffer = 1 << 20;

// Less than this is not worth reserving beside what is shared: the edges of what is copied.
constexpr std::uint64_t kWorthReserving = 1 << 20;

// Write-back begins early, so that the final fsync has little left to wait for.
constexpr std::uint64_t kWriteBackStep = 16ULL << 20;

constexpr int kNameAttempts = 100;

constexpr std::size_t kTemporaryDigits = 12;

Path or_current(const Path& directory) { return directory.empty() ? Path(".") : directory; }

std::string descriptor_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

Error exists_error(const Path& target) {
  return Error(ErrorKind::usage, "target.exists", path_text(target) + ": exists",
               "pass --force to replace it, or choose another name");
}

int flush_descriptor(int fd) {
  int result = 0;
  do {
    result = ::fsync(fd);
  } while (result != 0 && errno == EINTR);
  return result;
}

void write_all(int fd, std::span<const std::byte> bytes, const Path& directory) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      throw system_error(errno, path_text(directory) + ": writing a file");
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

bool is_full(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG; }

// The whole blocks in a range of a file.
struct Blocks {
  std::uint64_t begin = 0;
  std::uint64_t length = 0;
};

Blocks blocks_in(std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t begin = (offset + kBlockSize - 1) / kBlockSize * kBlockSize;
  const std::uint64_t end = (offset + length) / kBlockSize * kBlockSize;
  return {begin, end > begin ? end - begin : 0};
}

bool share_blocks(int from, std::uint64_t offset, int to, std::uint64_t place,
                  std::uint64_t length) {
  file_clone_range range{};
  range.src_fd = from;
  range.src_offset = offset;
  range.src_length = length;
  range.dest_offset = place;
  return ::ioctl(to, FICLONERANGE, &range) == 0;
}

// Whether an unnamed file was given no name because there is no way to.
bool cannot_link(int error) {
  return error == EPERM || error == ENOENT || error == EOPNOTSUPP || error == ENOSYS ||
         error == EINVAL;
}

void remove_dead_temporaries(const Path& directory) {
  for (const Path& path : find_random_names(directory, kTemporaryPrefix, kTemporaryDigits)) {
    if (const Descriptor abandoned = take_abandoned(path, O_RDWR)) ::unlink(path.c_str());
  }
}

}  // namespace

Path temporary_name(const Path& directory) {
  return directory / (std::string(kTemporaryPrefix) + random_digits(kTemporaryDigits));
}

OutputFile::OutputFile(const Path& directory, Durability durability, Temporary temporary)
    : directory_(or_current(directory)), durability_(durability) {
  remove_dead_temporaries(directory_);
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
  fd_ = ::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
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
    if (fd_ < 0) {
      if (errno == EEXIST) continue;
      throw system_error(errno, path_text(directory_) + ": creating a file");
    }
    // In the moment before it was locked, another writer may have taken it for abandoned.
    const LockOutcome lock = lock_named(fd_, name);
    if (lock == LockOutcome::taken || lock == LockOutcome::impossible) {
      temporary_ = std::move(name);
      return;
    }
    ::close(std::exchange(fd_, -1));
  }
  throw Error(ErrorKind::system, "io.error",
              path_text(directory_) + ": no free temporary name was found");
}

void OutputFile::make_private() {
  // An owner may change modes wherever there are any; elsewhere it is the mount that says who
  // reads.
  const bool done = ::fchmod(fd_, S_IRUSR | S_IWUSR) == 0;
  if (!done && errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) {
    throw system_error(errno, path_text(directory_) + ": making a file private");
  }
}

void OutputFile::write(std::span<const std::byte> bytes) {
  if (sum_) sum_->update(bytes);
  append(bytes);
}

void OutputFile::append(std::span<const std::byte> bytes) {
  write_all(fd_, bytes, directory_);
  size_ += bytes.size();
  start_write_back();
}

void OutputFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

BufferRing OutputFile::pipe() {
  std::vector<BufferRing::Use> uses;
  if (sum_) uses.emplace_back([this](std::span<const std::byte> bytes) { sum_->update(bytes); });
  return BufferRing(std::move(uses), [this](std::span<const std::byte> bytes) { append(bytes); });
}

void OutputFile::copy(const InputFile& source, std::uint64_t offset, std::uint64_t length) {
  if (extents_ == Extents::shared && offset % kBlockSize == size_ % kBlockSize) {
    const Blocks blocks = blocks_in(offset, length);
    if (blocks.length > 0) {
      append_copy(source, offset, blocks.begin - offset);
      length -= blocks.begin - offset;
      offset = blocks.begin;
      if (share(source, offset, blocks.length)) {
        offset += blocks.length;
        length -= blocks.length;
      }
    }
  }
  append_copy(source, offset, length);
}

bool OutputFile::leaves_to_kernel(const InputFile& source) const {
  if (extents_ == Extents::own || !sum_) return extents_ == Extents::shared;
  const auto tried = shares_with_.find(source.device_);
  return tried != shares_with_.end() && tried->second;
}

void OutputFile::append_copy(const InputFile& source, std::uint64_t offset, std::uint64_t length) {
  const bool in_kernel = extents_ == Extents::shared && !sum_ && length >= kBlockSize;
  const std::uint64_t copied = in_kernel ? copy_in_kernel(source, offset, length) : 0;
  offset += copied;
  length -= copied;
  PageBuffer buffer(std::min<std::uint64_t>(kCopyBuffer, length));
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
    if (count < 0 && is_full(errno)) {
      throw system_error(errno, path_text(directory_) + ": writing a file");
    }
    if (count <= 0) break;
    copied += static_cast<std::uint64_t>(count);
    size_ += static_cast<std::uint64_t>(count);
    start_write_back();
  }
  return copied;
}

// Returns whether the blocks were appended. Whatever the reason why not (other file systems, other
// blocks, files that are swapped to or not copied on write), copying is what remains.
bool OutputFile::share(const InputFile& source, std::uint64_t offset, std::uint64_t length) {
  const auto tried = shares_with_.find(source.device_);
  if (tried != shares_with_.end() && !tried->second) return false;
  const bool shared = share_blocks(source.fd_, offset, fd_, size_, length);
  if (!shared && is_full(errno)) {
    throw system_error(errno, path_text(directory_) + ": writing a file");
  }
  shares_with_[source.device_] = shared;
  if (!shared) return false;
  size_ += length;
  shared_bytes_ += length;
  write_back_started_ = size_;
  if (::lseek(fd_, static_cast<off_t>(size_), SEEK_SET) < 0) {
    throw system_error(errno, path_text(directory_) + ": writing a file");
  }
  hash(source, offset, length);
  return true;
}

void OutputFile::hash(const InputFile& source, std::uint64_t offset, std::uint64_t length) {
  if (!sum_) return;
  PageBuffer buffer(std::min<std::uint64_t>(kCopyBuffer, length));
  while (length > 0) {
    const auto piece = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), length));
    source.read(offset, piece);
    sum_->update(piece);
    offset += piece.size();
    length -= piece.size();
  }
}

// Finds out by sharing a block for a moment.
bool OutputFile::can_share(const InputFile& source) {
  if (extents_ == Extents::own) return false;
  const auto [tried, is_new] = shares_with_.try_emplace(source.device_, false);
  if (is_new && source.size() >= kBlockSize) {
    tried->second = share_blocks(source.fd_, 0, fd_, 0, kBlockSize);
    if (tried->second && ::ftruncate(fd_, 0) != 0) {
      throw system_error(errno, path_text(directory_) + ": writing a file");
    }
  }
  return tried->second;
}

void OutputFile::start_write_back() {
  if (durability_ != Durability::sync || size_ - write_back_started_ < kWriteBackStep) return;
  // Best effort: fsync in publish() is what counts, and reports errors.
  ::sync_file_range(fd_, static_cast<off_t>(write_back_started_),
                    static_cast<off_t>(size_ - write_back_started_), SYNC_FILE_RANGE_WRITE);
  write_back_started_ = size_;
}

void OutputFile::reserve(std::uint64_t bytes, std::span<const Copied> copied) {
  std::uint64_t done = 0;
  bool shares = false;
  for (const Copied& part : copied) {
    const Blocks blocks = blocks_in(part.offset, part.length);
    const bool is_alike = part.offset % kBlockSize == part.source_offset % kBlockSize;
    if (!is_alike || blocks.length == 0 || !can_share(*part.source)) continue;
    shares = true;
    if (blocks.begin - done >= kWorthReserving) reserve_range(done, blocks.begin);
    done = blocks.begin + blocks.length;
  }
  if (!shares || bytes - done >= kWorthReserving) reserve_range(done, bytes);
}

void OutputFile::reserve_range(std::uint64_t begin, std::uint64_t end) {
  int result = 0;
  do {
    // FALLOC_FL_KEEP_SIZE: a file that is dropped half way never looks complete.
    result = ::fallocate(fd_, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin),
                         static_cast<off_t>(end - begin));
  } while (result != 0 && errno == EINTR);
  if (result != 0 && is_full(errno)) {
    throw system_error(errno, path_text(directory_) + ": reserving " + human_bytes(end - begin));
  }
}

void OutputFile::hash_contents() { sum_ = std::make_unique<Sha256>(); }

std::string OutputFile::sha256() const {
  if (!sum_) {
    throw Error(ErrorKind::internal, "hash.none",
                "the SHA-256 of a file was asked for that is not hashed");
  }
  return sum_->digest();
}

void OutputFile::flush_contents() {
  if (durability_ == Durability::sync) {
    // A failed fsync is final: the kernel may have dropped the data and will not say so twice.
    if (flush_descriptor(fd_) != 0) {
      const int error = errno;
      throw system_error(error, path_text(directory_) + ": flushing a file",
                         error == EINVAL || error == ENOSYS || error == EOPNOTSUPP
                             ? "this file system cannot flush files; --no-sync writes without that"
                             : "");
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

// Some systems have unnamed files and no way to name them: what was written is copied.
void OutputFile::move_to_hidden() {
  const Descriptor unnamed(std::exchange(fd_, -1));
  struct stat status {};
  if (::fstat(unnamed.get(), &status) != 0) throw system_error(errno, path_text(directory_));
  create_hidden();
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) == 0) make_private();
  PageBuffer buffer(std::min<std::uint64_t>(kCopyBuffer, size_));
  for (std::uint64_t done = 0; done < size_;) {
    const ssize_t count =
        ::pread(unnamed.get(), buffer.data(), buffer.size(), static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      throw system_error(count < 0 ? errno : EIO, path_text(directory_) + ": reading a file back");
    }
    const auto piece = std::span(buffer).first(static_cast<std::size_t>(count));
    write_all(fd_, piece, directory_);
    done += piece.size();
  }
  flush_contents();
}

// Only a file with a name can be renamed over another.
void OutputFile::take_temporary_name(const Path& directory) {
  temporary_ = temporary_name(directory);
  lock_named(fd_, temporary_);  // before it can be seen, so that nobody takes it for abandoned
  if (link_unnamed(fd_, temporary_)) return;
  const int error = errno;
  temporary_.clear();
  throw system_error(error, path_text(directory));
}

// Returns whether nothing was replaced. A replaced file keeps a name, `temporary_`, where it may
// have to come back.
bool OutputFile::take_name(const Path& target, bool replace) {
  if (temporary_.empty()) {
    if (link_unnamed(fd_, target)) return true;
    if (cannot_link(errno)) {
      move_to_hidden();
    } else {
      if (errno != EEXIST) throw system_error(errno, path_text(target));
      if (!replace) throw exists_error(target);
      take_temporary_name(or_current(target.parent_path()));
    }
  }
  if (replace && durability_ == Durability::sync) {
    if (exchange_names(temporary_, target)) {
      refuse_directory(target);
      return false;
    }
    if (errno != ENOENT && !cannot_exchange(errno)) throw system_error(errno, path_text(target));
  }
  const bool fresh = rename_without_replacing(temporary_, target);
  if (!fresh) {
    if (errno != EEXIST) throw system_error(errno, path_text(target));
    if (!replace) throw exists_error(target);
    if (::rename(temporary_.c_str(), target.c_str()) != 0) {
      throw system_error(errno, path_text(target));
    }
  }
  temporary_.clear();
  return fresh;
}

// Files replace no directories, as rename() has it.
void OutputFile::refuse_directory(const Path& target) {
  boost::system::error_code ignored;
  if (!fs::is_directory(fs::symlink_status(temporary_, ignored))) return;
  exchange_names(temporary_, target);
  throw system_error(EISDIR, path_text(target));
}

void OutputFile::publish(const Path& target, bool replace) {
  flush_contents();
  if (durability_ == Durability::no_sync) {
    take_name(target, replace);
    return;
  }
  // Opened before the file is named: a directory that cannot be opened is found out in time.
  const OpenDirectory directory(target.parent_path());
  const bool fresh = take_name(target, replace);
  try {
    directory.flush();
  } catch (...) {
    if (fresh) ::unlink(target.c_str());
    if (!temporary_.empty()) exchange_names(temporary_, target);
    throw;
  }
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
}

}  // namespace craftbundle
