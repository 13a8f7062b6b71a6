// Craftbundle as a library: what the program does, one call each. Start here.
//
//   const craftbundle::Host host;  // finds the plugins
//   const craftbundle::BundleReport report = craftbundle::bundle(
//       host, {.components = {{.role = "lm", .source = "xps/9f2c/checkpoint.th"},
//                             {.role = "compression", .source = "xps/77aa/checkpoint.th"}},
//              .output = "my_model"});
//
// Every call throws Error (error.h) and nothing else, prints nothing, and leaves nothing behind
// when it fails. What a call is told lies in a struct whose members can be named, as above; the
// ones left out have defaults. `publish` and the like carry the sink for progress and warnings, and
// the cancellation.
//
// Thread: one host may serve any number of calls at the same time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/bundle/bundle.h"
#include "craftbundle/detail/bundle/inspection.h"
#include "craftbundle/detail/bundle/verify.h"
#include "craftbundle/detail/host/host.h"
#include "craftbundle/detail/pipeline/report.h"
#include "craftbundle/error.h"

namespace CRAFTBUNDLE_API craftbundle {

// A component as one asks for it.
struct ComponentChoice {
  // "lm", "compression", "text_encoder", a third party's word; empty: whatever it is. Of a
  // directory that holds a bundle, its component of this role is meant.
  std::string role = {};
  // A path, //sig/9f2c, the name of a pretrained model, or of one in the cache of the hub.
  std::string source = {};
  std::string exporter = {};  // empty: the one that understands the source best
  // Options of the exporter, and dtype, dtype-of, average, merge and fold-weight-norm, which every
  // model with weights takes, and config-from, which makes a model of weights without a
  // configuration.
  std::vector<OptionValue> options = {};
  // Where relative paths and signatures are looked for, and whether names stand for weights. `role`
  // above counts where it has none.
  SourceOptions lookup = {};
};

// Has the exporter of a source check it, and returns the component: a model, of which no tensor was
// read, or a name. Ready to be looked at, to be run (Host::load_codec()) or to be written
// (write_component(), write_bundle()). Throws as open_component().
PreparedComponent open(const Host& host, const ComponentChoice& choice);

// What is in a source, whoever wrote it, what exporters say of it, and what it would be exported as
// or why it cannot be. For the directory of a bundle see inspect_bundle(). Throws as
// resolve_source() and inspect_source().
SourceInspection inspect(const Host& host, const std::string& source,
                         const SourceOptions& lookup = {});

// The components of a bundle in any layout that can be read, each checked as open() does. Throws
// Error(input, "bundle.none") for a directory that is no bundle, "manifest.*", and as open().
std::vector<PreparedComponent> open_bundle(const Host& host, const Path& directory);

struct ExportJob {
  ComponentChoice component = {};
  Path output = {};  // the file; the directory of a layout that has several for a component
  LayoutChoice layout = {};
  PublishOptions publish = {};
};

// Writes one component. Throws as open() and write_component().
ExportReport export_component(const Host& host, const ExportJob& job);

struct BundleJob {
  std::vector<ComponentChoice> components = {};  // each of another role
  Path output = {};                              // the directory
  LayoutChoice layout = {};
  bool allow_mismatch = false;  // write components that do not fit; the manifest says so
  // Put what loaders would fetch into the bundle, from the cache of the hub.
  bool embed = false;
  PublishOptions publish = {};
};

// Writes a bundle, once its components are checked and fit. Throws as open() and write_bundle().
BundleReport bundle(const Host& host, const BundleJob& job);

struct ConvertJob {
  Path bundle = {};  // in any layout that can be read
  Path output = {};
  LayoutChoice layout = {};
  bool allow_mismatch = false;
  bool embed = false;
  PublishOptions publish = {};
};

// Writes a bundle again in another layout. Throws as open_bundle() and write_bundle().
BundleReport convert(const Host& host, const ConvertJob& job);

struct VerifyJob {
  Path source = {};                  // the directory of a bundle, or an exported file
  std::optional<Path> against = {};  // a file or directory to compare the tensors with
  ContentCheck check = ContentCheck::crc;
  bool as_is = false;  // its models are ones that no rule covers (kAsIsOption)
  Sink* sink = &Sink::none();
  const Cancellation* cancellation = &Cancellation::never();
};

// Reads a bundle or exported file, every byte unless only its structure is asked for, and says what
// holds. That something does not is no
// error but a finding. Throws as verify() with a path.
Verification verify(const Host& host, const VerifyJob& job);

struct RunJob {
  Path script = {};
  std::vector<std::string> settings = {};  // "a.b=VALUE", for variables of the script
  Path state_directory = {};               // empty: .craftbundle/SCRIPT beside the script
  // Names or patterns. `only`: these stages and nothing else; `until`: these and what they need.
  std::vector<std::string> only = {};
  std::vector<std::string> until = {};
  bool rerun = false;       // also stages that are up to date
  bool force = false;       // replace outputs that this script has not made
  bool keep_going = false;  // after a failure go on with what does not need it
  int jobs = 1;             // stages at the same time
  // Of large files without CRC-32s: structure tells them apart by size, times and inode.
  ContentCheck check = ContentCheck::crc;
  Durability durability = Durability::sync;
  Extents extents = Extents::shared;
  Sink* sink = &Sink::none();  // log lines begin with the stage
  const Cancellation* cancellation = &Cancellation::never();
};

// Runs the stages of a script that have to be, and says what became of each; failure(report) is
// what went wrong, if anything. Throws Error(usage, "run.script") with everything that is wrong
// with the script, before a stage has begun; Error(system), among them "run.busy" when another run
// of the script is under way.
RunReport run(const Host& host, const RunJob& job);

}  // namespace craftbundle
