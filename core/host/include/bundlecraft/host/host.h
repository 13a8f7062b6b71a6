// Finding exporter plugins, choosing one for a source, preparing and writing a component.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bundlecraft/base/sink.h"
#include "bundlecraft/host/sidecar.h"
#include "bundlecraft/io/output_file.h"
#include "bundlecraft/plugin/exporter.h"

namespace bundlecraft {

class PluginLibrary;

// Where plugins are looked for, in this order; the first library that offers an exporter name wins
// and the others are refused with both paths.
struct PluginSearch {
  std::vector<Path> directories;         // given by the caller (--plugin-dir)
  bool environment = true;               // BUNDLECRAFT_PLUGIN_PATH, ':' separated, absolute only
  bool user = true;                      // $XDG_DATA_HOME/bundlecraft/plugins, ~/.local/share/...
  bool installed = true;                 // beside the executable, then <prefix>/lib/bundlecraft/plugins
};

// The directories of `search` in order, with where each comes from, existing or not.
struct SearchDirectory {
  Path path;
  std::string origin;  // "--plugin-dir", "BUNDLECRAFT_PLUGIN_PATH", "user", "executable", "installed"
};
std::vector<SearchDirectory> search_directories(const PluginSearch& search, Sink& sink);

// A library that was found and whose description was accepted. Not mapped.
struct FoundPlugin {
  Path library;
  std::string origin;
  PluginInfo info;
};

// A library that was found and will not be used.
struct RefusedPlugin {
  Path library;
  std::string origin;
  std::string code;    // "plugin.abi", ...
  std::string reason;  // a sentence
};

// An exporter's answer about a source.
struct Candidate {
  std::string exporter;
  std::string component;
  Probe probe;        // confidence 0 when refused
};

// A component that is ready to be written, with what made it.
struct PreparedComponent {
  Component component;
  ExporterInfo exporter;
  std::string plugin_version;
  Path plugin_library;
  Probe probe;
  Source source;
  std::vector<OptionValue> options;  // all declared ones with their values
};

// What the user asks for.
struct ComponentRequest {
  Source source;
  std::optional<std::string> component;           // role wanted; nullopt: any
  std::optional<std::string> exporter;            // --exporter
  std::vector<OptionValue> options;               // given by the user, unchecked
};

// Thread: scan once, then all const functions may be called concurrently.
class Host {
 public:
  struct Options {
    PluginSearch search;
    Sink* sink = &Sink::none();
    const Cancellation* cancellation = &Cancellation::never();
  };

  // Reads the search path. Maps no library with a sidecar; a library without one is described by a
  // child process (time limit 10 s), so that a crash or hang is a refusal and nothing more.
  explicit Host(Options options);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host();

  const std::vector<FoundPlugin>& plugins() const { return found_; }
  const std::vector<RefusedPlugin>& refused() const { return refused_; }

  // Every exporter that takes sources of this kind, with its answer, best first.
  std::vector<Candidate> probe(const Source& source) const;

  // Chooses the exporter, checks the options against its declarations, and prepares the component.
  // Throws Error: usage "exporter.unknown", "option.unknown", "option.value" with near names;
  // input "exporter.none" (listing every answer), "exporter.tie" (naming both), "exporter.component"
  // (the source is something else than the role asked for, saying what it is); whatever the exporter
  // throws.
  PreparedComponent prepare(const ComponentRequest& request) const;

  // A checkpoint opened once per file for the life of the host.
  std::shared_ptr<const Checkpoint> open(const Path& path) const;

 private:
  class Context;
  struct Entry;
  const LineExporter& exporter(const Entry& entry) const;
  void add(FoundPlugin plugin);
  const Entry& choose(const ComponentRequest& request, Probe& probe) const;

  Options options_;
  std::vector<FoundPlugin> found_;
  std::vector<RefusedPlugin> refused_;
  std::vector<Entry> entries_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<const PluginLibrary>> libraries_;
  mutable std::map<std::string, std::weak_ptr<const Checkpoint>> checkpoints_;
};

// Options for resolving what the user typed into a Source.
struct SourceOptions {
  std::optional<Path> xps;  // --xps: directory with one folder per Dora signature
};

// What the user typed -> Source. Takes: a path to a file; a directory holding checkpoint.th; a Dora
// signature //sig/NAME (--xps, else AUDIOCRAFT_DORA_DIR/xps); //reference/PATH
// (AUDIOCRAFT_REFERENCE_DIR); a pretrained name, with or without //pretrained/. What looks like a
// path (absolute, ./, ../, ~, an extension a checkpoint has, more than one '/') must exist; anything
// else must be a possible name. Throws Error(input or usage, "source.*") saying what was tried, with
// near names in the same directory.
Source resolve_source(std::string_view given, const SourceOptions& options, const Host& host);

}  // namespace bundlecraft
