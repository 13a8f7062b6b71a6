// Whether a bundle or an exported file is what it says it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bundlecraft/bundle/manifest.h"
#include "bundlecraft/host/host.h"

namespace bundlecraft {

// A component file in a bundle directory.
struct ComponentFile {
  std::string role;
  std::string file;
};

// The component files of a directory: those that `manifest` names, else those of the layout that
// are there. Throws Error(input, "bundle.none") when there are none.
std::vector<ComponentFile> component_files(const Path& directory,
                                           const std::optional<Manifest>& manifest);

struct Verification {
  std::optional<Manifest> manifest;   // what really is there, as exporters see it
  std::uint64_t bytes = 0;            // read
  std::vector<std::string> checks;    // what holds, one clause each
  std::vector<std::string> problems;  // what does not
  std::vector<std::string> warnings;
};

// Reads every byte of the bundle directory or exported file at `path`: sizes and SHA-256 against
// the manifest, the CRC-32 of every record, whether an exporter understands each component, and
// whether they fit. What is wrong with the contents is a problem, not an error. Throws
// Error(input, "bundle.none"), Error(system), Error(interrupted).
Verification verify(const Path& path, const Host& host, Sink& sink,
                    const Cancellation& cancellation);

}  // namespace bundlecraft
