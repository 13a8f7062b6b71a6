// What a plugin implements to add a kind of stage to run scripts (docs/run_script.md).
//
// A stage reads files, does one thing and leaves one file, one directory, or nothing but what it
// found out. It never opens output files itself: what it writes appears at its place once it is
// complete.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "craftbundle/detail/io/output_file.h"
#include "craftbundle/detail/plugin/codec.h"
#include "craftbundle/detail/plugin/exporter.h"

namespace CRAFTBUNDLE_API craftbundle {

// The name is the key in a script, none of kReservedStageNames.
struct StageKindInfo : OfferInfo {
  static constexpr std::string_view kKind = "stage";
  enum class Output { none, file, directory };

  Output output = Output::file;
  std::string inputs;  // for people, what it reads: "an exported compression model"

  template <typename Self, typename Visit>
  static void visit(Self& self, Visit&& field) {
    field({"output", "leaves"}, self.output);
    field({"inputs", "reads"}, self.inputs);
  }
  friend bool operator==(const StageKindInfo&, const StageKindInfo&) = default;
};
std::string_view to_string(StageKindInfo::Output output);

// What keys of stages mean already, or may mean one day.
inline constexpr std::string_view kReservedStageNames[] = {
    "allow_failure", "archive", "bundle",  "card",    "checksum",    "command", "convert", "copy",
    "env",           "export",  "if",      "include", "description", "inspect", "matrix",  "name",
    "needs",         "options", "retries", "run",     "shell",       "slurm",   "timeout", "to",
    "upload",        "uses",    "vars",    "verify",  "when",        "with"};

// One stage to run.
struct StageRequest {
  std::string stage;                 // its name in the script
  std::vector<Path> inputs;          // at least one; they exist, as files or directories
  std::vector<OptionValue> options;  // all declared ones, as the host has checked them

  // Value of a declared option; throws Error(internal) for one that is not declared.
  const std::string& option(std::string_view name) const;
};

// Services of the host during run().
class StageContext : public HostContext {
 public:
  // A new file of the output, owned by the host, which publishes it when run() returns. `name` is
  // the file's name in the directory (no '/'), and empty for Output::file. Throws Error(plugin,
  // "plugin.stage_output") for anything else and for a name that was taken before.
  virtual OutputFile& create(const std::string& name) = 0;
  // Audio in any format that the program reads (WAV, FLAC, OGG). Throws as open_file(), and
  // Error(input, "audio.file") for what is none, usage "audio.none" where no audio can be opened.
  virtual std::unique_ptr<AudioReader> open_audio(const Path& path);
  // The codec of an exported file, a checkpoint, or a bundle, ready to run; run_codec() and
  // encode_pieces() take it and audio (craftbundle/codec.h). Throws Error(input) for what no
  // exporter takes, plugin "codec.none" where no plugin runs it or no codec can be loaded, and
  // whatever its loader throws.
  virtual std::unique_ptr<Codec> load_codec(const Path& path, const CodecOptions& options = {});
};

// What a stage has to tell, for reports.
struct StageOutcome {
  std::vector<SummaryItem> summary;
  std::vector<std::string> checks;    // what was checked, one clause each
  std::vector<std::string> warnings;  // what the user should know
};

// Implemented by plugins, as Exporter. Thread: all functions may be called concurrently.
//
// Errors: throw craftbundle::Error; kind mismatch says that everything is readable but a check
// failed (exit code 4).
class StageKind {
 public:
  using Offer = StageKind;
  using Info = StageKindInfo;
  virtual ~StageKind() = default;
  virtual StageKindInfo info() const = 0;
  virtual StageOutcome run(const StageRequest& request, StageContext& context) const = 0;
};

}  // namespace craftbundle
