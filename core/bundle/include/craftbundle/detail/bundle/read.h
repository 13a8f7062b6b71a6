// Finding the components of a bundle that lies somewhere.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/bundle/manifest.h"
#include "craftbundle/detail/bundle/transform.h"
#include "craftbundle/detail/host/host.h"

namespace CRAFTBUNDLE_API craftbundle {

// What a directory says it holds, before any component is opened.
struct BundleListing {
  // A component by its role.
  struct Entry {
    std::string role;
    std::string file;     // by which it is named, relative to the directory
    bool stated = false;  // the manifest has it
  };
  Path directory;
  std::optional<Manifest> manifest;
  LayoutInfo layout;
  std::vector<Entry> entries;  // those of the manifest, then what else of the layout is there

  bool has(const std::string& role) const;
};

// The components of a directory: those that `manifest` names, there or not, and those of the layout
// that are there. Without a manifest the layout is the one that recognizes the files. Throws
// Error(input, "bundle.none") when there is neither, usage "layout.unknown".
BundleListing list_bundle(const Path& directory, std::optional<Manifest> manifest,
                          const Host& host);

// The source of a component in it. Throws what the layout throws, and Error(input,
// "manifest.missing") when it is not there.
RoleSource find_source(const BundleListing& bundle, const std::string& role, const Host& host);

// Whether `path` is a directory that resolve_source() takes and that is no bundle.
bool is_source_directory(const Path& path, const Host& host);

// All components of the bundle in `directory`, prepared by their exporters. Throws as
// list_bundle(), read_manifest(), find_source() and prepare_component().
std::vector<PreparedComponent> components_of(const Path& directory, const Host& host);

}  // namespace craftbundle
