#include "staging.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/filesystem.hpp>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <functional>

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

constexpr std::size_t kRandomBytes = 4;

std::string hidden_prefix(const Place& place) { return "." + place.name + ".craftbundle-"; }

// Where the old bundle waits while it is replaced without an exchange of names.
Path aside_path(const Place& place) { return place.parent / (hidden_prefix(place) + "replaced"); }

bool is_staging_name(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix) || name.size() != prefix.size() + 2 * kRandomBytes) return false;
  return name.find_first_not_of("0123456789abcdef", prefix.size()) == std::string_view::npos;
}

std::string random_suffix() {
  std::array<std::uint8_t, kRandomBytes> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw system_error(errno, "random numbers");
  }
  return hex(bytes);
}

// Removes a directory of plain files. What holds anything else stays: it is not ours.
bool remove_flat_directory(const Path& directory) {
  boost::system::error_code error;
  fs::directory_iterator entry(directory, error);
  std::vector<Path> files;
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    files.push_back(entry->path());
  }
  for (const Path& file : files) ::unlink(file.c_str());
  return ::rmdir(directory.c_str()) == 0;
}

// A directory opened for locking; links are not followed.
int open_directory(const Path& path) {
  return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

bool is_abandoned(const Path& path) {
  const int fd = open_directory(path);
  if (fd < 0) return false;
  struct stat status {};
  const bool abandoned = ::fstat(fd, &status) == 0 && status.st_uid == ::geteuid() &&
                         ::flock(fd, LOCK_EX | LOCK_NB) == 0;
  ::close(fd);
  return abandoned;
}

// The directory's identity rather than its path: it may be reached on several paths.
std::string lock_name(const Place& place) {
  struct stat status {};
  if (::stat(place.parent.c_str(), &status) != 0) {
    throw system_error(errno, quoted_path(place.parent));
  }
  return "craftbundle/" + std::to_string(status.st_dev) + "/" + std::to_string(status.st_ino) +
         "/" + std::to_string(std::hash<std::string>()(place.name));
}

}  // namespace

TargetLock::TargetLock(const Place& place) {
  const std::string name = lock_name(place);
  socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return;  // not possible here: publishing is safe without
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // The leading zero byte makes the name abstract; 3 numbers of at most 20 digits always fit.
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (::bind(socket_, reinterpret_cast<const sockaddr*>(&address), length) == 0) return;
  const int error = errno;
  ::close(socket_);
  socket_ = -1;
  if (error == EADDRINUSE) {
    throw Error(ErrorKind::system, "target.busy",
                quoted_path(place.given) + " is being written by another run",
                "wait for it to finish, or write to another directory");
  }
}

TargetLock::~TargetLock() {
  if (socket_ >= 0) ::close(socket_);
}

void remove_left_overs(const Place& place, Sink& sink) {
  const Path aside = aside_path(place);
  boost::system::error_code ignored;
  if (fs::exists(fs::symlink_status(aside, ignored))) {
    // rename() puts it back where nothing, or an empty directory, lies, and fails otherwise.
    if (::rename(aside.c_str(), place.path().c_str()) == 0) {
      sink.log(LogLevel::warning, quoted_path(place.given) +
                                      ": restored the bundle that an interrupted run moved aside");
    } else {
      remove_flat_directory(aside);
    }
  }
  const std::string prefix = hidden_prefix(place);
  std::vector<Path> abandoned;
  boost::system::error_code error;
  fs::directory_iterator entry(place.parent, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (!is_staging_name(entry->path().filename().string(), prefix)) continue;
    if (is_abandoned(entry->path())) abandoned.push_back(entry->path());
  }
  for (const Path& path : abandoned) {
    if (remove_flat_directory(path)) {
      sink.log(LogLevel::debug, "removed " + quoted_path(path) + ", left by a killed run");
    }
  }
}

Staging::Staging(const Place& place) : place_(place) {
  do {
    directory_ = place.parent / (hidden_prefix(place) + random_suffix());
    if (::mkdir(directory_.c_str(), 0777) == 0) break;
    if (errno != EEXIST) {
      throw system_error(errno, "cannot create a directory beside " + quoted_path(place.given));
    }
  } while (true);
  lock_ = open_directory(directory_);
  if (lock_ < 0) {
    const int error = errno;
    ::rmdir(directory_.c_str());
    throw system_error(error, quoted_path(directory_));
  }
  // Not every file system has locks; without one, other runs may take the directory for abandoned
  // in the moment it exists, and publishing fails.
  ::flock(lock_, LOCK_EX | LOCK_NB);
}

Staging::~Staging() {
  if (!directory_.empty()) remove_flat_directory(directory_);
  ::close(lock_);
}

void Staging::publish(DirectoryTarget target, Durability durability, Sink& sink) {
  const Path path = place_.path();
  Path old;  // the replaced bundle
  if (target == DirectoryTarget::bundle) {
    if (::renameat2(AT_FDCWD, directory_.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0) {
      old = directory_;
    } else if (errno == EINVAL || errno == ENOSYS) {
      old = move_old_aside();
    } else {
      throw system_error(errno, "cannot replace " + quoted_path(place_.given));
    }
  }
  // Without an exchange the name is free now. rename() replaces nothing but an empty directory.
  if (old != directory_ && ::rename(directory_.c_str(), path.c_str()) != 0) {
    const int error = errno;
    if (!old.empty()) ::rename(old.c_str(), path.c_str());
    if (error == ENOTEMPTY || error == EEXIST || error == ENOTDIR) {
      throw Error(ErrorKind::usage, "target.exists",
                  quoted_path(place_.given) + " was created by somebody else meanwhile",
                  "choose another directory, or look at what is there");
    }
    throw system_error(error, "cannot create " + quoted_path(place_.given));
  }
  // Whatever fails from here on, the new bundle is there and the old one is what remains to remove.
  directory_ = old;
  if (durability == Durability::sync) sync_directory(place_.parent);
  if (!old.empty() && !remove_flat_directory(old)) {
    sink.log(LogLevel::warning, "the replaced bundle could not be removed: " + quoted_path(old));
  }
  directory_.clear();
}

Path Staging::move_old_aside() const {
  Path aside = aside_path(place_);
  if (::rename(place_.path().c_str(), aside.c_str()) != 0) {
    throw system_error(errno, "cannot replace " + quoted_path(place_.given));
  }
  return aside;
}

}  // namespace craftbundle
