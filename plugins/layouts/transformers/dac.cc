#include "dac.h"

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <utility>

#include "craftbundle/detail/base/text.h"
#include "dac/spec.h"
#include "json_fields.h"
#include "names.h"

namespace craftbundle::transformers {
namespace {

constexpr std::array<const char*, 4> kUnit = {"snake1", "conv1", "snake2", "conv2"};

// The four modules of a residual unit.
void add_unit(const std::string& ours, const std::string& theirs, NameTable& table) {
  for (std::size_t i = 0; i < kUnit.size(); ++i) {
    table.rename(ours + ".block." + std::to_string(i) + ".<word>",
                 theirs + "." + kUnit[i] + ".<word>");
  }
}

NameTable table_of(const dac::Settings& settings) {
  NameTable table;
  const auto add = [&](const std::string& ours, const std::string& theirs) {
    table.rename(ours + ".<word>", theirs + ".<word>");
  };
  const auto number = [](std::size_t value) { return std::to_string(value); };
  const std::size_t down = settings.encoder_rates.size();
  add("encoder.block.0", "encoder.conv1");
  for (std::size_t i = 1; i <= down; ++i) {
    const std::string ours = "encoder.block." + number(i) + ".block.";
    const std::string theirs = "encoder.block." + number(i - 1) + ".";
    for (std::size_t unit = 0; unit < 3; ++unit) {
      add_unit(ours + number(unit), theirs + "res_unit" + number(unit + 1), table);
    }
    add(ours + "3", theirs + "snake1");
    add(ours + "4", theirs + "conv1");
  }
  add("encoder.block." + number(down + 1), "encoder.snake1");
  add("encoder.block." + number(down + 2), "encoder.conv2");

  for (const char* projection : {"in_proj", "out_proj", "codebook"}) {
    const std::string name = std::string("quantizer.quantizers.<n>.") + projection;
    add(name, name);
  }

  const std::size_t up = settings.decoder_rates.size();
  add("decoder.model.0", "decoder.conv1");
  for (std::size_t i = 1; i <= up; ++i) {
    const std::string ours = "decoder.model." + number(i) + ".block.";
    const std::string theirs = "decoder.block." + number(i - 1) + ".";
    add(ours + "0", theirs + "snake1");
    add(ours + "1", theirs + "conv_t1");
    for (std::size_t unit = 0; unit < 3; ++unit) {
      add_unit(ours + number(unit + 2), theirs + "res_unit" + number(unit + 1), table);
    }
  }
  add("decoder.model." + number(up + 1), "decoder.snake1");
  add("decoder.model." + number(up + 2), "decoder.conv2");
  return table;
}

std::vector<NamedTensor> folded(const std::vector<NamedTensor>& tensors) {
  constexpr std::string_view kNorm = ".weight_g";
  constexpr std::string_view kDirection = ".weight_v";
  std::map<std::string_view, const NamedTensor*> by_name;
  for (const NamedTensor& named : tensors) by_name[named.name] = &named;
  std::vector<NamedTensor> result;
  for (const NamedTensor& named : tensors) {
    if (named.name.ends_with(kNorm)) continue;
    if (!named.name.ends_with(kDirection)) {
      result.push_back(named);
      continue;
    }
    const std::string base = named.name.substr(0, named.name.size() - kDirection.size());
    const auto norm = by_name.find(base + std::string(kNorm));
    if (norm == by_name.end()) continue;  // the exporter has found both
    result.push_back({base + ".weight", ComputedTensor{named.dtype(),
                                                       fold_weight_norm(elements_of(*norm->second),
                                                                        elements_of(named)),
                                                       named.name}});
  }
  return result;
}

void find_problems(const dac::Settings& settings, Problems& problems) {
  const std::vector<std::int64_t>& dims = settings.codebook_dims;
  if (std::ranges::any_of(dims, [&](std::int64_t dim) { return dim != dims.front(); })) {
    problems.differs("dac.codebook_dim", shape_text(dims), "one number for all codebooks");
  }
  if (!std::has_single_bit(static_cast<std::uint64_t>(settings.codebook_size))) {
    problems.differs("dac.codebook_size", std::to_string(settings.codebook_size), "a power of two");
  }
}

// A number or a flag; descript's class takes both.
double dropout(const Config& config) {
  try {
    return config.get_real("dac.quantizer_dropout").value_or(0.0);
  } catch (const Error& error) {
    if (error.code() != "config.type") throw;
    return config.get_bool("dac.quantizer_dropout").value_or(false) ? 1.0 : 0.0;
  }
}

std::string list_of(const std::vector<std::int64_t>& numbers) {
  std::string text;
  for (const std::int64_t number : numbers) text += "\n  - " + std::to_string(number);
  return text;
}

}  // namespace

Part dac_part(const Model& model, Problems& problems) {
  const dac::Settings settings = dac::read_spec(model.config).settings;
  find_problems(settings, problems);
  if (!problems.empty()) return {};
  Part part;
  part.config = {{"model_type", "dac"},
                 {"encoder_hidden_size", settings.encoder_dim},
                 {"downsampling_ratios", settings.encoder_rates},
                 {"decoder_hidden_size", settings.decoder_dim},
                 {"upsampling_ratios", settings.decoder_rates},
                 // The class has its own idea of these two, unless they are written.
                 {"hidden_size", settings.latent_dim},
                 {"hop_length", settings.hop_length()},
                 {"n_codebooks", settings.codebooks},
                 {"codebook_size", settings.codebook_size},
                 {"codebook_dim", settings.codebook_dims.front()},
                 {"quantizer_dropout", dropout(model.config)},
                 {"sampling_rate", settings.sample_rate},
                 {"commitment_loss_weight", 0.25},
                 {"codebook_loss_weight", 1.0}};
  part.reversible = !settings.weight_norm;
  part.tensors =
      table_of(settings).to_theirs(settings.weight_norm ? folded(model.tensors) : model.tensors);
  return part;
}

Json dac_preprocessor(const Json& config) {
  return {{"feature_extractor_type", "DacFeatureExtractor"},
          {"feature_size", 1},
          {"sampling_rate", config.at("sampling_rate")},
          {"hop_length", config.at("hop_length")},
          {"padding_value", 0.0},
          {"padding_side", "right"},
          {"return_attention_mask", true}};
}

Model dac_model(const Json& json, std::vector<NamedTensor> tensors) {
  const Fields config(json, "audio codec");
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  const std::vector<std::int64_t> down = config.integers("downsampling_ratios", {2, 4, 8, 8});
  std::vector<std::int64_t> mirrored(down.rbegin(), down.rend());
  const std::string rate = number(config.integer("sampling_rate", 16'000));
  const std::int64_t width = config.integer("encoder_hidden_size", 64);
  std::string text = "compression_model: dac\nsample_rate: " + rate + "\nchannels: 1\ndac:\n";
  text += "  encoder_dim: " + number(width) + "\n  encoder_rates:" + list_of(down) + "\n";
  text +=
      "  latent_dim: " +
      number(config.integer("hidden_size", std::min(width, std::int64_t{1} << 16) << down.size())) +
      "\n";
  text += "  decoder_dim: " + number(config.integer("decoder_hidden_size", 1536)) + "\n";
  text += "  decoder_rates:" + list_of(config.integers("upsampling_ratios", std::move(mirrored))) +
          "\n";
  text += "  n_codebooks: " + number(config.integer("n_codebooks", 9)) + "\n";
  text += "  codebook_size: " + number(config.integer("codebook_size", 1024)) + "\n";
  text += "  codebook_dim: " + number(config.integer("codebook_dim", 8)) + "\n";
  text += "  quantizer_dropout: " + float_text(config.real("quantizer_dropout", 0.0)) + "\n";
  text += "  sample_rate: " + rate + "\n";
  text += std::string(dac::kWeightNormKey) + ": false\n";

  Model model;
  model.family = "dac";
  model.config = Config::from_yaml(std::move(text));
  const dac::Spec spec = dac::read_spec(model.config);
  model.tensors = table_of(spec.settings).to_ours(tensors);
  order_by(spec.expected.names(), model.tensors);
  return model;
}

std::vector<TensorAlias> dac_aliases(const Model& model) {
  const dac::Settings settings = dac::read_spec(model.config).settings;
  if (settings.weight_norm) return {};
  return table_of(settings).aliases(model.tensors);
}

}  // namespace craftbundle::transformers
