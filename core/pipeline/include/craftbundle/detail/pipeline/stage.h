// What a stage of a run does, and the kinds of stage there are.
//
// A Stage is made once from a script and says, without opening a file, what it reads and what it
// leaves. Planning and running ask it for the rest.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/bundle/manifest.h"
#include "craftbundle/detail/host/host.h"
#include "craftbundle/detail/io/output_file.h"
#include "craftbundle/detail/io/path.h"
#include "craftbundle/detail/yaml/yaml.h"

namespace CRAFTBUNDLE_API craftbundle {

// A file or directory that a stage reads.
struct StageInput {
  std::string name;   // within the stage: "lm", "file 2"
  Path path;          // absolute
  std::string stage;  // that makes it; empty: it is there before the run
  // Of a directory: everything in it is read, so that whatever other stages put there comes first.
  // Else only what the stage that makes it has put there counts.
  bool whole = true;
  // It is the source of a component: of a directory only the names of its files are known before,
  // which of them are read shows when the stage runs (StageRead).
  bool is_source = false;
};

// A file that a stage read beside its inputs, known once it has done so.
struct StageRead {
  std::string name;  // within the stage: "config.json of lm"
  std::string
      input;  // beside or in which it lies, so that it moves along; empty: `file` is absolute
  Path file;
  std::string id;                                     // of its contents; empty: not known yet
  std::shared_ptr<const InputFile> opened = nullptr;  // while the stage runs
};

// A file or directory that a stage leaves. A directory with further outputs in it stands for these.
struct StageOutput {
  std::string name;  // within the stage; the first one is what its name stands for in later stages
  Path path;         // absolute
};

// One of the things that decide what a stage makes.
struct KeyPart {
  enum class Kind {
    setting,
    contents,  // of an input: a digest, or "missing"
    stage,     // that comes before: a digest of its key
    place,     // of an output
    secret,    // a setting that is remembered as a keyed digest only
  };
  std::string name;   // for people: "option state"
  std::string value;  // secret: as it is in Stage::key(), a digest everywhere else
  Kind kind = Kind::setting;

  friend bool operator==(const KeyPart&, const KeyPart&) = default;
};

// What is known before a stage runs.
struct Forecast {
  std::uint64_t bytes = 0;         // it will write; 0: not known
  std::vector<std::string> notes;  // what is worth knowing: "exporter NAME (100%): reason"
  // All files that were opened for it, where these, the key, the plugins and the names of the files
  // beside the inputs decide it, so that it can be kept; nullopt: it is asked for each time.
  std::optional<std::vector<std::shared_ptr<const InputFile>>> opened = {};
};

// What a stage has done.
struct StageResult {
  std::uint64_t bytes = 0;  // written
  std::vector<SummaryItem> summary;
  std::vector<std::string> checks;
  std::vector<std::string> warnings;
  // Code whose revision decides what was made: {"exporter NAME", "1"}. The stage runs again when
  // one of them has another revision.
  std::vector<KeyPart> tools;
  std::optional<Manifest> manifest;  // of the bundle it wrote or looked at
  bool kept = false;  // nothing was written: what lies at the outputs is somebody else's
};

// What a stage may use while it runs. Not owned.
struct StageRun {
  const std::string& name;
  const Host& host;
  Sink& sink;                        // log lines and progress of this stage
  const Cancellation& cancellation;  // of the run, or of the time limit of this stage
  Durability durability = Durability::sync;
  bool replace = false;  // whether outputs that are there may be replaced
  // Outputs of other stages of the run, which may lie in a directory that is replaced.
  const std::vector<Path>& disposable;
  Path log;  // file for what programs print; its directory exists
  // Is told, before any output appears, everything that was read beside the inputs.
  std::function<void(std::vector<StageRead>)> read = [](const std::vector<StageRead>&) {};
  Extents extents = Extents::shared;
};

// How a component is made: what an export stage says, for the bundles that use it.
struct ComponentRecipe {
  std::string source;  // as written, relative to the script
  std::optional<Path> xps;
  std::optional<std::string> role;
  std::optional<std::string> exporter;
  std::vector<OptionValue> options;
  std::vector<StageInput> average;  // further checkpoints
  std::vector<StageInput> merge;    // adapters
  // For weights without a configuration: where it is, as written, and the file or directory, unless
  // it is a name.
  std::optional<std::string> config_from = {};
  std::optional<StageInput> config_file = {};
};

// Thread: all functions may be called concurrently.
class Stage {
 public:
  virtual ~Stage() = default;

  virtual std::vector<StageInput> inputs() const = 0;
  virtual std::vector<StageOutput> outputs() const = 0;
  // For people, in a few words: "export 9f2c/checkpoint.th".
  virtual std::string what() const = 0;
  // What decides the result beside the contents of the inputs and the places of the outputs.
  virtual std::vector<KeyPart> key() const = 0;
  // Whether outputs appear complete or not at all, so that one that is there was finished.
  virtual bool is_atomic() const { return true; }
  // Whether it looks itself at what others wrote at its outputs, and keeps it.
  virtual bool keeps_foreign() const { return false; }
  // Whether it can be done without being run again although nothing has changed.
  virtual bool always() const { return false; }

  // Looks at what is there before the run; called only when all inputs are there. Throws Error for
  // what would make run() fail.
  virtual Forecast forecast(const Host& host) const = 0;

  // Throws Error. On failure nothing is left at the outputs when is_atomic().
  virtual StageResult run(StageRun& run) const = 0;

  // The recipe of the component this stage exports; nullptr when it exports none.
  virtual const ComponentRecipe* recipe() const { return nullptr; }
};

// A key that a kind of stage takes, for messages and the JSON schema.
struct StageKey {
  enum class Type { text, boolean, list, map, text_or_list, text_or_map, any };
  std::string name;
  Type type = Type::text;
  bool required = false;
  std::string doc;  // one sentence
  std::vector<std::string> choices;
  bool may_join = false;  // several of the choices, with '+' between them
};

// The body of a stage with everything interpolated. Problems are noted, not thrown: a reader goes
// on with defaults, so that a user sees all of them at once.
class StageFields {
 public:
  virtual ~StageFields() = default;

  virtual const std::string& stage() const = 0;  // its name
  // The value of a key; nullptr when it is not there. The kind's own key is one of them.
  virtual const YamlNode* find(std::string_view key) const = 0;

  virtual void problem(const YamlNode& where, std::string_view code, std::string message,
                       std::string hint = {}) = 0;

  // Values with their type checked; what is not there or wrong gives the default.
  virtual std::string text(std::string_view key, std::string otherwise = {}) = 0;
  virtual bool flag(std::string_view key, bool otherwise) = 0;
  // A list of text; a single text is a list of one.
  virtual std::vector<std::string> texts(std::string_view key) = 0;
  // A map of text to text, in order.
  virtual std::vector<OptionValue> pairs(std::string_view key) = 0;
  // A path: absolute, relative ones start at the script.
  virtual std::optional<Path> path(std::string_view key) = 0;
  virtual Path path_of(const std::string& text) const = 0;

  // What `node` names: a stage (its first output), all stages of a matrix by the name as written,
  // a pattern of stage names ("check-*"), or a path. A list gives all of them. A stage without
  // outputs is a problem. The stage becomes one that needs those.
  virtual std::vector<StageInput> inputs(const YamlNode& node) = 0;
  // The stage called `name`, which becomes needed; nullptr when there is none.
  virtual const Stage* needed_stage(const std::string& name) = 0;
};

// Reads stages of one kind, as the key in a script names it.
class StageReader {
 public:
  virtual ~StageReader() = default;
  virtual std::string name() const = 0;
  virtual std::string summary() const = 0;
  // The first one is name() itself.
  virtual std::vector<StageKey> keys() const = 0;
  // Where a key belongs that the kind does not have: "write it into 'options'"; empty: not known.
  virtual std::string hint_for(std::string_view /*key*/) const { return {}; }
  // nullptr when the problems leave nothing to make a stage of.
  virtual std::unique_ptr<Stage> read(StageFields& fields) const = 0;
};

using StageReaders = std::vector<std::unique_ptr<const StageReader>>;

// The kinds that core knows, and those of the plugins that `host` has found.
StageReaders standard_stages(const Host& host);

}  // namespace craftbundle
