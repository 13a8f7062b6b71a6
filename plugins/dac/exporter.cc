#include "dac/exporter.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"
#include "dac/spec.h"
#include "support/audiocraft/compute.h"
#include "support/audiocraft/package.h"

namespace craftbundle::dac {
namespace {

using audiocraft::Layout;

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

Probe probe_checkpoint(const Checkpoint& checkpoint) {
  const audiocraft::Glance glance = audiocraft::glance(checkpoint);
  switch (glance.file.layout) {
    case Layout::weights:
      return probe_weights(checkpoint.root(), glance.file.words);
    case Layout::reference:
      if (!glance.pretrained) return {0, glance.file.words + " without a name"};
      return {find_pretrained(*glance.pretrained) ? 100 : 0,
              glance.file.words + ": " + judge_name(*glance.pretrained)};
    case Layout::exported:
      if (!glance.model) return {0, glance.file.words + "; " + glance.problem};
      return glance.model->name == "dac" ? Probe{100, glance.model->words}
                                         : Probe{0, glance.model->words + ", not a DAC"};
    case Layout::training:
      return {0, "the file is " + glance.file.words + ", not a DAC"};
    case Layout::other:
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
      audiocraft::loader_answers("1.1", "with descript-audio-codec installed", {}, {name});
}

void describe_embedded(const Config& config, const audiocraft::State& state, Component& component) {
  const Spec spec = read_spec(config);
  audiocraft::append(component.checks, check_state(state, spec.expected));
  audiocraft::append(component.checks, state.notes);
  component.provides = provided_facts(spec.figures, "dac in xp.cfg");
  component.summary = {{"family", "DAC"}};
  add_summary(spec.figures, component.summary);
  add_summary(state, component.summary);
  component.warnings.push_back(
      "AudioCraft cannot load a DAC from tensors, only by the names dac_44khz and dac_24khz: this "
      "file is for loaders of your own");
  component.loaders = {
      {"AudioCraft", false, false, "it loads a DAC by name only"},
      {"transformers", false, false, "it has files of its own (model.safetensors, config.json)"}};
}

constexpr std::string_view kReference = "a reference to a pretrained DAC";

void prepare_name(const std::string& name, const ExportRequest& request, Component& component) {
  audiocraft::require_nothing_computed(request, kReference);
  describe_pretrained(name, component);
  component.package =
      audiocraft::reference_package(name, request.option(audiocraft::kVersionOption));
}

void prepare_reference(const Checkpoint& checkpoint, Component& component) {
  audiocraft::Reference reference = audiocraft::open_reference(checkpoint);
  describe_pretrained(reference.name, component);
  component.package = std::move(reference.package);
  audiocraft::append(component.warnings, reference.warnings);
}

// What the options ask to compute, and the configuration that goes with it.
Config compute(const ExportRequest& request, const Config& config, audiocraft::State& state) {
  Config result = config;
  if (request.option_is(audiocraft::kFoldOption, "true")) {
    audiocraft::fold_weight_norm(state);
    result = Config::from_yaml(config.text() + std::string(kWeightNormKey) + ": false\n");
    reorder(state, read_spec(result).expected);
  }
  cast(state, request);
  return result;
}

struct Weights {
  Config config;
  audiocraft::State state;
};

Weights read_weights(const Checkpoint& checkpoint) {
  const Object metadata = checkpoint.root().at("metadata");
  if (!metadata.is(Kind::dict) || !metadata.contains("kwargs")) {
    throw Error(ErrorKind::input, "config.missing",
                "metadata is " + describe(metadata) + " without 'kwargs', the settings of the DAC",
                "save the weights with model.save(\"weights.pth\", package=False)");
  }
  return {Config::from_yaml(config_text(metadata.at("kwargs"))),
          audiocraft::read_state(checkpoint.root().at("state_dict"), checkpoint, "state_dict")};
}

void prepare_weights(const ExportRequest& request, ExportContext& context, Component& component) {
  audiocraft::require_single_state(request);
  Weights weights = read_weights(request.source.checkpoint());
  average_with(weights.state, request, context, [](const ExportRequest& further) {
    const Checkpoint& checkpoint = further.source.checkpoint();
    const audiocraft::FileKind file = audiocraft::file_kind(checkpoint.root());
    if (file.layout != Layout::weights) {
      throw audiocraft::wrong_layout(file, "weights.pth of a DAC, as the first");
    }
    return read_weights(checkpoint).state;
  });
  const Config config = compute(request, weights.config, weights.state);
  describe_embedded(config, weights.state, component);
  component.checks.push_back("xp.cfg written from metadata['kwargs']");
  component.package = audiocraft::model_package(weights.state, config.text(),
                                                request.option(audiocraft::kVersionOption));
}

void prepare_package(const ExportRequest& request, ExportContext& context, Component& component) {
  audiocraft::Opened opened = audiocraft::open_model(request, context);
  const audiocraft::ModelName model = audiocraft::model_name(opened.config);
  if (model.name != "dac") {
    throw Error(ErrorKind::input, "package.family", model.words + ", not a DAC");
  }
  opened.config = compute(request, opened.config, opened.state);
  describe_embedded(opened.config, opened.state, component);
  component.package = opened.package();
  audiocraft::append(component.checks, opened.checks);
  audiocraft::append(component.warnings, opened.warnings);
}

void prepare_file(const ExportRequest& request, ExportContext& context, Component& component) {
  const Checkpoint& checkpoint = request.source.checkpoint();
  const audiocraft::FileKind file = audiocraft::file_kind(checkpoint.root());
  switch (file.layout) {
    case Layout::reference:
      audiocraft::require_nothing_computed(request, kReference);
      return prepare_reference(checkpoint, component);
    case Layout::weights:
      return prepare_weights(request, context, component);
    case Layout::training:
    case Layout::exported:
      return prepare_package(request, context, component);
    case Layout::other:
      break;
  }
  throw audiocraft::wrong_layout(file, "weights.pth of a DAC or its package");
}

}  // namespace

ExporterInfo DacExporter::info() const {
  using Kind = AcceptedSource::Kind;
  return {
      {"dac",
       "DAC models (descript-audio-codec), and references to those AudioCraft knows",
       1,
       {audiocraft::state_option(), audiocraft::version_option(), audiocraft::dtype_option(),
        audiocraft::dtype_of_option(), audiocraft::fold_option(), audiocraft::average_option()}},
      std::string(kCompressionRole),
      {{Kind::checkpoint, "weights.pth of descript-audio-codec", {}},
       {Kind::checkpoint, "exported DAC (compression_state_dict.bin)", {}},
       {Kind::pretrained, "name of a DAC", {"dac_44khz", "dac_24khz", "dac_*", "descript/*"}}}};
}

Probe DacExporter::probe(const Source& source) const {
  return source.kind() == AcceptedSource::Kind::pretrained ? probe_name(source.name())
                                                           : probe_checkpoint(source.checkpoint());
}

Component DacExporter::prepare(const ExportRequest& request, ExportContext& context) const {
  Component component;
  component.role = kCompressionRole;
  if (request.source.kind() == AcceptedSource::Kind::pretrained) {
    prepare_name(request.source.name(), request, component);
    return component;
  }
  audiocraft::naming_file(request, [&] { prepare_file(request, context, component); });
  return component;
}

}  // namespace craftbundle::dac
