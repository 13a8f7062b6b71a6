// bundle.json: what a bundle holds, where it came from and what was checked
// (docs/bundle_format.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/bundle/fit.h"
#include "craftbundle/io/path.h"

namespace craftbundle {

inline constexpr std::string_view kManifestFile = "bundle.json";
// Raised when readers of the old version could misread the new one.
inline constexpr int kManifestVersion = 1;

struct ManifestComponent {
  std::string role;
  std::string file;
  std::uint64_t size = 0;
  std::string sha256;
  std::string
      source;  // file name or pretrained name; never an absolute path (same input, same bytes)
  std::string source_kind;  // "checkpoint", "pretrained"
  std::string exporter;
  int exporter_revision = 0;
  std::string exporter_version;  // of the plugin
  std::vector<OptionValue> options;
  std::vector<SummaryItem> summary;
  std::vector<FitFact> provides;
  std::vector<FitFact> requires_;
  std::vector<std::string> checks;
  std::vector<std::string> warnings;
};

struct Manifest {
  int format_version = kManifestVersion;
  std::string layout;
  std::string producer;  // "craftbundle 0.1.0"
  std::vector<ManifestComponent> components;
  std::vector<FitCheck> fit;
  bool mismatch_allowed = false;  // --allow-mismatch was needed
};

// JSON text: UTF-8, two-space indent, keys in a fixed order, newline at the end.
std::string to_json(const Manifest& manifest);

// Throws Error(input, "manifest.*"), also for a newer format version (both stated).
Manifest parse_manifest(std::string_view text);

// The manifest of a bundle directory; nullopt when there is none.
std::optional<Manifest> read_manifest(const Path& directory);

}  // namespace craftbundle
