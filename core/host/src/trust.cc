#include "trust.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/filesystem/operations.hpp>
#include <cerrno>
#include <string>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/fault.h"

namespace craftbundle {
namespace {

// An error of the file system, blamed on the plugin unless the machine is at fault.
[[noreturn]] void fail(const Error& error, const Path& path) {
  if (is_fault_of_machine(error)) throw Error(error);
  throw Error(ErrorKind::plugin, "plugin.unreadable", error.bare_message(), error.hint())
      .add_context(path_text(path));
}

[[noreturn]] void fail(int error_number, const Path& path) {
  fail(system_error(error_number, path_text(path)), path);
}

[[noreturn]] void refuse(const Path& path, const std::string& what, const std::string& hint) {
  throw Error(ErrorKind::plugin, "plugin.permissions", what + ", so it could hold anyone's code",
              hint)
      .add_context(path_text(path));
}

Path real_path(const Path& path) {
  boost::system::error_code failure;
  Path real = boost::filesystem::canonical(path, failure);
  if (!failure) return real;
  const Error error = system_error(failure.value(), path_text(path));
  if (is_fault_of_machine(error)) fail(error, path);
  boost::system::error_code ignored;
  const bool is_link = boost::filesystem::is_symlink(path, ignored);
  throw Error(ErrorKind::plugin, "plugin.unreadable",
              is_link ? "is a link to nothing" : "cannot be found")
      .add_context(path_text(path));
}

// A file or directory on the way, held without opening it: opening a device could act on it.
class Step {
 public:
  Step(int parent, const std::string& name, Path path) : path_(std::move(path)) {
    fd_ = ::openat(parent, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd_ < 0) fail(errno, path_);
    if (::fstat(fd_, &status_) != 0) {
      const int error_number = errno;
      ::close(fd_);
      fail(error_number, path_);
    }
  }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  Step(Step&& other) noexcept
      : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), status_(other.status_) {}
  Step& operator=(Step&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(fd_, other.fd_);
    std::swap(status_, other.status_);
    return *this;
  }
  ~Step() {
    if (fd_ >= 0) ::close(fd_);
  }

  int fd() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  const struct stat& status() const { return status_; }

  void check_owner() const {
    const uid_t self = ::geteuid();
    if (status_.st_uid == 0 || status_.st_uid == self) return;
    const std::string expected = self == 0 ? "user 0" : "root or user " + std::to_string(self);
    refuse(path_, "belongs to user " + std::to_string(status_.st_uid) + ", expected " + expected,
           "install the plugin as root, or as the user who runs this, in a directory of theirs");
  }

  void check_writers() const {
    if ((status_.st_mode & S_IWOTH) != 0) {
      refuse(path_, "is writable by everyone", "run: chmod o-w " + path_text(path_));
    }
    if ((status_.st_mode & S_IWGRP) != 0 && status_.st_gid != status_.st_uid) {
      refuse(path_, "is writable by group " + std::to_string(status_.st_gid),
             "run: chmod g-w " + path_text(path_));
    }
  }

  // A directory in which others could exchange what was judged.
  void check_above() const {
    check_owner();
    if ((status_.st_mode & S_ISVTX) == 0) check_writers();
  }

  void check_own() const {
    check_owner();
    check_writers();
  }

  void check_regular() const {
    if (S_ISREG(status_.st_mode)) return;
    throw Error(ErrorKind::plugin, "plugin.not_a_file",
                std::string(S_ISDIR(status_.st_mode) ? "is a directory" : "is no regular file") +
                    ", expected a file")
        .add_context(path_text(path_));
  }

 private:
  Path path_;
  int fd_ = -1;
  struct stat status_ {};
};

Path descriptor_path(int fd) { return Path("/proc/self/fd") / std::to_string(fd); }

}  // namespace

TrustedFile::TrustedFile(const Path& path) : path_(real_path(path)) {
  Path gone = "/";
  Step above(AT_FDCWD, "/", gone);
  for (const Path& name : path_.parent_path().relative_path()) {
    above.check_above();
    gone /= name;
    above = Step(above.fd(), name.string(), gone);
  }
  Step file(above.fd(), path_.filename().string(), path_);
  file.check_regular();
  above.check_own();
  file.check_own();
  size_ = static_cast<std::uint64_t>(file.status().st_size);
  changed_ = file.status().st_ctim;
  directory_ = above.release();
  file_ = file.release();
}

TrustedFile::~TrustedFile() {
  ::close(file_);
  ::close(directory_);
}

Path TrustedFile::pinned() const { return descriptor_path(file_); }

Path TrustedFile::pinned_by_directory() const {
  return descriptor_path(directory_) / path_.filename();
}

InputFile TrustedFile::open() const {
  try {
    return InputFile(pinned(), path_);
  } catch (const Error& error) {
    fail(error, path_);
  }
}

void TrustedFile::check_unchanged() const {
  struct stat held {};
  struct stat named {};
  if (::fstat(file_, &held) != 0) fail(errno, path_);
  const bool is_there =
      ::fstatat(directory_, path_.filename().c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0;
  if (is_there && named.st_dev == held.st_dev && named.st_ino == held.st_ino &&
      static_cast<std::uint64_t>(held.st_size) == size_ && held.st_ctim.tv_sec == changed_.tv_sec &&
      held.st_ctim.tv_nsec == changed_.tv_nsec) {
    return;
  }
  throw Error(ErrorKind::plugin, "plugin.changed", "changed while it was loaded",
              "try again when nothing writes to it")
      .add_context(path_text(path_));
}

}  // namespace craftbundle
