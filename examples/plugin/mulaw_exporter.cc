#include "mulaw_exporter.h"

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"
#include "craftbundle/omegaconf/config.h"

namespace mulaw {

using craftbundle::Error;
using craftbundle::ErrorKind;
using craftbundle::Kind;
using craftbundle::Object;
using craftbundle::Tensor;

namespace {

constexpr std::int64_t kMaxLevels = 65536;

// As prepare() writes it.
constexpr std::string_view kConfig = "compression_model: mulaw\nsample_rate: ";

bool is_exported(Object root) {
  if (!root.is(Kind::dict)) return false;
  const std::optional<Object> config = root.find("xp.cfg");
  return config && config->is(Kind::string) && config->as_string().starts_with(kConfig);
}

Tensor levels_of(const craftbundle::Checkpoint& checkpoint, const std::string& key) {
  const Tensor levels = checkpoint.tensor(checkpoint.root().at(key).at("levels"));
  if (levels.layout.shape.size() != 1 || levels.layout.shape[0] < 2 ||
      levels.layout.shape[0] > kMaxLevels) {
    throw Error(ErrorKind::input, "mulaw.levels",
                "['" + key + "']['levels'] has shape " +
                    craftbundle::shape_text(levels.layout.shape) +
                    ", expected one dimension of 2 to 65536");
  }
  return levels;
}

struct Rate {
  std::int64_t hertz;
  std::string origin;
};

Rate rate_of(const craftbundle::ExportRequest& request) {
  const Object root = request.source.checkpoint().root();
  const std::string& option = request.option("rate");
  if (!option.empty()) return {std::stoll(option), "option rate"};
  if (!is_exported(root)) return {root.at("sample_rate").as_int(), "['sample_rate']"};
  const auto config = craftbundle::Config::from_yaml(std::string(root.at("xp.cfg").as_string()));
  return {config.require_int("sample_rate"), "sample_rate in xp.cfg"};
}

}  // namespace

craftbundle::ExporterInfo MulawExporter::info() const {
  craftbundle::ExporterInfo info;
  info.name = "mulaw";
  info.summary = "mu-law codec with a learned table";
  info.component = craftbundle::kCompressionRole;
  info.accepts = {
      {craftbundle::AcceptedSource::Kind::checkpoint, "checkpoint of a mu-law training", {}},
      {craftbundle::AcceptedSource::Kind::checkpoint, "exported mu-law codec", {}}};
  info.options = {{"rate",
                   craftbundle::OptionSpec::Type::integer,
                   "",
                   "Sample rate in Hz, where the checkpoint is wrong.",
                   {}}};
  return info;
}

craftbundle::Probe MulawExporter::probe(const craftbundle::Source& source) const {
  const Object root = source.checkpoint().root();
  if (!root.is(Kind::dict)) return {0, "no dict"};
  if (root.contains("mulaw")) return {100, "has the key 'mulaw'"};
  if (is_exported(root)) return {100, "xp.cfg names the model mulaw"};
  return {0, "has no key 'mulaw'"};
}

craftbundle::Component MulawExporter::prepare(const craftbundle::ExportRequest& request,
                                              craftbundle::ExportContext& /*context*/) const {
  const craftbundle::Checkpoint& checkpoint = request.source.checkpoint();
  const bool exported = is_exported(checkpoint.root());
  const Tensor levels = levels_of(checkpoint, exported ? "best_state" : "mulaw");
  const auto [rate, rate_origin] = rate_of(request);
  if (rate < 1 || rate > 768000) {
    throw Error(ErrorKind::input, "mulaw.rate",
                "the sample rate is " + std::to_string(rate) + " Hz");
  }

  craftbundle::Component component;
  component.role = craftbundle::kCompressionRole;
  craftbundle::Model model;
  model.config = craftbundle::Config::from_yaml(std::string(kConfig) + std::to_string(rate) + "\n");
  model.tensors = {{"levels", levels}};
  component.content = std::move(model);
  component.provides = {
      {"codebooks", std::int64_t{1}, "mu-law has one stream of codes"},
      {"cardinality", levels.layout.shape[0], "size of ['mulaw']['levels']"},
      {"sample_rate", rate, rate_origin},
  };
  component.summary = {{"family", "mu-law"}, {"levels", std::to_string(levels.layout.shape[0])}};
  component.checks = {"the table has one dimension"};
  return component;
}

}  // namespace mulaw
