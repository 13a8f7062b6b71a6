// Whether a bundle or an exported file is what it says it is, and what can load it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "craftbundle/base/export.h"
#include "craftbundle/bundle/manifest.h"
#include "craftbundle/host/host.h"

namespace CRAFTBUNDLE_API craftbundle {

// One thing that was looked at.
struct Finding {
  enum class Outcome {
    holds,
    fails,
    warns,  // worth knowing, and no failure
  };
  Outcome outcome = Outcome::holds;
  std::string where;  // file name; empty: the bundle as a whole
  std::string code;   // of a failure: "manifest.sha256", "zip.crc", "values.not_a_number", ...
  std::string text;   // one clause
  std::string hint;   // what to do about a failure; may be empty
};
std::string_view to_string(Finding::Outcome outcome);

// A component, as an exporter sees it.
struct VerifiedComponent {
  std::string file;
  std::vector<LoaderAnswer> loaders;  // PyTorch first, then what the exporter says
};

// How the tensors of a component differ from those of another file.
struct TensorDifference {
  std::string file;
  std::string name;
  std::string what;     // "float32 -> float16", "folded", "equal"
  double absolute = 0;  // largest difference of an element
  double relative = 0;  // root of the mean square difference by that of the original
  std::uint64_t elements = 0;
};

struct VerifyOptions {
  // A file, or a directory with files of the same names, to compare tensors with.
  std::optional<Path> against;
  Sink* sink = &Sink::none();
  const Cancellation* cancellation = &Cancellation::never();
};

struct Verification {
  std::optional<Manifest> manifest;  // what really is there, as exporters see it
  std::uint64_t bytes = 0;           // of the files
  std::vector<Finding> findings;     // in the order in which they were made
  std::vector<VerifiedComponent> components;
  std::vector<TensorDifference> differences;
  // Components that can be prepared, for whoever wants to run them.
  std::vector<PreparedComponent> prepared;

  std::uint64_t count(Finding::Outcome outcome) const;
  // "FILE: TEXT" of each finding of this outcome.
  std::vector<std::string> texts(Finding::Outcome outcome) const;
};

// Reads every byte of the bundle directory or exported file at `path`:
//
// * that every file of the layout is there and lies as loaders want it;
// * sizes and SHA-256 against the manifest, and the CRC-32 of every record;
// * names in the pickle that run code, or that no loader knows;
// * whether an exporter takes each component: package keys, configuration, every tensor and shape;
// * elements that are not a number or infinite (failures), tensors of zeros only (warnings);
// * whether the components fit, and what can load them;
// * with `against`, the difference to the original weights.
//
// What is wrong with the contents is a finding, not an error. Throws Error(input, "bundle.none"),
// Error(usage, "verify.against"), Error(system), Error(plugin), Error(interrupted), and what
// opening the original throws.
Verification verify(const Path& path, const Host& host, const VerifyOptions& options);

}  // namespace craftbundle
