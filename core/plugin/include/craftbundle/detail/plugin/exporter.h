// What an exporter plugin implements. Start here to add a codec (docs/writing_an_exporter.md).
//
// An exporter recognises sources and turns one into a checked component of a bundle. It never opens
// output files and never prints: it describes what is to be written, the host writes it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/io/path.h"
#include "craftbundle/detail/plugin/context.h"
#include "craftbundle/detail/plugin/model.h"
#include "craftbundle/detail/plugin/offer.h"
#include "craftbundle/detail/plugin/source_directory.h"

namespace CRAFTBUNDLE_API craftbundle {

// Roles of components in a bundle. A role is only a word: a third party may add its own.
inline constexpr std::string_view kLanguageModelRole = "lm";
inline constexpr std::string_view kCompressionRole = "compression";
inline constexpr std::string_view kTextEncoderRole = "text_encoder";

// An option, "true" or "false", of exporters that also take models of their role that no rule
// covers: state and configuration as they are, names, shapes and facts not checked. Whoever asks
// for it gets the exporter of the role that declares it, whatever others know of the source.
inline constexpr std::string_view kAsIsOption = "as-is";

// Kinds of source an exporter takes; the host asks only exporters that take the kind at hand.
struct AcceptedSource {
  enum class Kind {
    checkpoint,  // a file written by torch.save
    pretrained,  // a name that loaders resolve themselves, no file
    model,       // a model that a layout read, not checked
    directory,   // a directory of files
  };
  Kind kind = Kind::checkpoint;
  std::string what;  // for people: "training checkpoint of a mu-law codec"
  // pretrained: names taken; an entry that ends in '*' matches a prefix. Choosing by name then maps
  // only this library. "*" alone: probe() is asked about every name a model hub could have
  // (ORG/NAME).
  // directory: names of files that all have to be in it; '*' in one stands for anything
  // ("settings.json" and "*.weights"). Choosing maps only libraries whose names fit, and what
  // else would do is an AcceptedSource of its own.
  // model: full names of models on a hub that once had a shorter one: NAME is looked for in the
  // hub's cache as ORG/NAME too. Checkpoints: none.
  std::vector<std::string> names;

  template <typename Self, typename Visit>
  static void visit(Self& self, Visit&& field) {
    field({"kind"}, self.kind);
    field({"what"}, self.what);
    field({"names"}, self.names);
  }
  friend bool operator==(const AcceptedSource&, const AcceptedSource&) = default;
};
std::string_view to_string(AcceptedSource::Kind kind);

struct ExporterInfo : OfferInfo {
  static constexpr std::string_view kKind = "exporter";

  std::string component;  // role of what it makes
  std::vector<AcceptedSource> accepts;

  template <typename Self, typename Visit>
  static void visit(Self& self, Visit&& field) {
    field({"component", "makes"}, self.component);
    field({"accepts"}, self.accepts);
  }
  friend bool operator==(const ExporterInfo&, const ExporterInfo&) = default;
};

// The directory of a bundle that a component was found in.
struct SourcePlace {
  Path directory;
  std::vector<std::string> files;  // that the component lies in, relative to the directory
};

// What is to be exported: an opened checkpoint, a pretrained name, a model that a layout read, or a
// directory. Immutable; copies share what they hold.
class Source {
 public:
  static Source of_checkpoint(std::string given, std::shared_ptr<const Checkpoint> checkpoint);
  static Source of_pretrained(std::string given, std::string name);
  // A model without a family is shown to every exporter that takes models.
  static Source of_model(std::string given, Model model);
  static Source of_directory(std::string given, std::shared_ptr<const SourceDirectory> directory);
  // The same under the name `given`, which stands for a directory of a layout.
  Source found_in(std::string given, SourcePlace place) const;

  AcceptedSource::Kind kind() const { return kind_; }
  // As the user gave it ("//sig/9f2c"), for messages and the manifest.
  const std::string& given() const { return given_; }
  // REQUIRES: kind() == checkpoint.
  const Checkpoint& checkpoint() const { return *checkpoint_; }
  // Pretrained name without the //pretrained/ prefix. REQUIRES: kind() == pretrained.
  const std::string& name() const { return name_; }
  // REQUIRES: kind() == model.
  const Model& model() const { return *model_; }
  // REQUIRES: kind() == directory.
  const SourceDirectory& directory() const { return *directory_; }
  // Of a checkpoint or model that found_in() made; nullptr for others.
  const SourcePlace* place() const { return place_.get(); }

 private:
  explicit Source(AcceptedSource::Kind kind, std::string given)
      : kind_(kind), given_(std::move(given)) {}
  AcceptedSource::Kind kind_;
  std::string given_;
  std::string name_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::shared_ptr<const Model> model_;
  std::shared_ptr<const SourceDirectory> directory_;
  std::shared_ptr<const SourcePlace> place_;
};

// How well an exporter understands a source, and why. The host takes the highest confidence; an
// exact tie between exporters is an error that names both.
struct Probe {
  // Guide: 0 not mine; 10 could be taken as it is, nothing checkable; 60 the layout is right but
  // something expected is missing; 100 certain.
  int confidence = 0;
  std::string reason;  // one clause for people: "has the key 'mulaw'"
};

// A value that must agree between components.
using FactValue = std::variant<std::int64_t, double, std::string>;
std::string to_string(const FactValue& value);

// One named value a component provides or requires, for example codebooks = 4. Components of a
// bundle fit when every required name that another component provides has an equal value; names are
// compared as text and mean nothing to the host.
struct FitFact {
  // "codebooks", "cardinality", "sample_rate" (Hz), "frame_rate" (frames per second), "channels",
  // "latent_dimension"; others as their users agree (docs/writing_an_exporter.md)
  std::string name;
  FactValue value;
  // Where it was found: "transformer_lm.n_q in xp.cfg", "4 tensors emb.*.weight".
  std::string origin;
};

// Whether two values are the same: numbers as numbers (50 == 50.0, relative 1e-9), text as text.
bool same_value(const FactValue& a, const FactValue& b);
// What is wrong with a fact, as a clause; nullopt: nothing. Numbers are finite. What codecs state
// too (CodecProperties: "codebooks", ...) is a number above 0, and a whole one where that is.
std::optional<std::string> find_problem(const FitFact& fact);

// A name and value for reports ("family": "mu-law", "levels": "256").
struct SummaryItem {
  std::string name;
  std::string value;
};

// Whether a program that people use can load the component, once it is written.
struct LoaderAnswer {
  std::string loader;  // "AudioCraft 1.2 and later", "transformers"
  bool loads = false;
  bool needs_network = false;  // fetches something when it loads
  std::string words;           // one clause: how, what is fetched, or why not
};

// What loaders fetch by a name when they load a component and it is not there.
struct Fetched {
  std::string name;       // "t5-base"
  std::string role = {};  // of the component of a bundle that it can be; empty: of none
};

// A checked component, ready to be laid out.
struct Component {
  std::string role;  // == ExporterInfo::component
  std::variant<Model, Reference> content;
  std::vector<FitFact> provides;
  std::vector<FitFact> requires_;    // `requires` is a C++ keyword
  std::vector<SummaryItem> summary;  // for inspect and reports, most important first
  std::vector<std::string>
      checks;  // what was checked, one clause each ("116 tensors match the shapes xp.cfg implies")
  std::vector<std::string>
      warnings;  // what the user should know ("loads only with network access")
  std::vector<LoaderAnswer> loaders = {};  // most important first; PyTorch itself is the host's
  // The line of code that loads a finished bundle, in which {bundle} stands for its directory;
  // empty for components that are loaded with another one.
  std::string load_with = {};
  std::vector<Fetched> fetches = {};

  // nullptr for a reference.
  const Model* model() const { return std::get_if<Model>(&content); }
};

// What is wrong with the first odd fact that it provides or requires; nullopt: none is.
std::optional<std::string> find_problem(const Component& component);

// An option with its value, as the host has checked it against OptionSpec (defaults filled in).
struct OptionValue {
  std::string name;
  std::string value;
};

// The paths in the value of an option of type `files`, and the reverse. Throws Error(usage,
// "option.value") for a path with a comma.
std::vector<Path> files_of(std::string_view value);
std::string files_value(const std::vector<Path>& files);

// The value of a declared option; throws Error(internal) for one that is not declared.
const std::string& option_value(const std::vector<OptionValue>& options, std::string_view name);

struct ExportRequest {
  Source source;
  std::vector<OptionValue> options;

  // As option_value().
  const std::string& option(std::string_view name) const;
  bool option_is(std::string_view name, std::string_view value) const {
    return option(name) == value;
  }
};

// Services of the host during prepare().
class ExportContext : public HostContext {};

// Implemented by plugins. Objects are created once, when the library is loaded, and live until the
// process ends. Thread: all functions may be called concurrently.
//
// Errors: throw craftbundle::Error. Whatever else is thrown becomes one of kind plugin (plugin.h).
class Exporter {
 public:
  using Offer = Exporter;
  using Info = ExporterInfo;
  virtual ~Exporter() = default;

  virtual ExporterInfo info() const = 0;

  // Called only for a source that info().accepts takes by its kind, and by its names where it has
  // some. Looks at names and types, not at data: must be fast, and must not throw for a file that
  // is not its own.
  virtual Probe probe(const Source& source) const = 0;

  // Checks everything that can be checked without reading tensor data and says what to write.
  // Throws Error(input) with the reason when the source cannot be exported.
  virtual Component prepare(const ExportRequest& request, ExportContext& context) const = 0;
};

}  // namespace craftbundle
