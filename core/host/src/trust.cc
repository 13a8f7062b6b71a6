#include "trust.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/filesystem/operations.hpp>
#include <cerrno>
#include <string>

#include "craftbundle/base/error.h"

namespace craftbundle {
namespace {

struct stat status_of(const Path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    throw Error(ErrorKind::plugin, "plugin.unreadable",
                system_error(errno, path_text(path)).bare_message())
        .add_context(path_text(path));
  }
  return status;
}

[[noreturn]] void refuse(const Path& path, const std::string& what, const std::string& hint) {
  throw Error(ErrorKind::plugin, "plugin.permissions", what + ", so it could hold anyone's code",
              hint)
      .add_context(path_text(path));
}

void check_owned(const Path& path) {
  const struct stat status = status_of(path);
  const uid_t self = ::geteuid();
  if (status.st_uid != 0 && status.st_uid != self) {
    refuse(path,
           "belongs to user " + std::to_string(status.st_uid) + ", expected root or user " +
               std::to_string(self),
           "install the plugin as root, or as the user who runs this");
  }
  if ((status.st_mode & S_IWOTH) != 0) {
    refuse(path, "is writable by everyone", "run: chmod o-w " + path_text(path));
  }
  if ((status.st_mode & S_IWGRP) != 0 && status.st_gid != status.st_uid) {
    refuse(path, "is writable by group " + std::to_string(status.st_gid),
           "run: chmod g-w " + path_text(path));
  }
}

}  // namespace

Path real_path(const Path& path) {
  boost::system::error_code failure;
  const Path real = boost::filesystem::canonical(path, failure);
  if (!failure) return real;
  boost::system::error_code ignored;
  const bool is_link = boost::filesystem::is_symlink(path, ignored);
  throw Error(ErrorKind::plugin, "plugin.unreadable",
              is_link ? "is a link to nothing" : "cannot be found")
      .add_context(path_text(path));
}

void check_trusted(const Path& file) {
  check_owned(file);
  const Path directory = file.parent_path();
  check_owned(directory);
  for (Path above = directory.parent_path(); !above.empty(); above = above.parent_path()) {
    const mode_t mode = status_of(above).st_mode;
    if ((mode & S_IWOTH) != 0 && (mode & S_ISVTX) == 0) {
      refuse(above, "is writable by everyone", "run: chmod o-w " + path_text(above));
    }
  }
}

}  // namespace craftbundle
