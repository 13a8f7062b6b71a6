#include "naming.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <boost/filesystem.hpp>
#include <cerrno>
#include <cstdio>
#include <random>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/io/output_file.h"

namespace craftbundle {

namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

bool cannot_flush_directory(int error) {
  return error == EINVAL || error == EBADF || error == EACCES || error == EOPNOTSUPP ||
         error == ENOSYS;
}

}  // namespace

OpenDirectory::OpenDirectory(const Path& path)
    : path_(path.empty() ? Path(".") : path),
      fd_(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (!fd_) throw system_error(errno, path_text(path_));
}

void OpenDirectory::flush() const {
  int result = 0;
  do {
    result = ::fsync(fd_.get());
  } while (result != 0 && errno == EINTR);
  // Some network file systems cannot flush a directory; there is nothing better to do there.
  if (result != 0 && !cannot_flush_directory(errno)) {
    throw system_error(errno, path_text(path_) + ": flushing the directory");
  }
}

void sync_directory(const Path& directory) { OpenDirectory(directory).flush(); }

bool link_unnamed(int fd, const Path& name) {
  const std::string file = "/proc/self/fd/" + std::to_string(fd);
  return ::linkat(AT_FDCWD, file.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
}

bool rename_without_replacing(const Path& from, const Path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (!cannot_exchange(errno)) return false;
  // The file system does not know the flag. A hard link never replaces either.
  if (::link(from.c_str(), to.c_str()) == 0) {
    ::unlink(from.c_str());
    return true;
  }
  if (errno == EEXIST || errno == ENOSPC || errno == EDQUOT) return false;
  // Nor does it have links, which servers of FUSE say in many ways (or this is a directory). Of two
  // who take the name in one moment, the last one has it.
  struct stat there {};
  if (::lstat(to.c_str(), &there) == 0) {
    errno = EEXIST;
    return false;
  }
  return errno == ENOENT && ::rename(from.c_str(), to.c_str()) == 0;
}

bool exchange_names(const Path& one, const Path& other) {
  return ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0;
}

bool cannot_exchange(int error) {
  return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP;
}

LockOutcome lock_named(int fd, const Path& path) {
  int result = 0;
  do {
    result = ::flock(fd, LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return errno == EWOULDBLOCK ? LockOutcome::busy : LockOutcome::impossible;
  struct stat locked {};
  struct stat named {};
  const bool same = ::fstat(fd, &locked) == 0 && ::lstat(path.c_str(), &named) == 0 &&
                    locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
  return same ? LockOutcome::taken : LockOutcome::gone;
}

Descriptor take_abandoned(const Path& path, int flags) {
  Descriptor fd(::open(path.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat status {};
  if (fd && ::fstat(fd.get(), &status) == 0 && status.st_uid == ::geteuid() &&
      lock_named(fd.get(), path) == LockOutcome::taken) {
    return fd;
  }
  return Descriptor();
}

std::string random_digits(std::size_t length) {
  std::random_device random;
  std::string digits;
  while (digits.size() < length) digits += kDigits[random() % kDigits.size()];
  return digits;
}

std::vector<Path> find_random_names(const Path& directory, std::string_view prefix,
                                    std::size_t length) {
  std::vector<Path> found;
  boost::system::error_code error;
  boost::filesystem::directory_iterator entry(directory, error);
  for (; !error && entry != boost::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(prefix) && name.size() == prefix.size() + length &&
        name.find_first_not_of(kDigits, prefix.size()) == std::string::npos) {
      found.push_back(entry->path());
    }
  }
  return found;
}

}  // namespace craftbundle
