#include "mulaw_exporter.h"

#include "bundlecraft/base/error.h"
#include "bundlecraft/base/text.h"

namespace mulaw {

using bundlecraft::Error;
using bundlecraft::ErrorKind;
using bundlecraft::Kind;
using bundlecraft::Object;
using bundlecraft::Tensor;
using bundlecraft::Value;

namespace {

constexpr std::int64_t kMaxLevels = 65536;

Tensor levels_of(const bundlecraft::Checkpoint& checkpoint) {
  const Tensor levels = checkpoint.tensor(checkpoint.root().at("mulaw").at("levels"));
  if (levels.layout.shape.size() != 1 || levels.layout.shape[0] < 2 ||
      levels.layout.shape[0] > kMaxLevels) {
    throw Error(ErrorKind::input, "mulaw.levels",
                "['mulaw']['levels'] has shape " + bundlecraft::shape_text(levels.layout.shape) +
                    ", expected one dimension of 2 to 65536");
  }
  return levels;
}

}  // namespace

bundlecraft::ExporterInfo MulawExporter::info() const {
  bundlecraft::ExporterInfo info;
  info.name = "mulaw";
  info.summary = "mu-law codec with a learned table";
  info.component = bundlecraft::kCompressionRole;
  info.accepts = {
      {bundlecraft::AcceptedSource::Kind::checkpoint, "checkpoint of a mu-law training", {}}};
  info.options = {{"rate",
                   bundlecraft::OptionSpec::Type::integer,
                   "",
                   "Sample rate in Hz, where the checkpoint is wrong.",
                   {}}};
  return info;
}

bundlecraft::Probe MulawExporter::probe(const bundlecraft::Source& source) const {
  const Object root = source.checkpoint().root();
  if (!root.is(Kind::dict)) return {0, "no dict"};
  if (!root.contains("mulaw")) return {0, "has no key 'mulaw'"};
  return {100, "has the key 'mulaw'"};
}

bundlecraft::Component MulawExporter::prepare(const bundlecraft::ExportRequest& request,
                                              bundlecraft::ExportContext& /*context*/) const {
  const bundlecraft::Checkpoint& checkpoint = request.source.checkpoint();
  const Tensor levels = levels_of(checkpoint);
  const std::string& rate_option = request.option("rate");
  const std::int64_t rate =
      rate_option.empty() ? checkpoint.root().at("sample_rate").as_int() : std::stoll(rate_option);
  if (rate < 1 || rate > 768000) {
    throw Error(ErrorKind::input, "mulaw.rate",
                "the sample rate is " + std::to_string(rate) + " Hz");
  }

  bundlecraft::Component component;
  component.role = bundlecraft::kCompressionRole;
  component.package = Value(Value::Dict{
      {"best_state", Value(Value::Dict{{"levels", Value(levels)}})},
      {"xp.cfg", Value("compression_model: mulaw\nsample_rate: " + std::to_string(rate) + "\n")},
      {"version", Value("1.0.0")},
      {"exported", Value(true)},
  });
  component.provides = {
      {"codebooks", std::int64_t{1}, "mu-law has one stream of codes"},
      {"cardinality", levels.layout.shape[0], "size of ['mulaw']['levels']"},
      {"sample_rate", rate, rate_option.empty() ? "['sample_rate']" : "option rate"},
  };
  component.summary = {{"family", "mu-law"}, {"levels", std::to_string(levels.layout.shape[0])}};
  component.checks = {"the table has one dimension"};
  return component;
}

}  // namespace mulaw
