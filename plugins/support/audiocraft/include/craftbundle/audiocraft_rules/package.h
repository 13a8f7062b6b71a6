// Files of AudioCraft: what lies in a checkpoint, and the packages that its loaders read.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "craftbundle/audiocraft_rules/config.h"
#include "craftbundle/audiocraft_rules/state.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/omegaconf/config.h"
#include "craftbundle/detail/plugin/exporter.h"

namespace craftbundle::audiocraft {

// The release whose layout and rules are followed; also the default of `version` in packages.
inline constexpr std::string_view kAudioCraftVersion = "1.4.0a2";

// Options that every exporter of AudioCraft models declares.
inline constexpr std::string_view kStateOption = "state";
inline constexpr std::string_view kVersionOption = "audiocraft-version";
OptionSpec state_option();
OptionSpec version_option();
OptionSpec as_is_option();
// Whether paths in the configuration become text.
inline constexpr std::string_view kPathsOption = "paths-as-text";
OptionSpec paths_option();

enum class FileForm {
  training,   // checkpoint.th of a training
  exported,   // {best_state, xp.cfg, version, exported}
  reference,  // {pretrained, exported, version}
  weights,    // {state_dict, metadata}, as descript-audio-codec saves
  other,
};

struct FileKind {
  FileForm form = FileForm::other;
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
Glance glance(const Model& model);

// The keys of a package: AudioCraft's export writes them, its loaders look for them.
inline constexpr std::string_view kBestStateKey = "best_state";
inline constexpr std::string_view kConfigKey = "xp.cfg";
inline constexpr std::string_view kVersionKey = "version";
inline constexpr std::string_view kExportedKey = "exported";
inline constexpr std::string_view kPretrainedKey = "pretrained";

// A model, opened: config and the state dict asked for, not yet checked against each other.
struct Opened {
  Config config;
  State state;
  Value::Dict extra;  // Model::extra
  std::vector<std::string> checks;
  std::vector<std::string> warnings;
};

// Opens a training checkpoint, an exported package, or a model that a layout read. Options used:
// state, audiocraft-version, paths-as-text. Throws Error(input): "package.layout" for files of
// another kind, "config.*", "state.*", "package.*".
Opened open_model(const ExportRequest& request);

// What there is to say of a model that is taken as it is (kAsIsOption). Throws Error(input,
// "package.family") when its configuration names one of another kind.
void describe_as_is(const Opened& opened, ModelKind kind, Component& component);

// The model, and what was found out about it, become `component`'s, its loaders among that: where
// the configuration holds a path, AudioCraft may not be able to read it.
void give(Opened opened, Component& component);

// Throws Error(usage, "option.state") when the state option asks for one of several states.
// Called for sources that hold one state only.
void require_single_state(const ExportRequest& request);

// Model::extra of a model or reference that comes from no package: the version asked for.
Value::Dict fresh_extra(const ExportRequest& request);

// The reference that `checkpoint` holds, checked. Keys beside the three of a reference are kept
// when they are plain data and dropped with a warning otherwise. REQUIRES: form reference.
struct OpenedReference {
  Reference reference;
  std::vector<std::string> warnings;
};
OpenedReference open_reference(const Checkpoint& checkpoint);

// Runs `action`; an Error that leaves it names the source. REQUIRES: the source is no pretrained
// name.
template <typename Action>
decltype(auto) naming_source(const ExportRequest& request, Action&& action) {
  const Source& source = request.source;
  const auto place = [&] {
    return source.kind() == AcceptedSource::Kind::checkpoint
               ? path_text(source.checkpoint().file().path())
               : printable(source.given());
  };
  return with_context(place, std::forward<Action>(action));
}

// Error(input, "package.layout") for a file that is none of what an exporter takes.
Error wrong_form(const FileKind& file, std::string_view expected);

}  // namespace craftbundle::audiocraft
