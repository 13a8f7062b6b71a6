#include "encodec.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "encodec/spec.h"
#include "json_fields.h"
#include "names.h"

namespace craftbundle::transformers {
namespace {

using encodec::Seanet;

constexpr double kMostCodebooks = 256;
constexpr const char* kRetrain = "only a codec trained otherwise could be expressed";

// "encoder.model.1.block.1.conv" is "encoder.layers.1.block.1" there.
std::string module_there(const encodec::ConvLayer& layer) {
  std::string name = layer.name.substr(0, layer.name.rfind('.'));
  return name.replace(name.find(".model."), 7, ".layers.");
}

class TableMaker {
 public:
  explicit TableMaker(NameTable& table) : table_(table) {}

  void operator()(const encodec::ConvLayer& layer) const {
    const std::string there = module_there(layer);
    table_.rename(layer.weights() + ".<word>", there + ".conv.<word>");
    table_.rename(layer.name + ".norm.<word>", there + ".norm.<word>");
  }
  void operator()(const encodec::ActivationLayer& /*layer*/) const {}
  void operator()(const encodec::ResidualLayer& layer) const {
    (*this)(layer.first);
    (*this)(layer.second);
    if (layer.shortcut) (*this)(*layer.shortcut);
  }
  void operator()(const encodec::LstmLayer& layer) const {
    std::string there = layer.name;
    there.replace(there.find(".model."), 7, ".layers.");
    table_.rename(layer.name + ".<word>", there + ".<word>");
  }

 private:
  NameTable& table_;
};

NameTable table_of(const encodec::Spec& spec) {
  NameTable table;
  for (const auto& layers :
       {encodec::encoder_layers(spec.encoder), encodec::decoder_layers(spec.decoder)}) {
    for (const encodec::Layer& layer : layers) std::visit(TableMaker(table), layer);
  }
  table.rename("quantizer.vq.layers.<n>._codebook.<word>", "quantizer.layers.<n>.codebook.<word>");
  return table;
}

// What transformers' EncodecModel knows only one way of.
void find_problems(const encodec::Spec& spec, Problems& problems) {
  const Seanet& encoder = spec.encoder;
  const Seanet& decoder = spec.decoder;
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  if (encoder.lstm == 0) problems.differs("seanet.lstm", "0", "at least one layer", kRetrain);
  if (encoder.unnormed_blocks != 0 || decoder.unnormed_blocks != 0) {
    problems.differs("seanet.disable_norm_outer_blocks",
                     number(std::max(encoder.unnormed_blocks, decoder.unnormed_blocks)), "0",
                     kRetrain);
  }
  const auto alpha = encoder.activation.parameters.find("alpha");
  const double slope = alpha == encoder.activation.parameters.end() ? 1.0 : alpha->second;
  if (encoder.activation.name != "ELU" || slope != 1.0) {
    problems.differs("seanet.activation",
                     encoder.activation.name + (encoder.activation.name == "ELU"
                                                    ? " with alpha " + to_string(FactValue(slope))
                                                    : std::string()),
                     "ELU with alpha 1", kRetrain);
  }
  if (decoder.final_activation) {
    problems.differs("seanet.decoder.final_activation", decoder.final_activation->name, "none",
                     kRetrain);
  }
  if (encoder.norm == "time_group_norm" && (!encoder.norm_affine || encoder.norm_eps != 1e-5)) {
    problems.add("seanet.norm_params are not the defaults of GroupNorm", kRetrain);
  }
  if (!spec.figures.cardinality) {
    problems.differs("encodec.quantizer", "no_quant", "rvq", kRetrain);
  } else if (!std::has_single_bit(static_cast<std::uint64_t>(*spec.figures.cardinality))) {
    problems.differs("rvq.bins", number(*spec.figures.cardinality), "a power of two", kRetrain);
  }
}

// The two halves have one configuration there.
void compare_halves(const Seanet& a, const Seanet& b, Problems& problems) {
  const auto same = [&](const char* key, auto member) {
    if (a.*member != b.*member) {
      problems.add(std::string("seanet.encoder and seanet.decoder differ in ") + key, kRetrain);
    }
  };
  same("n_filters", &Seanet::filters);
  same("n_residual_layers", &Seanet::residual_layers);
  same("ratios", &Seanet::ratios);
  same("norm", &Seanet::norm);
  same("norm_params", &Seanet::norm_affine);
  same("kernel_size", &Seanet::kernel);
  same("last_kernel_size", &Seanet::last_kernel);
  same("residual_kernel_size", &Seanet::residual_kernel);
  same("dilation_base", &Seanet::dilation_base);
  same("causal", &Seanet::causal);
  same("pad_mode", &Seanet::pad_mode);
  same("true_skip", &Seanet::true_skip);
  same("compress", &Seanet::compress);
  same("lstm", &Seanet::lstm);
  if (a.activation.name != b.activation.name ||
      a.activation.parameters != b.activation.parameters) {
    problems.add("seanet.encoder and seanet.decoder differ in activation", kRetrain);
  }
}

// The bandwidth in kbps that stands for `codebooks`: transformers computes their number from it.
double bandwidth(std::int64_t codebooks, std::int64_t frame_rate, std::int64_t bins) {
  const auto bits = static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(bins)) - 1);
  double kbps = static_cast<double>(codebooks * frame_rate * bits) / 1000.0;
  const auto counted = [&] {
    return static_cast<std::int64_t>(
        std::floor(1000.0 * kbps / static_cast<double>(frame_rate * bits)));
  };
  while (bits > 0 && counted() < codebooks) kbps = std::nextafter(kbps, kbps + 1);
  return kbps;
}

std::int64_t ceil_divide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Convolutions without norm, or with another one, as weight norm has them: exactly the same
// function.
std::vector<NamedTensor> with_weight_norm(const encodec::Spec& spec,
                                          std::vector<NamedTensor> tensors) {
  std::map<std::string, const NamedTensor*> by_name;
  for (const NamedTensor& named : tensors) by_name[named.name] = &named;
  std::map<std::string, ElementsPtr> weights;  // of a convolution: "encoder.model.0.conv.conv"
  const auto find = [&](const encodec::ConvLayer& layer) {
    const std::string base = layer.weights();
    if (layer.norm == "none") {
      const auto weight = by_name.find(base + ".weight");
      if (weight != by_name.end()) weights[base] = elements_of(*weight->second);
    } else if (layer.norm == "spectral_norm") {
      const auto original = by_name.find(base + ".weight_orig");
      const auto u = by_name.find(base + ".weight_u");
      const auto v = by_name.find(base + ".weight_v");
      if (original == by_name.end() || u == by_name.end() || v == by_name.end()) return;
      weights[base] = fold_spectral_norm(elements_of(*original->second), elements_of(*u->second),
                                         elements_of(*v->second), layer.transposed ? 1 : 0);
    }
  };
  for (const auto& layers :
       {encodec::encoder_layers(spec.encoder), encodec::decoder_layers(spec.decoder)}) {
    for (const encodec::Layer& layer : layers) {
      if (const auto* conv = std::get_if<encodec::ConvLayer>(&layer)) find(*conv);
      if (const auto* residual = std::get_if<encodec::ResidualLayer>(&layer)) {
        find(residual->first);
        find(residual->second);
        if (residual->shortcut) find(*residual->shortcut);
      }
    }
  }
  std::vector<NamedTensor> result;
  for (const NamedTensor& named : tensors) {
    const std::size_t dot = named.name.rfind('.');
    const auto found = weights.find(named.name.substr(0, dot));
    if (found == weights.end() || !named.name.substr(dot + 1).starts_with("weight")) {
      result.push_back(named);
      continue;
    }
    const std::string leaf = named.name.substr(dot + 1);
    if (leaf != "weight" && leaf != "weight_orig") continue;
    const ElementsPtr& weight = found->second;
    result.push_back({found->first + ".weight_g",
                      ComputedTensor{named.dtype(), slice_norms(weight), named.name}});
    result.push_back(
        {found->first + ".weight_v", ComputedTensor{named.dtype(), weight, named.name}});
  }
  return result;
}

// transformers' other spelling of weight norm, by torch.nn.utils.parametrizations.
void spell_weight_norm(std::vector<NamedTensor>& tensors) {
  constexpr std::string_view kOther = "parametrizations.weight.original";
  for (NamedTensor& named : tensors) {
    const std::size_t at = named.name.find(kOther);
    if (at == std::string::npos || at + kOther.size() + 1 != named.name.size()) continue;
    named.name = named.name.substr(0, at) + (named.name.back() == '0' ? "weight_g" : "weight_v");
  }
}

bool is_made_weight_norm(const Seanet& seanet) {
  return seanet.norm == "none" || seanet.norm == "spectral_norm";
}

}  // namespace

Part encodec_part(const Model& model, std::optional<std::int64_t> codebooks, Problems& problems) {
  const encodec::Spec spec = encodec::read_spec(model.config);
  find_problems(spec, problems);
  compare_halves(spec.encoder, spec.decoder, problems);
  const std::int64_t has = spec.figures.codebooks.value_or(1);
  const std::int64_t used = std::min(codebooks.value_or(has), has);
  if (!problems.empty()) return {};

  const Seanet& seanet = spec.encoder;
  const std::int64_t bins = *spec.figures.cardinality;
  const std::int64_t rate = ceil_divide(spec.figures.sample_rate, seanet.hop_length());
  Part part;
  Json& config = part.config;
  config["model_type"] = "encodec";
  config["sampling_rate"] = spec.figures.sample_rate;
  config["audio_channels"] = spec.figures.channels;
  config["normalize"] = spec.figures.renormalize;
  config["chunk_length_s"] = nullptr;
  config["overlap"] = nullptr;
  config["hidden_size"] = seanet.dimension;
  config["codebook_dim"] = seanet.dimension;
  config["codebook_size"] = bins;
  config["num_filters"] = seanet.filters;
  config["num_residual_layers"] = seanet.residual_layers;
  config["upsampling_ratios"] = seanet.ratios;
  config["norm_type"] = is_made_weight_norm(seanet) ? "weight_norm" : seanet.norm;
  config["kernel_size"] = seanet.kernel;
  config["last_kernel_size"] = seanet.last_kernel;
  config["residual_kernel_size"] = seanet.residual_kernel;
  config["dilation_growth_rate"] = seanet.dilation_base;
  config["use_causal_conv"] = seanet.causal;
  config["pad_mode"] = seanet.pad_mode;
  config["compress"] = seanet.compress;
  config["num_lstm_layers"] = seanet.lstm;
  config["trim_right_ratio"] = spec.decoder.trim_right_ratio;
  config["use_conv_shortcut"] = !seanet.true_skip;
  // Without being told, encode() uses the first of them: in front of a language model only the one
  // that it needs.
  const bool all_counts = !codebooks && model.config.get_bool("rvq.q_dropout").value_or(false);
  Json bandwidths = Json::array();
  for (std::int64_t n = all_counts ? 1 : used; n <= used; ++n) {
    bandwidths.push_back(bandwidth(n, rate, bins));
  }
  config["target_bandwidths"] = std::move(bandwidths);

  const bool made = is_made_weight_norm(seanet);
  part.reversible = !made && used == has;
  part.tensors =
      table_of(spec).to_theirs(made ? with_weight_norm(spec, model.tensors) : model.tensors);
  std::erase_if(part.tensors, [&](const NamedTensor& named) {
    constexpr std::string_view kLayers = "quantizer.layers.";
    return used < has && named.name.starts_with(kLayers) &&
           std::stoll(named.name.substr(kLayers.size())) >= used;
  });
  return part;
}

Json encodec_preprocessor(const Json& config) {
  return {{"feature_extractor_type", "EncodecFeatureExtractor"},
          {"feature_size", config.at("audio_channels")},
          {"sampling_rate", config.at("sampling_rate")},
          {"padding_value", 0.0},
          {"padding_side", "right"},
          {"return_attention_mask", true},
          {"chunk_length_s", config.value("chunk_length_s", Json())},
          {"overlap", config.value("overlap", Json())}};
}

std::int64_t encodec_frame_rate(const Json& json) {
  const Fields config(json, "audio codec");
  std::int64_t hop = 1;
  for (const std::int64_t ratio : config.integers("upsampling_ratios", {8, 5, 4, 2})) hop *= ratio;
  return ceil_divide(config.integer("sampling_rate", 24'000), hop);
}

std::int64_t encodec_codebooks(const Json& json) {
  const Fields config(json, "audio codec");
  const std::vector<double> bandwidths =
      config.reals("target_bandwidths", {1.5, 3.0, 6.0, 12.0, 24.0});
  const std::int64_t bins = config.integer("codebook_size", 1024);
  const auto bits = static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(bins)) - 1);
  const std::int64_t rate =
      std::max<std::int64_t>(encodec_frame_rate(json), 1) * std::max<std::int64_t>(bits, 1);
  const double count = std::floor(1000.0 * bandwidths.back() / static_cast<double>(rate));
  if (!(count >= 0 && count <= kMostCodebooks)) {
    throw config.refuse("target_bandwidths", float_text(bandwidths.back()),
                        "what up to 256 codebooks need");
  }
  return static_cast<std::int64_t>(count);
}

Model encodec_model(const Json& json, std::vector<NamedTensor> tensors) {
  const Fields config(json, "audio codec");
  spell_weight_norm(tensors);
  // The file tells: older releases of transformers computed another number from the bandwidths.
  std::int64_t codebooks = 0;
  for (const NamedTensor& named : tensors) {
    codebooks += named.name.starts_with("quantizer.") && named.name.ends_with(".codebook.embed");
  }
  const std::int64_t rate = config.integer("sampling_rate", 24'000);
  const std::int64_t channels = config.integer("audio_channels", 1);
  const std::int64_t dimension = config.integer("hidden_size", 128);
  const std::int64_t width = config.integer("codebook_dim", dimension);
  if (width != dimension) {
    throw config.refuse("codebook_dim", std::to_string(width),
                        "hidden_size, " + std::to_string(dimension));
  }
  const bool several = config.reals("target_bandwidths", {1.5, 3.0, 6.0, 12.0, 24.0}).size() > 1;
  std::string ratios;
  for (const std::int64_t ratio : config.integers("upsampling_ratios", {8, 5, 4, 2})) {
    ratios += "  - " + std::to_string(ratio) + "\n";
  }
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  const auto flag = [](bool value) { return std::string(value ? "true" : "false"); };
  const std::string causal = flag(config.flag("use_causal_conv", true));
  std::string text = "device: cpu\ndtype: float32\nsolver: compression\n";
  text += "sample_rate: " + number(rate) + "\nchannels: " + number(channels) + "\n";
  text += "compression_model: encodec\n";
  text += "encodec:\n  autoencoder: seanet\n  quantizer: rvq\n  sample_rate: ${sample_rate}\n";
  text += "  channels: ${channels}\n  causal: " + causal + "\n";
  text += "  renormalize: " + flag(config.flag("normalize", false)) + "\n";
  text += "seanet:\n  dimension: " + number(dimension) + "\n  channels: ${channels}\n";
  text += "  causal: ${encodec.causal}\n";
  text += "  n_filters: " + number(config.integer("num_filters", 32)) + "\n";
  text += "  n_residual_layers: " + number(config.integer("num_residual_layers", 1)) + "\n";
  text += "  ratios:\n" + ratios;
  text += "  activation: ELU\n  activation_params:\n    alpha: 1.0\n";
  text += "  norm: " + config.word("norm_type", "weight_norm", {"weight_norm", "time_group_norm"}) +
          "\n  norm_params: {}\n";
  text += "  kernel_size: " + number(config.integer("kernel_size", 7)) + "\n";
  text += "  residual_kernel_size: " + number(config.integer("residual_kernel_size", 3)) + "\n";
  text += "  last_kernel_size: " + number(config.integer("last_kernel_size", 7)) + "\n";
  text += "  dilation_base: " + number(config.integer("dilation_growth_rate", 2)) + "\n";
  text += "  pad_mode: " +
          config.word("pad_mode", "reflect", {"constant", "reflect", "replicate", "circular"}) +
          "\n";
  text += "  true_skip: " + flag(!config.flag("use_conv_shortcut", true)) + "\n";
  text += "  compress: " + number(config.integer("compress", 2)) + "\n";
  text += "  lstm: " + number(config.integer("num_lstm_layers", 2)) + "\n";
  text += "  disable_norm_outer_blocks: 0\n";
  text += "  decoder:\n    trim_right_ratio: " + float_text(config.real("trim_right_ratio", 1.0)) +
          "\n    final_activation: null\n    final_activation_params: null\n  encoder: {}\n";
  text += "rvq:\n  n_q: " + number(codebooks) + "\n  q_dropout: " + flag(several) + "\n";
  text += "  bins: " + number(config.integer("codebook_size", 1024)) + "\n";
  text += "  decay: 0.99\n  kmeans_init: true\n  kmeans_iters: 50\n  threshold_ema_dead_code: 2\n";
  text += "  orthogonal_reg_weight: 0.0\n  orthogonal_reg_active_codes_only: false\n";

  Model model;
  model.family = "encodec";
  model.config = Config::from_yaml(std::move(text));
  const encodec::Spec spec = encodec::read_spec(model.config);
  model.tensors = table_of(spec).to_ours(tensors);
  order_by(spec.expected.names(), model.tensors);
  return model;
}

std::vector<TensorAlias> encodec_aliases(const Model& model) {
  return table_of(encodec::read_spec(model.config)).aliases(model.tensors);
}

}  // namespace craftbundle::transformers
