#include "encodec/exporter.h"

#include <string>
#include <utility>

#include "craftbundle/audiocraft_rules/package.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "encodec/pretrained.h"
#include "encodec/spec.h"

namespace craftbundle::encodec {
namespace {

using audiocraft::FileForm;
using audiocraft::ModelKind;

// Confidence for a configuration that names no model: below that of the language models, so that a
// role decides, and an export without one is no tie.
constexpr int kUncheckable = 5;
// Confidence for another codec, which is its exporter's, or can be taken as it is.
constexpr int kElsewhere = 1;

Probe probe_model(const audiocraft::Glance& glance) {
  if (!glance.model) {
    return {kUncheckable, glance.file.words + "; " + glance.problem};
  }
  const audiocraft::ModelName& model = *glance.model;
  switch (model.kind) {
    case ModelKind::codec:
      if (model.name.empty()) return {60, model.words};
      if (model.name != "encodec") return {kElsewhere, model.words + ", not an EnCodec"};
      return glance.has_state ? Probe{100, model.words}
                              : Probe{60, model.words + ", but there is no best state"};
    case ModelKind::unnamed:
      return {kUncheckable, model.words};
    case ModelKind::language_model:
      return {0, model.words + ", not a codec"};
    case ModelKind::other:
      return {0, model.words};
  }
  return {};
}

Probe probe_checkpoint(const Checkpoint& checkpoint) {
  const audiocraft::Glance glance = audiocraft::glance(checkpoint);
  switch (glance.file.form) {
    case FileForm::training:
    case FileForm::exported:
      return probe_model(glance);
    case FileForm::reference: {
      if (!glance.pretrained) return {0, glance.file.words + " without a name"};
      const NameVerdict verdict = judge_name(*glance.pretrained);
      return {verdict.confidence, glance.file.words + ": " + verdict.reason};
    }
    case FileForm::weights:
    case FileForm::other:
      return {0, "the file is " + glance.file.words};
  }
  return {};
}

constexpr const char* kLoadedBy = "CompressionModel.get_pretrained(FILE)";

// Facts, summary and warnings of a codec that a loader fetches by name.
void describe_pretrained(const std::string& name, Component& component) {
  const NameVerdict verdict = judge_name(name);
  if (verdict.confidence == 0) {
    throw Error(ErrorKind::input, "pretrained.unknown", verdict.reason, verdict.hint);
  }
  component.summary = {{"family", "EnCodec"}, {"pretrained", printable(name)}};
  if (const Pretrained* known = find_pretrained(name)) {
    component.provides = provided_facts(known->figures, "figures of " + name);
    add_summary(known->figures, component.summary);
    component.checks.push_back(name + " is a name that AudioCraft resolves");
  } else {
    component.warnings.push_back(verdict.reason +
                                 ": whether it exists and fits the language model "
                                 "shows only when the bundle is loaded");
  }
  if (name == "debug_compression_model") {
    component.warnings.push_back("debug_compression_model has random weights: for tests only");
  } else {
    component.warnings.push_back("a reference: " + quoted(name) +
                                 " is fetched from Hugging Face when the bundle is loaded");
  }
  const bool local = name == "debug_compression_model";
  component.loaders = audiocraft::loader_answers("1.0", "with its language model", {}, !local);
  if (!local) component.fetches = {{name, std::string(kCompressionRole)}};
}

// Which key of xp.cfg a figure comes from.
std::string key_of(std::string_view fact) {
  if (fact == audiocraft::kCodebooks) return "rvq.n_q";
  if (fact == audiocraft::kCardinality) return "rvq.bins";
  if (fact == audiocraft::kSampleRate) return "encodec.sample_rate";
  if (fact == audiocraft::kFrameRate) return "encodec.sample_rate and seanet.ratios";
  if (fact == audiocraft::kChannels) return "encodec.channels";
  if (fact == audiocraft::kLatentDimension) return "seanet.dimension";
  if (fact == audiocraft::kRenormalize) return "encodec.renormalize";
  return "compression_model";
}

// AudioCraft builds plain convolutions where the configuration names no norm. REQUIRES: the
// configuration has a spec.
Model::Folded folded(const Config& config) {
  Config result = config;
  for (const char* section : {"seanet", "seanet.encoder", "seanet.decoder"}) {
    const std::string key = std::string(section) + ".norm";
    if (result.contains(key)) result = result.with(key, "none");
  }
  return {result, read_spec(result).expected.names()};
}

void describe_model(audiocraft::Opened& opened, Component& component) {
  const audiocraft::ModelName model = audiocraft::model_name(opened.config);
  if (model.kind == ModelKind::unnamed) {
    component.summary = {{"family", "unknown"}};
    component.warnings.push_back(model.words +
                                 "; the tensors are taken as they are, nothing can be checked");
    return;
  }
  if (model.kind != ModelKind::codec) {
    throw Error(ErrorKind::input, "package.family", model.words + ", not a codec",
                model.kind == ModelKind::language_model
                    ? "give it as the language model; the codec is another file or a name, such as "
                      "facebook/encodec_32khz"
                    : "give the checkpoint of a codec");
  }
  audiocraft::require_key(opened.config, "compression_model", "AudioCraft");
  if (model.name != "encodec") {
    throw Error(ErrorKind::input, "package.unknown", model.words + ", not an EnCodec",
                "'craftbundle plugins list' shows which exporter takes it");
  }
  Spec spec = read_spec(opened.config);
  remove_prefix(opened.state, spec.expected);
  component.checks = check_state(opened.state, spec.expected);
  component.provides = provided_facts(spec.figures, "xp.cfg");
  for (FitFact& fact : component.provides) fact.origin = key_of(fact.name) + " in xp.cfg";
  component.summary = {{"family", "EnCodec"}};
  add_summary(spec.figures, component.summary);
  component.warnings = std::move(spec.warnings);
  component.loaders = audiocraft::loader_answers("1.0", kLoadedBy, spec.unknown_keys, false);
}

Component prepare_reference(const Checkpoint& checkpoint) {
  audiocraft::OpenedReference opened = audiocraft::open_reference(checkpoint);
  Component component;
  component.role = kCompressionRole;
  describe_pretrained(opened.reference.name, component);
  component.content = std::move(opened.reference);
  audiocraft::append(component.warnings, opened.warnings);
  return component;
}

Component prepare_pretrained(const ExportRequest& request) {
  Component component;
  component.role = kCompressionRole;
  const std::string& name = request.source.name();
  describe_pretrained(name, component);
  component.content = Reference{name, audiocraft::fresh_extra(request)};
  return component;
}

Component prepare_model(const ExportRequest& request) {
  audiocraft::Opened opened = audiocraft::open_model(request);
  const Config config = opened.config;
  Component component;
  component.role = kCompressionRole;
  if (request.option_is(kAsIsOption, "true")) {
    audiocraft::describe_as_is(opened, ModelKind::codec, component);
  } else {
    describe_model(opened, component);
  }
  give(std::move(opened), component);
  if (!component.provides.empty()) std::get<Model>(component.content).folded = folded(config);
  return component;
}

bool is_reference(const Source& source) {
  return source.kind() == AcceptedSource::Kind::checkpoint &&
         audiocraft::file_kind(source.checkpoint().root()).form == FileForm::reference;
}

}  // namespace

ExporterInfo EncodecExporter::info() const {
  using Kind = AcceptedSource::Kind;
  std::vector<std::string> names = pretrained_names();
  names.emplace_back("*");
  return {
      {"encodec",
       "EnCodec models trained with AudioCraft, and references to pretrained ones",
       1,
       {audiocraft::state_option(), audiocraft::version_option(), audiocraft::as_is_option(),
        audiocraft::paths_option()}},
      std::string(kCompressionRole),
      {{Kind::checkpoint, "AudioCraft training checkpoint of an EnCodec", {}},
       {Kind::checkpoint, "exported EnCodec (compression_state_dict.bin)", {}},
       {Kind::pretrained, "name of an EnCodec that AudioCraft fetches itself", std::move(names)},
       {Kind::model, "EnCodec of a bundle in another layout", {}}}};
}

Probe EncodecExporter::probe(const Source& source) const {
  switch (source.kind()) {
    case AcceptedSource::Kind::checkpoint:
      return probe_checkpoint(source.checkpoint());
    case AcceptedSource::Kind::model:
      return probe_model(audiocraft::glance(source.model()));
    case AcceptedSource::Kind::pretrained:
    case AcceptedSource::Kind::directory:  // takes none
      break;
  }
  const NameVerdict verdict = judge_name(source.name());
  return {verdict.confidence,
          verdict.hint.empty() ? verdict.reason : verdict.reason + "; " + verdict.hint};
}

Component EncodecExporter::prepare(const ExportRequest& request, ExportContext& /*context*/) const {
  const Source& source = request.source;
  if (source.kind() == AcceptedSource::Kind::pretrained) return prepare_pretrained(request);
  return audiocraft::naming_source(request, [&] {
    return is_reference(source) ? prepare_reference(source.checkpoint()) : prepare_model(request);
  });
}

}  // namespace craftbundle::encodec
