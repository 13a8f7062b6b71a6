// Loading one plugin library. The only layer that maps foreign code (Boost.DLL).
#pragma once

#include <memory>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/host/sidecar.h"
#include "craftbundle/detail/io/path.h"
#include "craftbundle/detail/plugin/plugin.h"

namespace CRAFTBUNDLE_API craftbundle {

// A loaded plugin library and what it offers. The library stays mapped until the
// process ends, so that nothing of it can dangle.
class PluginLibrary {
 public:
  // Judges the file (trusted owner and permissions, ELF header of this machine, complete segments),
  // maps it with all symbols bound now and kept local, judges its descriptor, and runs its entry.
  // What is mapped is the file that was judged, whatever its name means meanwhile.
  // A library that was mapped before in this process gives the same object, or the same error: its
  // entry runs once. Thread: any.
  //
  // Throws Error(plugin): as check_library_file(), "plugin.undefined_symbol",
  // "plugin.missing_dependency", "plugin.load", "plugin.no_entry", "plugin.abi",
  // "plugin.interface", "plugin.descriptor", "plugin.entry", "plugin.info"; version messages state
  // both sides; "plugin.changed" when something wrote to the file meanwhile. REQUIRES: `library` is
  // absolute.
  static std::shared_ptr<const PluginLibrary> load(const Path& library);

  // For load(): judges the descriptor of a mapped library and runs its entry.
  PluginLibrary(Path path, const PluginDescriptor& descriptor);

  const Path& path() const { return path_; }
  const PluginInfo& info() const { return info_; }
  const Offers& all() const { return offers_; }

  // Those of one kind, in the order of their descriptions: offers<Exporter>().
  template <typename Offer>
  const OffersOfKind<Offer>& offers() const {
    return std::get<OffersOfKind<Offer>>(offers_);
  }

 private:
  Path path_;
  PluginInfo info_;
  Offers offers_;
};

// The part of load() that maps nothing: whether the file may be loaded at all; its path without
// links. The file and every directory above it must belong to root or to this user and be writable
// by nobody else (a group with the owner's own number may; a sticky directory above the file's own
// may be open). Throws Error: plugin "plugin.permissions", "plugin.unreadable",
// "plugin.not_a_file", and as check_elf() (elf.h); system when there are no more descriptors or the
// disk fails, which says nothing about the library.
Path check_library_file(const Path& library);

}  // namespace craftbundle
