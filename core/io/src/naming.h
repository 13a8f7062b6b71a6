// Names of files and directories that are published: giving and exchanging them, and telling what a
// dead writer left from what somebody is writing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/io/descriptor.h"
#include "craftbundle/detail/io/path.h"

namespace craftbundle {

// A directory held open to be flushed, where the file system can do that. Throws system.
class OpenDirectory {
 public:
  explicit OpenDirectory(const Path& path);
  void flush() const;

 private:
  Path path_;
  Descriptor fd_;
};

// These return false with errno set on failure. The first two never replace anything; where there
// are neither RENAME_NOREPLACE nor hard links, the second looks first.
bool link_unnamed(int fd, const Path& name);
bool rename_without_replacing(const Path& from, const Path& to);
bool exchange_names(const Path& one, const Path& other);
// Whether exchange_names() failed because the file system knows no flags of renameat2().
bool cannot_exchange(int error);

enum class LockOutcome {
  taken,       // until the descriptor is closed
  busy,        // somebody else has it
  gone,        // what was locked has lost its name meanwhile
  impossible,  // the file system has no locks
};

// Takes an exclusive lock (flock) on `fd`, which was opened as `path`.
LockOutcome lock_named(int fd, const Path& path);

// Opens and locks a file or directory of this user that nobody holds a lock on; none for others.
// What it gives was left by a dead writer, and is nobody else's to remove until it is closed.
Descriptor take_abandoned(const Path& path, int flags);

// `length` random hexadecimal digits.
std::string random_digits(std::size_t length);

// What `directory` holds under names of `prefix` and random digits; nothing when it cannot be read.
std::vector<Path> find_random_names(const Path& directory, std::string_view prefix,
                                    std::size_t length);

}  // namespace craftbundle
