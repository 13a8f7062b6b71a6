// Writing components and whole bundles.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/bundle/manifest.h"
#include "craftbundle/detail/host/host.h"

namespace CRAFTBUNDLE_API craftbundle {

struct PublishOptions {
  bool force = false;  // replace what is at the target
  Durability durability = Durability::sync;
  Sink* sink = &Sink::none();
  const Cancellation* cancellation = &Cancellation::never();
  ContentCheck check = ContentCheck::crc;
  Extents extents = Extents::shared;
};

// A file that was written.
struct WrittenFile {
  std::string name;                // relative to the directory; of a single file its last part
  std::vector<std::string> roles;  // of the components in it
  WriteSummary written;
  std::string use = {};                    // BundleFile::use
  std::vector<std::string> warnings = {};  // BundleFile::warnings
};

// That lie in the same blocks on the disk as in the sources.
std::uint64_t shared_bytes(const std::vector<WrittenFile>& files);

struct ExportReport {
  Path target;                     // the file, or the directory of a layout with several files
  std::vector<WrittenFile> files;  // at least one
  ManifestComponent component;     // what was written
  ContentCheck check = ContentCheck::crc;
};

// Writes one component in a layout. A layout that gives it one file writes that as `target`;
// otherwise `target` becomes a directory with a manifest, as write_bundle() makes it. Missing
// parent directories are created. Throws what Host::lay_out() throws; Error(usage):
// "target.exists", "target.is_source", "target.directory", "target.link", "target.not_a_file",
// "target.parent", "target.empty", "target.root", "target.name"; and everything that writing and
// publishing throw. On any failure nothing is left at the target and what was there stays.
ExportReport write_component(const PreparedComponent& component, const LayoutChoice& layout,
                             const Host& host, const Path& target, const PublishOptions& options);

struct BundleOptions : PublishOptions {
  bool allow_mismatch = false;
  // Further files that a replaced bundle may hold and that go with it, by their names.
  std::vector<std::string> disposable;
};

struct BundleReport {
  Path directory;
  Manifest manifest;
  std::vector<WrittenFile> files;
  std::vector<std::string> warnings = {};  // about the bundle as a whole
};

// What a manifest says of a component; `fetched` is what loaders fetch by name for it, by default
// everything that is not part of it (fetched_for()).
ManifestComponent describe_component(const PreparedComponent& component);
ManifestComponent describe_component(const PreparedComponent& component,
                                     const std::vector<std::string>& fetched);

// The manifest of a bundle of these components, their fit included; without files.
Manifest describe_bundle(const std::vector<PreparedComponent>& components);

// `load_with` (Component::load_with) for a bundle in `directory`, escaped.
std::string loading_code(const std::string& load_with, const Path& directory);

// Why the components that `manifest` describes do not fit: Error(mismatch, "bundle.mismatch") with
// every differing fact, or "bundle.unchecked" when a component requires facts and none of them
// could be compared, unless one is taken as it is.
std::optional<Error> find_misfit(const Manifest& manifest);
// The same for these components, and first Error(mismatch, "bundle.guess") for a name of which an
// exporter that nobody named knows no more than that it could be one of its models.
std::optional<Error> find_misfit(const std::vector<PreparedComponent>& components);

// Checks that `components` (one per role) fit, writes the files of the layout with a manifest, and
// publishes the directory as a whole. With `force` an existing bundle (a directory that holds only
// files that its manifest or a layout names) is replaced once the new one is complete; anything
// else at the target is never touched ("target.foreign"). An empty directory is taken as it is.
// Other refused targets: as write_component, and "target.file". Throws find_misfit() unless
// allow_mismatch. Two writers to one target: the second fails with Error(system, "target.busy").
// Left-overs of killed runs beside the target are removed.
BundleReport write_bundle(const std::vector<PreparedComponent>& components,
                          const LayoutChoice& layout, const Host& host, const Path& target,
                          const BundleOptions& options);

}  // namespace craftbundle
