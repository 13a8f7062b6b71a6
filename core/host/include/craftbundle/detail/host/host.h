// Finding exporter plugins, choosing one for a source, preparing and writing a component.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/host/reading.h"
#include "craftbundle/detail/host/sidecar.h"
#include "craftbundle/detail/io/output_file.h"
#include "craftbundle/detail/plugin/codec.h"
#include "craftbundle/detail/plugin/exporter.h"
#include "craftbundle/detail/plugin/layout.h"
#include "craftbundle/detail/plugin/stage_kind.h"

namespace CRAFTBUNDLE_API craftbundle {

class PluginLibrary;

// Where plugins are looked for, in this order; the first library that offers an exporter name wins
// and the others are refused with both paths.
struct PluginSearch {
  std::vector<Path> directories = {};  // given by the caller (--plugin-dir)
  bool environment = true;             // CRAFTBUNDLE_PLUGIN_PATH, ':' separated, absolute only
  bool user = true;                    // $XDG_DATA_HOME/craftbundle/plugins, ~/.local/share/...
  bool installed = true;  // beside the executable, then <prefix>/lib/craftbundle/plugins
  bool program = true;    // false: what lies beside the executable is not ours
};

// The directories of `search` in order, existing or not, each once, with where it comes from.
// Relative and empty elements of CRAFTBUNDLE_PLUGIN_PATH are left out with a warning: what is
// loaded must not depend on the current directory. A program that runs with more rights than its
// user (setuid and the like) reads no environment variable.
struct SearchDirectory {
  Path path;
  std::string
      origin;  // "--plugin-dir", "CRAFTBUNDLE_PLUGIN_PATH", "user", "executable", "installed"
};
std::vector<SearchDirectory> search_directories(const PluginSearch& search, Sink& sink);

// A library that was found and whose description was accepted. Not mapped.
struct FoundPlugin {
  Path library;
  std::string origin;
  PluginInfo info;
};

// An offer of a plugin, by its description. Valid as long as the host.
template <typename Info>
struct FoundOffer {
  const FoundPlugin* plugin;
  const Info* info;
};

// A library that was found and will not be used.
struct RefusedPlugin {
  Path library;
  std::string origin;
  std::string code;    // "plugin.abi", ...
  std::string reason;  // a sentence without the library's name, with what to do
};

// Error::subject() when a source is of another role than the one asked for.
inline constexpr std::string_view kRoleSubject = "role";

// An exporter's answer about a source.
struct Candidate {
  std::string exporter;
  std::string component;
  Probe probe;  // confidence 0 when refused
};

// A component that is ready to be written, with what made it.
struct PreparedComponent {
  Component component;
  ExporterInfo exporter;
  std::string plugin_version;
  Path plugin_library;
  Probe probe;
  Source source;
  std::vector<OptionValue> options;  // all declared ones, and further ones, with their values
  // Beside the source: all files of a directory that were used, or further ones.
  std::vector<ReadFile> read = {};
  bool exporter_named = false;  // by the user, so that it was not chosen by what it answered

  // Whether the source is a name of which the exporter knows no more than that it could be one of
  // its models, and nobody asked for this exporter.
  bool is_guess() const;
};

// What the user asks for.
struct ComponentRequest {
  Source source;
  std::optional<std::string> component;  // role wanted; nullopt: any
  std::optional<std::string> exporter;   // --exporter
  std::vector<OptionValue> options;      // given by the user, unchecked
  // Options that the caller understands itself, beside those of the exporter, which is not given
  // them. An exporter's own option of the same name comes first.
  std::vector<OptionSpec> further_options = {};
  Path directory = {};  // where relative paths in options start; empty: the current directory
};

// A layout by its name, or several of one directory ("a+b"), with what the user says of it. An
// option is that of the layouts that declare it.
struct LayoutChoice {
  std::string name = std::string(kDefaultLayout);
  std::vector<OptionValue> options = {};  // unchecked
};

// Opens audio of some format; libraries that read such formats belong to the program. Throws
// Error(input, "audio.file") for what is none.
using AudioOpener =
    std::function<std::unique_ptr<AudioReader>(std::shared_ptr<const InputFile> file)>;

// While it lives, calls of a Host by this thread are those of a stage: they heed its cancellation
// instead of the host's, and calls of plugins that are not part of the installation may take no
// longer than it, where it has a limit.
class StageScope {
 public:
  StageScope(const Cancellation* cancellation, std::optional<std::chrono::milliseconds> limit);
  StageScope(const StageScope&) = delete;
  StageScope& operator=(const StageScope&) = delete;
  ~StageScope();

 private:
  const StageScope* before_;
  friend class Host;
  const Cancellation* cancellation_;  // nullptr: the host's
  std::optional<std::chrono::milliseconds> limit_;
};

// Finds plugins and calls what they offer. Plugins that are not part of the installation cannot
// take the process down by describing: each of their functions that does so (all of Exporter and
// Layout) is called in a copy of this process, with a time limit. What a probe says comes back from
// there; what else survives it is called here. A copy is made by fork(): objects that functions of
// the host are given must not be guarded by locks that other threads may hold. A crash, a loop and
// an exit are Error(plugin), "plugin.crash", "plugin.hang", "plugin.exit", that name plugin and
// function; a probe that ends so answers 0. running_plugin_call() (plugin_call.h) says what runs
// here.
//
// Thread: scan once, then all const functions may be called concurrently.
class Host {
 public:
  struct Options {
    PluginSearch search = {};
    Sink* sink = &Sink::none();
    const Cancellation* cancellation = &Cancellation::never();
    Path scanner = {};  // empty: the craftbundle-scan that belongs to this library
    std::chrono::milliseconds scan_limit{10'000};
    AudioOpener open_audio = {};  // for stages of plugins; empty: they can open none
    // Of one call of a plugin that is not part of the installation; probe() has `scan_limit`.
    std::chrono::milliseconds call_limit{60'000};
  };

  // Reads the search path. Maps no library with a sidecar; a library without one is described by a
  // child process (time limit `scan_limit`), so that a crash or hang is a refusal and nothing more.
  // Throws Error: interrupted on cancellation; system when a directory or library cannot be read
  // through no fault of its own (too many open files, a failing disk). Whatever is wrong with a
  // library is in refused().
  explicit Host(Options options);
  Host() : Host(Options()) {}
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host();

  const std::vector<FoundPlugin>& plugins() const { return found_; }
  const std::vector<RefusedPlugin>& refused() const { return refused_; }

  // What plugins offer of one kind, in order of plugins(): offers<ExporterInfo>().
  template <typename Info>
  std::vector<FoundOffer<Info>> offers() const {
    std::vector<FoundOffer<Info>> found;
    for (const FoundPlugin& plugin : found_) {
      for (const Info& info : plugin.info.offers<Info>()) found.push_back({&plugin, &info});
    }
    return found;
  }

  // Every exporter that takes sources of this kind, with its answer, best first. Asks, and so maps,
  // only those whose declared names take a pretrained name or a directory. A library that cannot be
  // loaded and an exporter that fails answer 0 with the reason: one bad plugin does not spoil the
  // others.
  std::vector<Candidate> probe(const Source& source) const;

  // Names and patterns ("org/prefix_*", "*") of pretrained sources that exporters take, sorted.
  std::vector<std::string> pretrained_names() const;
  // Whether the names that some exporter declares take a directory of these files.
  bool takes_directory(const std::vector<std::string>& files) const;
  // The same, and where a layout recognizes it as well, whether an exporter that has looked into it
  // understands it: names in it alone do not tell then.
  bool takes_directory(const std::shared_ptr<const SourceDirectory>& directory) const;

  // Chooses the exporter (with kAsIsOption as described there), checks the options against its
  // declarations, and prepares the component. Throws Error: usage "exporter.unknown",
  // "exporter.kind" (takes files, not names, or the reverse), "exporter.as_is" (none can),
  // "exporter.role" (several can), "option.unknown", "option.value", "option.duplicate" with near
  // names; input "exporter.none" (listing every answer), "exporter.tie" (naming both),
  // "exporter.component" (the source is something else than the role asked for, saying what it is);
  // plugin "plugin.component" (the exporter made another role than it announced),
  // "plugin.facts" (facts that are none), as
  // PluginLibrary::load, and "plugin.sidecar_mismatch"; whatever the exporter throws.
  PreparedComponent prepare(const ComponentRequest& request) const;

  // Kinds of stage that plugins offer, in order of plugins().
  std::vector<StageKindInfo> stage_kinds() const;
  // Checks options of a kind of stage as those of exporters. Throws Error(usage): "option.unknown",
  // "option.value", "option.duplicate". REQUIRES: the kind is one of stage_kinds().
  std::vector<OptionValue> check_stage_options(const std::string& kind,
                                               const std::vector<OptionValue>& given) const;
  // Runs a stage; maps the library. Throws as PluginLibrary::load, and whatever the stage throws.
  // REQUIRES: the kind is one of stage_kinds().
  StageOutcome run_stage(const std::string& kind, const StageRequest& request,
                         StageContext& context) const;

  // Layouts that plugins offer, in order of plugins().
  std::vector<LayoutInfo> layouts() const;
  // A layout, or several as one: of "a+b" the revision is the sum of theirs, and a role that one
  // has no place for may have one in the other. Throws Error(usage): "layout.unknown" with the
  // names there are, "layout.twice".
  LayoutInfo layout(const std::string& name) const;
  // The files of a bundle of `components`, or of a single one. Components of roles that the layout
  // leaves out (LayoutInfo::leaves_out) may have none. Throws Error: usage as layout() and as for
  // options of exporters; mismatch "layout.role", "layout.family" for components that the layout
  // has no place for, all in one, and "layout.files" when several layouts plan different files of
  // one name; plugin "plugin.layout" for names that no bundle can have; and what a layout throws.
  std::vector<BundleFile> lay_out(const LayoutChoice& choice,
                                  const std::vector<PreparedComponent>& components) const;
  // The layout that recognizes a directory of these files best; nullopt when none does.
  std::optional<std::string> recognize(const std::vector<std::string>& files) const;
  // The same for what lies in `directory` and in directories of it.
  std::optional<std::string> layout_of(const Path& directory) const;
  // As Layout::sources(); of several layouts from the first that can be read and has the component.
  // Throws as layout(), and what the layout throws.
  std::vector<RoleSource> sources_in(const std::string& layout, const Path& place,
                                     const std::vector<std::string>& roles) const;

  // The names that each layout which takes models of its family has for the tensors of `model`
  // (Layout::aliases()), by the layout's name. Throws what a layout throws.
  std::vector<std::pair<std::string, std::vector<TensorAlias>>> aliases(const Model& model) const;

  // Whether a plugin offers to run models of this family.
  bool can_run(const std::string& family) const;
  // The codec that `component` is, ready to run; maps the library that runs it, which may take a
  // second. Errors of the codec itself leave its functions as they are; what it returns is held
  // against its properties. Throws Error: input "codec.unsupported" (a reference, which
  // has no weights); plugin "codec.none" (no plugin runs models of this family), "plugin.codec"
  // (properties that no codec has; also from functions of the codec) and as PluginLibrary::load,
  // and whatever the loader throws. The codec may outlive the host.
  std::unique_ptr<Codec> load_codec(const Component& component,
                                    const CodecOptions& options = {}) const;

  std::unique_ptr<Codec> load_codec(const PreparedComponent& prepared,
                                    const CodecOptions& options = {}) const {
    return load_codec(prepared.component, options);
  }

  // Audio for stages. Throws what Options::open_audio does, and Error(usage, "audio.none") for a
  // program that has none.
  std::unique_ptr<AudioReader> open_audio(std::shared_ptr<const InputFile> file) const;

  // A checkpoint, shared while anyone holds it under this name. Throws as Checkpoint::open.
  std::shared_ptr<const Checkpoint> open(const Path& path) const;

 private:
  class PlanContext;
  struct Answer;
  using Entry = FoundOffer<ExporterInfo>;

  bool scan(const Path& library, const std::string& origin);  // whether it was accepted
  void add(FoundPlugin plugin);
  void refuse(const Path& library, const std::string& origin, const Error& error);

  const PluginLibrary& load(const FoundPlugin& plugin) const;
  // The object behind a description; maps its library.
  template <typename Offer>
  const Guarded<Offer>& object(const FoundOffer<typename Offer::Info>& offer) const;
  FoundOffer<LayoutInfo> find_layout(const std::string& name) const;
  std::vector<FoundOffer<LayoutInfo>> find_layouts(const std::string& name) const;
  std::vector<BundleFile> plan(const FoundOffer<LayoutInfo>& offer,
                               const std::vector<Component>& components,
                               const std::vector<OptionValue>& options) const;
  std::optional<FoundOffer<CodecLoaderInfo>> loader_of(const std::string& family) const;
  FoundOffer<CodecLoaderInfo> require_codec(const Component& component) const;
  void name_other_loaders(const FoundOffer<CodecLoaderInfo>& taken,
                          const std::string& family) const;
  std::vector<Answer> ask(const Source& source) const;
  Probe ask(const Entry& entry, const Source& source) const;
  Probe ask(const FoundOffer<LayoutInfo>& offer, const std::vector<std::string>& files) const;
  Probe ask_here(const Entry& entry, const Source& source) const;
  Probe ask_apart(const Entry& entry, const Source& source) const;
  // Runs `body`, which calls `function` of a plugin, in a copy of this process.
  std::vector<std::string> run_apart(const FoundPlugin& plugin, const std::string& culprit,
                                     const std::string& function,
                                     std::chrono::milliseconds time_limit,
                                     const std::function<std::vector<std::string>()>& body) const;
  // The same for a plugin that is not ours, before it is done here. What `body` throws is not of
  // interest: it will again.
  void rehearse(const FoundPlugin& plugin, const std::string& culprit, const std::string& function,
                const std::function<void()>& body) const;
  const Cancellation& cancellation() const;
  Entry find(const std::string& name) const;
  Answer choose(const ComponentRequest& request) const;
  Answer choose_as_is(const ComponentRequest& request) const;
  Answer best_of(const std::vector<Answer>& answers, const ComponentRequest& request) const;

  Options options_;
  std::vector<FoundPlugin> found_;
  std::vector<RefusedPlugin> refused_;
  mutable std::mutex mutex_;  // guards what follows
  mutable std::map<std::string, std::shared_ptr<const PluginLibrary>> libraries_;
  mutable std::map<std::string, std::weak_ptr<const Checkpoint>> checkpoints_;
  mutable std::set<std::string> loaded_apart_;     // libraries that a copy could load
  mutable std::map<std::string, Error> given_up_;  // exporters whose probe() did not end
};

// Options for resolving what the user typed into a Source.
struct SourceOptions {
  std::optional<Path> xps = {};  // --xps: directory with one folder per Dora signature
  Path directory = {};           // where relative paths start; empty: the current directory
  std::string role = {};         // of the component wanted; empty: any
  bool local = false;  // weights are wanted: a name stands for the model in the hub's cache
};

// What the user typed -> Source. Takes, in this order:
//   //sig/NAME         checkpoint of a Dora signature, in --xps, else AUDIOCRAFT_DORA_DIR/xps;
//                      also a file of it, //sig/NAME/checkpoint_20.th
//   //reference/PATH   in AUDIOCRAFT_REFERENCE_DIR
//   //pretrained/NAME  a pretrained name
//   PATH               a file, a directory that holds checkpoint.th, one that holds the files that
//                      an exporter names, or that of a bundle in a layout that can be read, which
//                      stands for its component of the role, or its only one; "~/" is the home
//                      directory
//   NAME               a pretrained name: one an exporter lists, or ORG/NAME where one takes any;
//                      the directory of that model in the cache of the hub when weights are wanted
//                      or no exporter of the role takes the name. The network is never asked.
// What looks like a path (absolute, ./, ../, ~, an extension that checkpoints have, more than one
// '/', or an existing directory in front of the '/') must exist; loaders that take every unknown
// text for a name make a bundle that fails later.
//
// Throws Error: usage "source.empty", "source.prefix" (unknown //...), "source.xps",
// "source.reference" (where to look is not known), "source.role" (a bundle without the role, or
// with several when none is asked for; lists them); input "source.not_found",
// "source.no_checkpoint" (a directory that is none of these, saying what is in it),
// "source.unknown_name", with near names, "source.not_cached" (weights of a model that the cache
// does not have, saying where was looked and how to fetch it); as Checkpoint::open and
// Host::sources_in().
Source resolve_source(std::string_view given, const SourceOptions& options, const Host& host);

// The source that lies at `path`, a file or a directory, under the name `given`. `role` as in
// SourceOptions. Throws as resolve_source().
Source source_at(const std::string& given, const Path& path, const Host& host,
                 const std::string& role = {});

// The file or directory that `given` would be read from, there or not, without opening it: in the
// cache of the hub, the revision that would be. nullopt for what would be taken for a pretrained
// name, and for what resolve_source() refuses.
std::optional<Path> source_path(std::string_view given, const SourceOptions& options,
                                const Host& host);

}  // namespace craftbundle
