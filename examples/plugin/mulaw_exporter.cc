#include "mulaw_exporter.h"

#include "craftbundle/audiocraft_rules.h"

namespace mulaw {
namespace {

namespace audiocraft = craftbundle::audiocraft;

craftbundle::Config config_of(const std::string& rate) {
  return craftbundle::Config::from_yaml("compression_model: mulaw\nsample_rate: " + rate + "\n");
}

bool is_training(const craftbundle::Source& source) {
  if (source.kind() != craftbundle::AcceptedSource::Kind::checkpoint) return false;
  const craftbundle::Object root = source.checkpoint().root();
  return root.is(craftbundle::Kind::dict) && root.contains("mulaw");
}

// A training has a table and a rate; what was exported has the configuration made of them.
audiocraft::Opened open(const craftbundle::ExportRequest& request) {
  if (!is_training(request.source)) return audiocraft::open_model(request);
  audiocraft::require_single_state(request);
  const craftbundle::Checkpoint& checkpoint = request.source.checkpoint();
  const craftbundle::Object root = checkpoint.root();
  return {config_of(root.at("sample_rate").as_text()),
          audiocraft::read_state(root.at("mulaw"), checkpoint, "mulaw"),
          audiocraft::fresh_extra(request),
          {},
          {}};
}

}  // namespace

craftbundle::ExporterInfo MulawExporter::info() const {
  using Kind = craftbundle::AcceptedSource::Kind;
  craftbundle::ExporterInfo info;
  info.name = "mulaw";
  info.summary = "mu-law codec with a learned table";
  info.component = craftbundle::kCompressionRole;
  info.accepts = {{Kind::checkpoint, "checkpoint of a mu-law training", {}},
                  {Kind::checkpoint, "exported mu-law codec", {}},
                  {Kind::model, "mu-law codec of a bundle in another layout", {}}};
  info.options = {{"rate",
                   craftbundle::OptionSpec::Type::integer,
                   "",
                   "Sample rate in Hz, where the checkpoint is wrong.",
                   {}},
                  audiocraft::state_option(),
                  audiocraft::version_option()};
  return info;
}

craftbundle::Probe MulawExporter::probe(const craftbundle::Source& source) const {
  if (is_training(source)) return {100, "has the key 'mulaw'"};
  const audiocraft::Glance glance = source.kind() == craftbundle::AcceptedSource::Kind::model
                                        ? audiocraft::glance(source.model())
                                        : audiocraft::glance(source.checkpoint());
  if (!glance.model) return {0, glance.file.words + " without the key 'mulaw'"};
  return {glance.model->name == "mulaw" ? 100 : 0, glance.model->words};
}

craftbundle::Component MulawExporter::prepare(const craftbundle::ExportRequest& request,
                                              craftbundle::ExportContext& /*context*/) const {
  audiocraft::Opened opened = audiocraft::naming_source(request, [&] { return open(request); });
  if (const std::string& rate = request.option("rate"); !rate.empty()) {
    opened.config = config_of(rate);
  }
  audiocraft::ExpectedState expected;
  expected.add("levels", {audiocraft::kAnySize});

  craftbundle::Component component;
  component.role = craftbundle::kCompressionRole;
  component.checks = check_state(opened.state, expected);
  audiocraft::CodecFigures figures;
  figures.codebooks = 1;
  figures.cardinality = opened.state.tensors.front().shape()[0];
  figures.sample_rate = audiocraft::Section(opened.config, "").integer("sample_rate", {1, 768000});
  figures.frame_rate = static_cast<double>(figures.sample_rate);
  figures.latent_dimension = 1;
  figures.codec_class = "mulaw.MulawCodec";
  if (*figures.cardinality < 2 || *figures.cardinality > 65536) {
    throw craftbundle::Error(
        craftbundle::ErrorKind::input, "mulaw.levels",
        "the table has " + std::to_string(*figures.cardinality) + " levels, expected 2 to 65536");
  }
  component.provides = provided_facts(figures, "the configuration");
  component.summary = {{"family", "mu-law"}};
  add_summary(figures, component.summary);
  give(std::move(opened), component);
  return component;
}

}  // namespace mulaw
