// Files of AudioCraft: what lies in a checkpoint, and the packages that its loaders read.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "craftbundle/base/error.h"
#include "craftbundle/checkpoint/checkpoint.h"
#include "craftbundle/checkpoint/package.h"
#include "craftbundle/omegaconf/config.h"
#include "craftbundle/plugin/exporter.h"
#include "support/audiocraft/config.h"
#include "support/audiocraft/state.h"

namespace craftbundle::audiocraft {

// The release whose layout and rules are followed; also the default of `version` in packages.
inline constexpr std::string_view kAudioCraftVersion = "1.4.0a2";

// Options that every exporter of AudioCraft models declares.
inline constexpr std::string_view kStateOption = "state";
inline constexpr std::string_view kVersionOption = "audiocraft-version";
OptionSpec state_option();
OptionSpec version_option();

enum class Layout {
  training,   // checkpoint.th of a training
  exported,   // {best_state, xp.cfg, version, exported}
  reference,  // {pretrained, exported, version}
  weights,    // {state_dict, metadata}, as descript-audio-codec saves
  other,
};

struct FileKind {
  Layout layout = Layout::other;
  std::string words;  // "a training checkpoint of AudioCraft"
};

// Looks at names and types only; never throws.
FileKind file_kind(Object root);

// What can be told of a checkpoint without checking it, for probe(). Never throws.
struct Glance {
  FileKind file;
  std::optional<ModelName> model;         // of a training checkpoint or exported package
  std::optional<std::string> pretrained;  // of a reference package
  std::string problem;                    // why `model` is not known: "xp.cfg: ..."
  bool has_state = false;                 // best_state or fsdp_best_state holds something
};
Glance glance(const Checkpoint& checkpoint);

// A training checkpoint or an exported package, opened: config and the state dict asked for, not
// yet checked against each other.
struct Opened {
  Layout layout;
  Config config;
  State state;
  Value::Dict frame;  // the package in its order, best_state and xp.cfg still empty
  std::vector<std::string> checks;
  std::vector<std::string> warnings;

  // The package to write.
  Value::Dict package() const;
};

// Options used: state, audiocraft-version, average. Throws Error(input): "package.layout" for files
// of another kind, "config.*", "state.*", "package.*", "average.*".
Opened open_model(const ExportRequest& request, ExportContext& context);

// Calls `read` with a request for each further file that option average names, and averages `state`
// with what it returns. A file that is named twice, or is the source itself, counts once. Errors
// name the file.
void average_with(State& state, const ExportRequest& request, ExportContext& context,
                  const std::function<State(const ExportRequest&)>& read);

// Throws Error(usage, "option.state") when the state option asks for one of several states.
// Called for files that hold one state only.
void require_single_state(const ExportRequest& request);

// {best_state, xp.cfg, version, exported}, in AudioCraft's order.
Value::Dict model_package(const State& state, const std::string& config_text,
                          const std::string& version);

// What model_package() made, taken apart again. `state` lies in `package`. Throws Error(input,
// "codec.unsupported") for a reference, which holds no weights, and "package.layout".
struct ModelPackage {
  Config config;
  const Value::Dict& state;
};
ModelPackage read_package(const Value& package);

// {pretrained, exported, version}, in AudioCraft's order.
Value::Dict reference_package(const std::string& name, const std::string& version);

// The reference package that `checkpoint` holds, checked. Keys beside the three are kept when they
// are plain data and dropped with a warning otherwise. REQUIRES: layout reference.
struct Reference {
  std::string name;
  Value::Dict package;
  std::vector<std::string> warnings;
};
Reference open_reference(const Checkpoint& checkpoint);

// Runs `action`; an Error that leaves it names the file. REQUIRES: the source is a checkpoint.
template <typename Action>
decltype(auto) naming_file(const ExportRequest& request, Action&& action) {
  return with_context([&] { return path_text(request.source.checkpoint().file().path()); },
                      std::forward<Action>(action));
}

// Error(input, "package.layout") for a file that is none of what an exporter takes.
Error wrong_layout(const FileKind& file, std::string_view expected);

}  // namespace craftbundle::audiocraft
