// Writing components and whole bundles.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "craftbundle/bundle/layout.h"
#include "craftbundle/bundle/manifest.h"
#include "craftbundle/host/host.h"

namespace craftbundle {

struct PublishOptions {
  bool force = false;  // replace what is at the target
  Durability durability = Durability::sync;
  Sink* sink = &Sink::none();
  const Cancellation* cancellation = &Cancellation::never();
};

struct ExportReport {
  Path file;
  WriteSummary written;
};

// Writes one component as the file `target`; missing parent directories are created. Throws
// Error(usage): "target.exists", "target.is_source", "target.directory", "target.link",
// "target.not_a_file", "target.parent", "target.empty", "target.root", "target.name"; and
// everything of write_package and OutputFile. On any failure nothing is left at the target and an
// old file stays.
ExportReport write_component(const PreparedComponent& component, const Path& target,
                             const PublishOptions& options);

// Writes the network of `component`, a codec, with its weights: a program that other software runs
// without the code of the model (Codec::save; TorchScript for codecs of LibTorch). Throws as
// write_component(), Host::load_codec() and Codec::save(). Of report.written only `bytes` is set.
ExportReport write_program(const PreparedComponent& component, const Host& host, const Path& target,
                           const PublishOptions& options);

struct BundleOptions : PublishOptions {
  bool allow_mismatch = false;
  // Further files that a replaced bundle may hold and that go with it, by their names.
  std::vector<std::string> disposable;
};

struct BundleReport {
  Path directory;
  Manifest manifest;
  std::vector<WriteSummary> written;  // one per component
};

// What a manifest says of a component; size and hash are those of a written file, so they are
// empty.
ManifestComponent describe_component(const PreparedComponent& component);

// The manifest of a bundle of these components, their fit included.
Manifest describe_bundle(const std::vector<PreparedComponent>& components);

// Why the components that `manifest` describes do not fit: Error(mismatch, "bundle.mismatch") with
// every differing fact, or "bundle.unchecked" when a component requires facts and none of them
// could be compared.
std::optional<Error> find_misfit(const Manifest& manifest);

// Checks that `components` (one per role) fit, writes them in audiocraft_layout() with a manifest,
// and publishes the directory as a whole. With `force` an existing bundle (a directory that holds
// only files that its manifest or the layout names) is replaced once the new one is complete;
// anything else at the target is never touched ("target.foreign"). An empty directory is taken as
// it is. Other refused targets: as write_component, and "target.file". Throws find_misfit() unless
// allow_mismatch. Two writers to one target:
// the second fails with Error(system, "target.busy"). Left-overs of killed runs beside the target
// are removed.
BundleReport write_bundle(const std::vector<PreparedComponent>& components, const Path& target,
                          const BundleOptions& options);

}  // namespace craftbundle
