// Writing components and whole bundles.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bundlecraft/bundle/layout.h"
#include "bundlecraft/bundle/manifest.h"
#include "bundlecraft/host/host.h"

namespace bundlecraft {

struct PublishOptions {
  bool force = false;              // replace what is at the target
  Durability durability = Durability::sync;
  Sink* sink = &Sink::none();
  const Cancellation* cancellation = &Cancellation::never();
};

struct ExportReport {
  Path file;
  WriteSummary written;
};

// Writes one component as the file `target`; missing parent directories are created. Throws
// Error(usage): "target.exists", "target.is_source", "target.directory"; and everything of
// write_package and OutputFile. On any failure nothing is left at the target and an old file stays.
ExportReport write_component(const PreparedComponent& component, const Path& target, const PublishOptions& options);

struct BundleOptions : PublishOptions {
  bool allow_mismatch = false;
};

struct BundleReport {
  Path directory;
  Manifest manifest;
  std::vector<WriteSummary> written;  // one per component
};

// Checks that `components` (one per role) fit, writes them in audiocraft_layout() with a manifest,
// and publishes the directory as a whole. With `force` an existing bundle (a directory with a
// manifest, or holding only files of the layout) is replaced once the new one is complete; anything
// else at the target is never touched ("target.foreign").
// Throws Error(mismatch, "bundle.mismatch") with every differing fact unless allow_mismatch;
// "bundle.unchecked" likewise when a component requires facts and none of them could be compared.
// Two writers to one target: the second fails with "target.busy". Left-overs of killed runs beside
// the target are removed.
BundleReport write_bundle(const std::vector<PreparedComponent>& components, const Path& target, const BundleOptions& options);

}  // namespace bundlecraft
