#include "bundlecraft/io/output_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <random>

#include "bundlecraft/base/error.h"
#include "bundlecraft/base/text.h"

namespace bundlecraft {
namespace {

// Write-back begins early, so that the final fsync has little left to wait for.
constexpr std::uint64_t kWriteBackStep = 8ULL << 20;

constexpr int kNameAttempts = 100;

mode_t default_permissions() {
  // The umask can only be read by setting it. Its value never changes while we run.
  static const mode_t mask = [] {
    const mode_t current = ::umask(022);
    ::umask(current);
    return current;
  }();
  return 0666 & ~mask;
}

Error exists_error(const Path& target) {
  return Error(ErrorKind::usage, "target.exists", printable(target.string()) + ": exists",
               "pass --force to replace it, or choose another name");
}

std::string descriptor_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

}  // namespace

struct OutputFile::Hasher {
  Hasher() : context(EVP_MD_CTX_new()) {
    if (context == nullptr || EVP_DigestInit_ex(context, EVP_sha256(), nullptr) != 1) {
      throw Error(ErrorKind::internal, "hash.init", "SHA-256 is not available from OpenSSL");
    }
  }
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;
  ~Hasher() { EVP_MD_CTX_free(context); }

  EVP_MD_CTX* context;
};

void sync_directory(const Path& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) throw system_error(errno, printable(directory.string()));
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  // Some network file systems cannot sync a directory; there is nothing better to do there.
  if (result != 0 && error != EINVAL)
    throw system_error(error, printable(directory.string()) + ": flushing");
}

Path temporary_name(const Path& directory) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device random;
  std::string name(kTemporaryPrefix);
  for (int i = 0; i < 12; ++i) name += kLetters[random() % kLetters.size()];
  return directory / name;
}

OutputFile::OutputFile(const Path& directory, Durability durability)
    : directory_(directory), durability_(durability) {
  fd_ = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
  if (fd_ >= 0) return;
  // File systems and kernels without unnamed files answer in several ways.
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) {
    throw system_error(errno, printable(directory.string()) + ": creating a file");
  }
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    temporary_ = temporary_name(directory);
    fd_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd_ >= 0) return;
    if (errno != EEXIST)
      throw system_error(errno, printable(directory.string()) + ": creating a file");
  }
  throw Error(ErrorKind::system, "io.error",
              printable(directory.string()) + ": no free temporary name");
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void OutputFile::write(std::span<const std::byte> bytes) {
  if (hasher_) EVP_DigestUpdate(hasher_->context, bytes.data(), bytes.size());
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      throw system_error(errno, "writing to " + printable(directory_.string()));
    }
    size_ += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  start_write_back();
}

void OutputFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void OutputFile::start_write_back() {
  if (durability_ != Durability::sync || size_ - write_back_started_ < kWriteBackStep) return;
  // Best effort: fsync in publish() is what counts, and reports errors.
  ::sync_file_range(fd_, static_cast<off_t>(write_back_started_),
                    static_cast<off_t>(size_ - write_back_started_), SYNC_FILE_RANGE_WRITE);
  write_back_started_ = size_;
}

void OutputFile::reserve(std::uint64_t bytes) {
  // FALLOC_FL_KEEP_SIZE: a file that is dropped half way never looks complete.
  if (::fallocate(fd_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) == 0) return;
  if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) {
    throw system_error(errno, printable(directory_.string()) + ": reserving " + human_bytes(bytes));
  }
}

void OutputFile::hash_contents() { hasher_ = std::make_unique<Hasher>(); }

std::string OutputFile::sha256() const {
  if (!hasher_)
    throw Error(ErrorKind::internal, "hash.none",
                "the SHA-256 of a file was asked for that is not hashed");
  // Finishing a copy leaves the running hash usable.
  Hasher copy;
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_MD_CTX_copy_ex(copy.context, hasher_->context) != 1 ||
      EVP_DigestFinal_ex(copy.context, digest.data(), &length) != 1) {
    throw Error(ErrorKind::internal, "hash.final", "OpenSSL could not finish a SHA-256");
  }
  return hex(std::span(digest.data(), length));
}

void OutputFile::publish(const Path& target, bool replace) {
  const std::string shown = printable(target.string());
  if (::fchmod(fd_, default_permissions()) != 0) throw system_error(errno, shown);
  // A failed fsync is final: the kernel may have dropped the data and will not say so twice.
  if (durability_ == Durability::sync && ::fsync(fd_) != 0)
    throw system_error(errno, shown + ": flushing");

  if (temporary_.empty()) {
    if (::linkat(AT_FDCWD, descriptor_path(fd_).c_str(), AT_FDCWD, target.c_str(),
                 AT_SYMLINK_FOLLOW) == 0) {
      if (durability_ == Durability::sync) sync_directory(directory_);
      return;
    }
    if (errno != EEXIST) throw system_error(errno, shown);
    if (!replace) throw exists_error(target);
    // link never replaces: take a temporary name first, then rename over the old file.
    temporary_ = temporary_name(directory_);
    if (::linkat(AT_FDCWD, descriptor_path(fd_).c_str(), AT_FDCWD, temporary_.c_str(),
                 AT_SYMLINK_FOLLOW) != 0) {
      const int error = errno;
      temporary_.clear();
      throw system_error(error, shown);
    }
  }
  if (!replace) {
    // Not every file system knows RENAME_NOREPLACE; link refuses an existing target everywhere.
    if (::link(temporary_.c_str(), target.c_str()) != 0) {
      if (errno == EEXIST) throw exists_error(target);
      throw system_error(errno, shown);
    }
    ::unlink(temporary_.c_str());
  } else if (::rename(temporary_.c_str(), target.c_str()) != 0) {
    throw system_error(errno, shown);
  }
  temporary_.clear();
  if (durability_ == Durability::sync) sync_directory(directory_);
}

}  // namespace bundlecraft
