// Publishing a directory as a whole.
#pragma once

#include <string>

#include "craftbundle/base/sink.h"
#include "target.h"

namespace craftbundle {

// Keeps other writers of this machine off a target. The lock is a name in the abstract socket
// namespace, so that it ends with the process and never lies around. Writers it cannot see (other
// machines, other network namespaces) still publish whole bundles, the last one wins.
class TargetLock {
 public:
  // Throws Error(system, "target.busy") when another writer has it. REQUIRES: the parent exists.
  explicit TargetLock(const Place& place);
  TargetLock(const TargetLock&) = delete;
  TargetLock& operator=(const TargetLock&) = delete;
  ~TargetLock();

 private:
  int socket_ = -1;
};

// Removes what killed runs left beside the target. An old bundle that was moved aside comes back
// when no new one took its place. REQUIRES: the TargetLock is held.
void remove_left_overs(const Place& place, Sink& sink);

// A directory beside the target that becomes the target.
class Staging {
 public:
  explicit Staging(const Place& place);
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  // Removes the directory and its files unless it was published.
  ~Staging();

  const Path& directory() const { return directory_; }

  // Gives the directory the name of the target, where nothing or an empty directory may lie, or,
  // with DirectoryTarget::bundle, the bundle that is replaced: atomically, except on file systems
  // that cannot exchange names, where the old one is moved aside for a moment.
  void publish(DirectoryTarget target, Durability durability, Sink& sink);

 private:
  Path move_old_aside() const;

  Place place_;
  Path directory_;
  int lock_ = -1;  // flock on the directory: tells other runs that it is in use
};

}  // namespace craftbundle
