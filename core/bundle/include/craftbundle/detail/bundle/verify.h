// Whether a bundle or an exported file is what it says it is, and what can load it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/bundle/manifest.h"
#include "craftbundle/detail/bundle/tensor_diff.h"
#include "craftbundle/detail/host/host.h"

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

// A component of the bundle, whether an exporter takes it or not.
struct VerifiedComponent {
  std::string role;        // empty: of a single file that does not tell
  std::string file;        // printable
  std::uint64_t size = 0;  // of the file
  // PyTorch first, then what the exporter says; none when no exporter takes it.
  std::vector<LoaderAnswer> loaders;
  std::optional<PreparedComponent> prepared;
};

struct VerifyOptions {
  enum class Depth {
    structure,  // no element of a tensor is read: fast, whatever the size
    contents,
  };
  Depth depth = Depth::contents;
  // A file, or a directory with files of the same names, to compare tensors with.
  std::optional<Path> against;
  // Its components are models that no rule covers (kAsIsOption). What a manifest says of that
  // counts as well.
  bool as_is = false;
  Sink* sink = &Sink::none();
  const Cancellation* cancellation = &Cancellation::never();
};

struct Verification {
  std::optional<Manifest> stated;  // bundle.json as it was read
  Manifest described;              // what really is there, as exporters see it
  std::string layout = std::string(kDefaultLayout);
  VerifyOptions::Depth depth = VerifyOptions::Depth::contents;
  std::uint64_t bytes = 0;        // of the files
  std::vector<Finding> findings;  // file by file, in the order of the checks
  std::vector<VerifiedComponent> components;
  std::vector<TensorDifference> differences;
  std::vector<std::string> fetched;  // names that loaders fetch from the network; none: offline

  std::uint64_t count(Finding::Outcome outcome) const;
  bool is_sound() const { return count(Finding::Outcome::fails) == 0; }
  // "FILE: TEXT" of each finding of this outcome.
  std::vector<std::string> texts(Finding::Outcome outcome) const;
  // Whether an exporter took any component.
  bool any_prepared() const;
  // Whether it loads without the network; nullopt: not known, as of models that were taken as they
  // are.
  std::optional<bool> is_offline() const;
  // What components of a bundle need and no other one states. Valid as long as this.
  std::vector<const FitCheck*> not_compared() const;
};

// Holds a bundle directory or exported file at `path` against everything in verify_checks(), and
// with `against` compares it with the original weights. Of a file whose contents are looked at each
// byte is read once, for all that is asked of it; again only what is compressed, transposed or in
// foreign byte order.
//
// What is wrong with the contents is a finding, not an error. Throws Error(input, "bundle.none"),
// Error(usage, "verify.against"), Error(system), Error(plugin), Error(interrupted), and what
// opening the original throws.
Verification verify(const Path& path, const Host& host, const VerifyOptions& options);

struct VerifyCheck {
  std::string_view name;
  std::string_view description;  // one sentence
};
// In the order of their findings.
std::vector<VerifyCheck> verify_checks();

}  // namespace craftbundle
