// bundle.json: what a bundle holds, where it came from and what was checked
// (docs/bundle_format.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/bundle/fit.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/io/path.h"
#include "craftbundle/detail/plugin/layout.h"

namespace CRAFTBUNDLE_API craftbundle {

// Raised when readers of the old version could misread the new one.
inline constexpr int kManifestVersion = 2;

struct ManifestFile {
  std::string name;  // relative to the bundle's directory; stays in it
  std::uint64_t size = 0;
  std::string sha256;              // empty: not computed, as with ContentCheck::structure
  std::vector<std::string> roles;  // of the components in it; empty: of the bundle as a whole
};

// A file that a component was made from.
struct ManifestRead {
  // Relative to the source, when it is a directory or the file lies beside it; else the last part.
  std::string name;
  std::uint64_t size = 0;
  std::string sha256;  // empty: not computed, as for what is only looked at or not checked
};

struct ManifestComponent {
  std::string role;
  // Name of a file or directory, or pretrained name; never an absolute path (same input, same
  // bytes).
  std::string source;
  std::string source_kind;  // "checkpoint", "pretrained", "model", "directory"
  // What the exporter read: the files of a directory, and those beside a checkpoint, sorted.
  std::vector<ManifestRead> files_read;
  std::string exporter;
  int exporter_revision = 0;
  std::string exporter_version;  // of the plugin
  std::vector<OptionValue> options;
  std::vector<SummaryItem> summary;
  std::vector<FitFact> provides;
  std::vector<FitFact> requires_;
  std::vector<std::string> checks;
  std::vector<std::string> warnings;
  // The line of code that loads the bundle (Component::load_with, BundleFile::use); may be empty.
  std::string load_with;
};

struct Manifest {
  int format_version = kManifestVersion;  // of the text it was read from
  std::string layout;
  int layout_revision = 1;
  std::vector<OptionValue> layout_options;
  std::string producer;  // "craftbundle 0.1.0"
  std::vector<ManifestFile> files;
  std::vector<ManifestComponent> components;
  std::vector<FitCheck> fit;
  bool mismatch_allowed = false;           // --allow-mismatch was needed
  ContentCheck check = ContentCheck::crc;  // of what the bundle was made from
};

// The SHA-256 of a file, to show people; "not computed" where the manifest states none.
std::string digest_text(const ManifestFile& file);

// What is said where the contents were not checked.
std::string unchecked_text();

// JSON text of version kManifestVersion: UTF-8, two-space indent, keys in a fixed order, newline at
// the end.
std::string to_json(const Manifest& manifest);

// Reads every version there was: version 1 had one file for each component. Throws Error(input,
// "manifest.*"), also for a newer format version (both stated).
Manifest parse_manifest(std::string_view text);

// The first file of a component, by which it is named; nullptr when there is none.
const ManifestFile* file_of(const Manifest& manifest, std::string_view role);

// The options with which the component of this role has to be read again: whether it is taken as it
// is (kAsIsOption).
std::vector<OptionValue> reading_options(const std::optional<Manifest>& manifest,
                                         std::string_view role);

// The manifest of a bundle directory; nullopt when there is none.
std::optional<Manifest> read_manifest(const Path& directory);

}  // namespace craftbundle
