// Who can change a file: code is loaded only when nobody else can.
#pragma once

#include <cstdint>
#include <ctime>

#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/io/path.h"

namespace craftbundle {

// A file that nobody but root and this user can change or put another one in the place of, held by
// descriptors: what was judged is what is read and loaded, whatever becomes of its name.
//
// The links in its name are followed once. Then the way down from the root directory is gone
// descriptor by descriptor, without links:
//
// * The file and every directory above it belong to root or to this user.
// * Only their owner may write them. A group may too when it is the owner's own group (same number
//   as the user, as useradd makes them), so that a umask of 002 works.
// * A directory that others may write must be sticky, as /tmp is, and must not be the file's own:
//   in it only the owner can move what lies there, and what lies there is a directory that was
//   judged. In the file's own, others could put dependencies and descriptions beside it.
//
// Access control lists are covered: their mask shows in the bits of the group.
class TrustedFile {
 public:
  // Throws Error: plugin "plugin.permissions" with what to do, "plugin.unreadable",
  // "plugin.not_a_file"; system when the machine is at fault (is_fault_of_machine()).
  explicit TrustedFile(const Path& path);
  TrustedFile(const TrustedFile&) = delete;
  TrustedFile& operator=(const TrustedFile&) = delete;
  ~TrustedFile();

  // Without links.
  const Path& path() const { return path_; }

  // A name of the file itself, which no change of names can turn to another: /proc/self/fd/N.
  // Valid as long as this object.
  Path pinned() const;
  // A name of the file in its directory, and only the directory cannot turn to another. For the
  // dynamic linker, to which $ORIGIN is where the name says that a library lies.
  Path pinned_by_directory() const;

  // As InputFile(path()), of this very file.
  InputFile open() const;

  // Throws Error(plugin, "plugin.changed") when the file was written, or another one took its
  // place, since it was judged.
  void check_unchanged() const;

 private:
  Path path_;
  int directory_ = -1;
  int file_ = -1;
  std::uint64_t size_ = 0;
  timespec changed_{};
};

}  // namespace craftbundle
