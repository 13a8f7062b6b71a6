// Who can change a file: code is loaded only when nobody else can.
#pragma once

#include "craftbundle/io/path.h"

namespace craftbundle {

// `path` without links. Throws Error(plugin, "plugin.unreadable").
Path real_path(const Path& path);

// Refuses a file that another user could have written. REQUIRES: `file` is canonical.
//
// * The file and its directory belong to root or to this user, and only their owner may write them.
//   A group may too when it is the owner's own group (same number as the user, as useradd makes
//   them), so that a umask of 002 works.
// * No directory above is writable by everyone, unless it is sticky: in a sticky directory such as
//   /tmp only the owner can move what lies in it, and what lies in it was checked.
//
// Nobody else can then exchange the file between this check and the load.
// Throws Error(plugin): "plugin.permissions" with what to do, "plugin.unreadable".
void check_trusted(const Path& file);

}  // namespace craftbundle
