#include "dac/exporter.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "craftbundle/audiocraft_rules/package.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "dac/spec.h"

namespace craftbundle::dac {
namespace {

using audiocraft::FileForm;

struct Pretrained {
  std::string_view name;
  audiocraft::CodecFigures figures;
};

// Figures of the weights that the names stand for.
constexpr std::array<Pretrained, 2> kPretrained = {{
    {"dac_44khz", {9, 1024, 44'100, 44'100.0 / 512, 1, 1024, false, audiocraft::kDacClass}},
    {"dac_24khz", {32, 1024, 24'000, 24'000.0 / 320, 1, 1024, false, audiocraft::kDacClass}},
}};

constexpr std::string_view kWhatWorks = "AudioCraft loads dac_44khz and dac_24khz";

const Pretrained* find_pretrained(std::string_view name) {
  const auto found = std::find_if(kPretrained.begin(), kPretrained.end(),
                                  [&](const Pretrained& known) { return known.name == name; });
  return found == kPretrained.end() ? nullptr : &*found;
}

// Why a name is taken or not.
std::string judge_name(std::string_view name) {
  if (find_pretrained(name)) return std::string(name) + " is a pretrained DAC of AudioCraft";
  if (name.starts_with("dac_")) {
    return quoted(name) + " is a DAC that AudioCraft has no name for";
  }
  if (name.starts_with("descript/")) {
    return quoted(name) + " is a DAC of the transformers library, which AudioCraft cannot load";
  }
  return quoted(name) + " is no DAC";
}

Probe probe_name(const std::string& name) {
  if (find_pretrained(name)) return {100, judge_name(name)};
  return {0, judge_name(name) + "; " + std::string(kWhatWorks)};
}

// Other models of the same family of libraries are saved alike; the settings tell a DAC.
Probe probe_weights(Object root, const std::string& words) {
  const std::optional<Object> metadata = root.find("metadata");
  if (!metadata || !metadata->is(Kind::dict) || !metadata->contains("kwargs")) {
    return {60, "the file holds " + words + ", but metadata has no 'kwargs'"};
  }
  const Object kwargs = metadata->at("kwargs");
  if (!kwargs.is(Kind::dict) || !kwargs.contains("encoder_rates")) {
    return {0, "the file holds " + words + ", but its settings are not those of a DAC"};
  }
  return {100, "the file holds " + words + ", with the settings of a DAC"};
}

Probe probe_model(const audiocraft::Glance& glance) {
  if (!glance.model) return {0, glance.file.words + "; " + glance.problem};
  if (glance.model->kind == audiocraft::ModelKind::other) return {0, glance.model->words};
  return glance.model->name == "dac" ? Probe{100, glance.model->words}
                                     : Probe{0, glance.model->words + ", not a DAC"};
}

Probe probe_checkpoint(const Checkpoint& checkpoint) {
  const audiocraft::Glance glance = audiocraft::glance(checkpoint);
  switch (glance.file.form) {
    case FileForm::weights:
      return probe_weights(checkpoint.root(), glance.file.words);
    case FileForm::reference:
      if (!glance.pretrained) return {0, glance.file.words + " without a name"};
      return {find_pretrained(*glance.pretrained) ? 100 : 0,
              glance.file.words + ": " + judge_name(*glance.pretrained)};
    case FileForm::exported:
      return probe_model(glance);
    case FileForm::training:
      if (glance.model && glance.model->kind == audiocraft::ModelKind::other) {
        return {0, glance.model->words};
      }
      return {0, "the file is " + glance.file.words + ", not a DAC"};
    case FileForm::other:
      return {0, "the file is " + glance.file.words};
  }
  return {};
}

void describe_pretrained(const std::string& name, Component& component) {
  const Pretrained* known = find_pretrained(name);
  if (!known) {
    throw Error(ErrorKind::input, "pretrained.unknown", judge_name(name),
                std::string(kWhatWorks) +
                    "; weights of another DAC can be exported from their weights.pth");
  }
  component.provides = provided_facts(known->figures, "figures of " + name);
  component.summary = {{"family", "DAC"}, {"pretrained", name}};
  add_summary(known->figures, component.summary);
  component.checks.push_back(name + " is a name that AudioCraft resolves");
  component.warnings.push_back(
      "a reference: the descript-audio-codec package must be installed where the bundle is loaded, "
      "and fetches the weights then");
  component.loaders =
      audiocraft::loader_answers("1.1", "with descript-audio-codec installed", {}, true);
  // AudioCraft has no other way to a DAC than its name.
  component.fetches = {{name}};
}

// Facts and checks of a DAC whose weights are at hand. `settings` is where the file has them.
void describe_embedded(audiocraft::Opened& opened, const std::string& settings,
                       Component& component) {
  const Spec spec = read_spec(opened.config);
  remove_prefix(opened.state, spec.expected);
  component.checks = check_state(opened.state, spec.expected, settings);
  component.provides = provided_facts(spec.figures, "dac in xp.cfg");
  component.summary = {{"family", "DAC"}};
  add_summary(spec.figures, component.summary);
  component.warnings.push_back(
      "AudioCraft cannot load a DAC from tensors, only by the names dac_44khz and dac_24khz: this "
      "file is for loaders of your own");
  component.loaders = {
      {"AudioCraft", false, false, "it loads a DAC by name only"},
      {"transformers", false, false, "it has files of its own (model.safetensors, config.json)"}};
}

// No argument of dac.DAC says that weight norms are folded.
Model::Folded folded(const Config& config) {
  Config result = Config::from_yaml(config.text() + std::string(kWeightNormKey) + ": false\n");
  return {result, read_spec(result).expected.names()};
}

void give_model(audiocraft::Opened opened, const std::string& settings, Component& component) {
  const Config config = opened.config;
  describe_embedded(opened, settings, component);
  give(std::move(opened), component);
  if (!config.contains(kWeightNormKey)) {
    std::get<Model>(component.content).folded = folded(config);
  }
}

void prepare_name(const std::string& name, const ExportRequest& request, Component& component) {
  describe_pretrained(name, component);
  component.content = Reference{name, audiocraft::fresh_extra(request)};
}

void prepare_reference(const Checkpoint& checkpoint, Component& component) {
  audiocraft::OpenedReference opened = audiocraft::open_reference(checkpoint);
  describe_pretrained(opened.reference.name, component);
  component.content = std::move(opened.reference);
  audiocraft::append(component.warnings, opened.warnings);
}

void prepare_weights(const ExportRequest& request, Component& component) {
  audiocraft::require_single_state(request);
  const Checkpoint& checkpoint = request.source.checkpoint();
  const Object metadata = checkpoint.root().at("metadata");
  if (!metadata.is(Kind::dict) || !metadata.contains("kwargs")) {
    throw Error(ErrorKind::input, "config.missing",
                "metadata is " + describe(metadata) + " without 'kwargs', the settings of the DAC",
                "save the weights with model.save(\"weights.pth\", package=False)");
  }
  give_model({Config::from_yaml(config_text(metadata.at("kwargs"))),
              audiocraft::read_state(checkpoint.root().at("state_dict"), checkpoint, "state_dict"),
              audiocraft::fresh_extra(request),
              {"xp.cfg written from metadata['kwargs']"},
              {}},
             "metadata['kwargs']", component);
}

void prepare_package(const ExportRequest& request, Component& component) {
  audiocraft::Opened opened = audiocraft::open_model(request);
  const audiocraft::ModelName model = audiocraft::model_name(opened.config);
  if (model.name != "dac") {
    throw Error(ErrorKind::input, "package.family", model.words + ", not a DAC");
  }
  give_model(std::move(opened), "xp.cfg", component);
}

void prepare_source(const ExportRequest& request, Component& component) {
  if (request.source.kind() == AcceptedSource::Kind::model) {
    return prepare_package(request, component);
  }
  const Checkpoint& checkpoint = request.source.checkpoint();
  const audiocraft::FileKind file = audiocraft::file_kind(checkpoint.root());
  switch (file.form) {
    case FileForm::reference:
      return prepare_reference(checkpoint, component);
    case FileForm::weights:
      return prepare_weights(request, component);
    case FileForm::training:
    case FileForm::exported:
      return prepare_package(request, component);
    case FileForm::other:
      break;
  }
  throw audiocraft::wrong_form(file, "weights.pth of a DAC or its package");
}

}  // namespace

ExporterInfo DacExporter::info() const {
  using Kind = AcceptedSource::Kind;
  return {{"dac",
           "DAC models (descript-audio-codec), and references to those AudioCraft knows",
           1,
           {audiocraft::state_option(), audiocraft::version_option()}},
          std::string(kCompressionRole),
          {{Kind::checkpoint, "weights.pth of descript-audio-codec", {}},
           {Kind::checkpoint, "exported DAC (compression_state_dict.bin)", {}},
           {Kind::pretrained, "name of a DAC", {"dac_44khz", "dac_24khz", "dac_*", "descript/*"}},
           {Kind::model, "DAC of a bundle in another layout", {}}}};
}

Probe DacExporter::probe(const Source& source) const {
  switch (source.kind()) {
    case AcceptedSource::Kind::checkpoint:
      return probe_checkpoint(source.checkpoint());
    case AcceptedSource::Kind::model:
      return probe_model(audiocraft::glance(source.model()));
    case AcceptedSource::Kind::pretrained:
    case AcceptedSource::Kind::directory:  // takes none
      break;
  }
  return probe_name(source.name());
}

Component DacExporter::prepare(const ExportRequest& request, ExportContext& /*context*/) const {
  Component component;
  component.role = kCompressionRole;
  if (request.source.kind() == AcceptedSource::Kind::pretrained) {
    prepare_name(request.source.name(), request, component);
    return component;
  }
  audiocraft::naming_source(request, [&] { prepare_source(request, component); });
  return component;
}

}  // namespace craftbundle::dac
