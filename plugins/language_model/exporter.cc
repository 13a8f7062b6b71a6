#include "language_model/exporter.h"

#include <string>
#include <utility>

#include "craftbundle/audiocraft_rules/facts.h"
#include "craftbundle/audiocraft_rules/package.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "language_model/spec.h"

namespace craftbundle::language_model {
namespace {

using audiocraft::FileForm;
using audiocraft::ModelKind;

// Confidence for what can be taken as it is, and not checked.
constexpr int kUncheckable = 10;

Probe probe_model(const audiocraft::Glance& glance) {
  if (!glance.model) {
    return {kUncheckable, glance.file.words + "; " + glance.problem};
  }
  const audiocraft::ModelName& model = *glance.model;
  switch (model.kind) {
    case ModelKind::language_model:
      if (model.name.empty()) return {60, model.words};
      if (!is_known_model(model.name)) {
        return {kUncheckable, model.words + " that AudioCraft 1.4 does not know"};
      }
      return glance.has_state ? Probe{100, model.words}
                              : Probe{60, model.words + ", but there is no best state"};
    case ModelKind::unnamed:
      return {kUncheckable, model.words};
    case ModelKind::codec:
      return {0, model.words + ", not a language model"};
    case ModelKind::other:
      return {0, model.words};
  }
  return {};
}

void describe_unchecked(const std::string& why, Component& component) {
  component.summary = {{"family", "unknown"}};
  component.warnings.push_back(why + "; the tensors are taken as they are, nothing can be checked");
}

void describe_model(audiocraft::Opened& opened, Component& component) {
  const audiocraft::ModelName model = audiocraft::model_name(opened.config);
  if (model.kind == ModelKind::unnamed) return describe_unchecked(model.words, component);
  if (model.kind != ModelKind::language_model) {
    throw Error(ErrorKind::input, "package.family", model.words + ", not a language model",
                model.kind == ModelKind::codec
                    ? "give it as the compression model; the language model is another file"
                    : "give the checkpoint of a language model");
  }
  audiocraft::require_key(opened.config, "lm_model", "AudioCraft");
  if (!is_known_model(model.name)) {
    return describe_unchecked(model.words + " that AudioCraft 1.4 does not know", component);
  }
  Spec spec = read_spec(opened.config, model);
  remove_prefix(opened.state, spec.expected);
  component.checks = check_state(opened.state, spec.expected);
  component.requires_ = spec.requires_;
  const std::vector<FitFact> of_tensors = facts_of_tensors(opened.state, spec);
  component.requires_.insert(component.requires_.end(), of_tensors.begin(), of_tensors.end());
  component.summary = std::move(spec.summary);
  component.warnings = std::move(spec.warnings);
  component.load_with = std::move(spec.load_with);
  component.loaders = audiocraft::loader_answers(spec.since, spec.loaded_by, spec.unknown_keys,
                                                 !spec.downloads.empty());
  component.fetches = std::move(spec.downloads);
  if (!spec.stops_at.empty()) {
    audiocraft::refuse_loading(component.loaders, "it stops at " + spec.stops_at);
    component.load_with.clear();
  }
}

Component prepare_model(const ExportRequest& request) {
  audiocraft::Opened opened = audiocraft::open_model(request);
  Component component;
  component.role = kLanguageModelRole;
  if (request.option_is(kAsIsOption, "true")) {
    audiocraft::describe_as_is(opened, ModelKind::language_model, component);
  } else {
    describe_model(opened, component);
  }
  give(std::move(opened), component);
  return component;
}

}  // namespace

ExporterInfo LanguageModelExporter::info() const {
  using Kind = AcceptedSource::Kind;
  return {{"language_model",
           "MusicGen, AudioGen, MAGNeT and JASCO models trained with AudioCraft",
           1,
           {audiocraft::state_option(), audiocraft::version_option(), audiocraft::as_is_option(),
            audiocraft::paths_option()}},
          std::string(kLanguageModelRole),
          {{Kind::checkpoint, "AudioCraft training checkpoint of a language model", {}},
           {Kind::checkpoint, "exported language model (state_dict.bin)", {}},
           {Kind::model, "language model of a bundle in another layout", {}}}};
}

Probe LanguageModelExporter::probe(const Source& source) const {
  if (source.kind() == AcceptedSource::Kind::model) {
    return probe_model(audiocraft::glance(source.model()));
  }
  const audiocraft::Glance glance = audiocraft::glance(source.checkpoint());
  switch (glance.file.form) {
    case FileForm::training:
    case FileForm::exported:
      return probe_model(glance);
    case FileForm::reference:
      return {0, glance.file.words + ", which only compression models can be"};
    case FileForm::weights:
    case FileForm::other:
      return {0, "the file is " + glance.file.words};
  }
  return {};
}

Component LanguageModelExporter::prepare(const ExportRequest& request,
                                         ExportContext& /*context*/) const {
  return audiocraft::naming_source(request, [&] { return prepare_model(request); });
}

}  // namespace craftbundle::language_model
