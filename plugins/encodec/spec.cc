#include "encodec/spec.h"

#include <array>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string_view>

#include "bundlecraft/base/checked.h"
#include "bundlecraft/base/text.h"
#include "support/audiocraft/config.h"

namespace bundlecraft::encodec {
namespace {

using audiocraft::bad_value;
using audiocraft::ExpectedState;
using audiocraft::Range;
using audiocraft::Section;

// Far above every model there is, far below what would make a loop or a product hurt.
constexpr Range kChannelRange = {1, 64};
constexpr Range kWidthRange = {1, 65'536};
constexpr Range kFilterRange = {1, 16'384};
constexpr Range kKernelRange = {1, 4'096};
constexpr Range kRatioRange = {1, 4'096};
constexpr Range kResidualRange = {0, 64};
constexpr Range kLstmRange = {0, 16};
constexpr Range kCodebookRange = {1, 256};
constexpr Range kBinRange = {1, 1 << 24};
constexpr Range kSampleRateRange = {1, 1'000'000};
constexpr std::size_t kMaxRatios = 16;
constexpr std::uint64_t kMaxHop = 1ULL << 31;

constexpr std::array<std::string_view, 4> kNorms = {"none", "weight_norm", "spectral_norm",
                                                    "time_group_norm"};
constexpr std::array<std::string_view, 4> kPadModes = {"constant", "reflect", "replicate",
                                                       "circular"};
constexpr std::array<std::string_view, 1> kAutoencoders = {"seanet"};
constexpr std::array<std::string_view, 2> kQuantizers = {"rvq", "no_quant"};

// Arguments that AudioCraft's classes take: any other key stops it from building the model.
constexpr std::array<std::string_view, 21> kSeanetKeys = {"channels",
                                                          "dimension",
                                                          "n_filters",
                                                          "n_residual_layers",
                                                          "ratios",
                                                          "activation",
                                                          "activation_params",
                                                          "norm",
                                                          "norm_params",
                                                          "kernel_size",
                                                          "last_kernel_size",
                                                          "residual_kernel_size",
                                                          "dilation_base",
                                                          "causal",
                                                          "pad_mode",
                                                          "true_skip",
                                                          "compress",
                                                          "lstm",
                                                          "disable_norm_outer_blocks",
                                                          "encoder",
                                                          "decoder"};
constexpr std::array<std::string_view, 3> kDecoderKeys = {"trim_right_ratio", "final_activation",
                                                          "final_activation_params"};
constexpr std::array<std::string_view, 11> kRvqKeys = {"dimension",
                                                       "n_q",
                                                       "q_dropout",
                                                       "bins",
                                                       "decay",
                                                       "kmeans_init",
                                                       "kmeans_iters",
                                                       "threshold_ema_dead_code",
                                                       "orthogonal_reg_weight",
                                                       "orthogonal_reg_active_codes_only",
                                                       "orthogonal_reg_max_codes"};
constexpr std::array<std::string_view, 7> kEncodecKeys = {
    "autoencoder", "quantizer", "sample_rate", "channels", "causal", "renormalize", "renorm"};

// One half of the autoencoder, with AudioCraft's defaults for what the configuration leaves out.
struct Seanet {
  std::int64_t channels;
  std::int64_t dimension;
  std::int64_t filters;
  std::int64_t residual_layers;
  std::vector<std::int64_t> ratios;
  std::string norm;
  bool norm_affine;
  std::int64_t kernel;
  std::int64_t last_kernel;
  std::int64_t residual_kernel;
  bool true_skip;
  std::int64_t compress;
  std::int64_t lstm;
  std::int64_t unnormed_blocks;  // counted from the waveform's side
  // PReLU is the one activation of torch.nn with weights of its own.
  std::optional<std::int64_t> prelu;
  std::optional<std::int64_t> final_prelu;

  std::int64_t blocks() const { return static_cast<std::int64_t>(ratios.size()) + 2; }
};

std::optional<std::int64_t> prelu_weights(const Section& section, std::string_view activation_key,
                                          const std::string& parameters_key) {
  if (section.text_or(activation_key, "ELU") != "PReLU") return std::nullopt;
  return section.integer_or(parameters_key + ".num_parameters", 1, kWidthRange);
}

Seanet read_seanet(const Config& config, const std::string& half) {
  const std::string overriding = "seanet." + half;
  audiocraft::require_key(config, overriding, "AudioCraft");
  if (!config.keys(overriding)) {
    throw bad_value(overriding + " is no mapping, expected {} or the settings of the " + half);
  }
  const Section section(config, "seanet", overriding);
  Seanet seanet;
  seanet.channels = section.integer_or("channels", 1, kChannelRange);
  seanet.dimension = section.integer("dimension", kWidthRange);
  seanet.filters = section.integer("n_filters", kFilterRange);
  seanet.residual_layers = section.integer_or("n_residual_layers", 3, kResidualRange);
  seanet.ratios = section.integers("ratios", kMaxRatios, kRatioRange);
  seanet.norm = section.choice_or("norm", "none", kNorms);
  seanet.norm_affine = section.flag_or("norm_params.affine", true);
  seanet.kernel = section.integer_or("kernel_size", 7, kKernelRange);
  seanet.last_kernel = section.integer_or("last_kernel_size", 7, kKernelRange);
  seanet.residual_kernel = section.integer_or("residual_kernel_size", 3, kKernelRange);
  seanet.true_skip = section.flag_or("true_skip", true);
  seanet.compress = section.integer_or("compress", 2, kWidthRange);
  seanet.lstm = section.integer_or("lstm", 0, kLstmRange);
  seanet.unnormed_blocks = section.integer_or("disable_norm_outer_blocks", 0, {0, seanet.blocks()});
  seanet.prelu = prelu_weights(section, "activation", "activation_params");
  if (half == "decoder") {
    seanet.final_prelu = prelu_weights(section, "final_activation", "final_activation_params");
  }

  section.choice_or("pad_mode", "reflect", kPadModes);
  if (seanet.filters < seanet.compress) {
    throw bad_value(section.path("compress") + " is " + std::to_string(seanet.compress) +
                    ", which leaves no channel of the " + std::to_string(seanet.filters) + " of " +
                    section.path("n_filters"));
  }
  const bool causal = section.flag_or("causal", false);
  if (causal && seanet.norm == "time_group_norm") {
    throw bad_value(section.path("norm") +
                    " is time_group_norm, which cannot be causal, but seanet.causal is true");
  }
  if (half == "decoder") {
    const double trim = section.real("trim_right_ratio").value_or(1.0);
    if (!(trim >= 0 && trim <= 1)) {
      throw bad_value(section.path("trim_right_ratio") + " is " + to_string(FactValue(trim)) +
                      ", expected 0 to 1");
    }
    if (!causal && trim < 1) {
      throw bad_value(section.path("trim_right_ratio") + " is " + to_string(FactValue(trim)) +
                      ", which needs seanet.causal: true");
    }
  }
  return seanet;
}

std::int64_t hop_length(const Seanet& seanet) {
  std::uint64_t hop = 1;
  for (const std::int64_t ratio : seanet.ratios) {
    // At most 2^31 * 2^12: no overflow.
    hop *= static_cast<std::uint64_t>(ratio);
    if (hop > kMaxHop) throw bad_value("the product of seanet.ratios is above 2^31");
  }
  return static_cast<std::int64_t>(hop);
}

// Writes down the modules of one half in the order of its nn.Sequential.
class SeanetLayout {
 public:
  SeanetLayout(ExpectedState& expected, const Seanet& seanet, std::string prefix)
      : expected_(expected), seanet_(seanet), prefix_(std::move(prefix)) {}

  void encoder() {
    std::int64_t width = seanet_.filters;
    conv(seanet_.channels, width, seanet_.kernel, norm_of_block(1));
    for (std::size_t i = 0; i < seanet_.ratios.size(); ++i) {
      // The encoder goes through the decoder's ratios backwards.
      const std::int64_t ratio = seanet_.ratios[seanet_.ratios.size() - 1 - i];
      const std::string& norm = norm_of_block(static_cast<std::int64_t>(i) + 2);
      residual_blocks(width, norm);
      activation(seanet_.prelu);
      conv(width, 2 * width, 2 * ratio, norm);
      width *= 2;
    }
    lstm(width);
    activation(seanet_.prelu);
    conv(width, seanet_.dimension, seanet_.last_kernel, norm_of_block(seanet_.blocks()));
  }

  void decoder() {
    std::int64_t width = seanet_.filters << seanet_.ratios.size();
    conv(seanet_.dimension, width, seanet_.kernel, norm_of_block(seanet_.blocks()));
    lstm(width);
    for (std::size_t i = 0; i < seanet_.ratios.size(); ++i) {
      const std::string& norm = norm_of_block(seanet_.blocks() - 1 - static_cast<std::int64_t>(i));
      activation(seanet_.prelu);
      transposed(width, width / 2, 2 * seanet_.ratios[i], norm);
      width /= 2;
      residual_blocks(width, norm);
    }
    activation(seanet_.prelu);
    conv(seanet_.filters, seanet_.channels, seanet_.last_kernel, norm_of_block(1));
    if (seanet_.final_prelu) activation(seanet_.final_prelu);
  }

 private:
  // Blocks count from the waveform; the first ones may go without norm.
  const std::string& norm_of_block(std::int64_t block) const {
    static const std::string kNone = "none";
    return seanet_.unnormed_blocks >= block ? kNone : seanet_.norm;
  }

  std::string next() { return prefix_ + std::to_string(index_++); }

  void activation(std::optional<std::int64_t> weights) { add_activation(next(), weights); }

  void add_activation(const std::string& name, std::optional<std::int64_t> weights) {
    if (weights) expected_.add(name + ".weight", {*weights});
  }

  void conv(std::int64_t in, std::int64_t out, std::int64_t kernel, const std::string& norm) {
    add_normed(next() + ".conv", "conv", {out, in, kernel}, out, norm);
  }

  void transposed(std::int64_t in, std::int64_t out, std::int64_t kernel, const std::string& norm) {
    add_normed(next() + ".convtr", "convtr", {in, out, kernel}, out, norm);
  }

  void add_normed(const std::string& name, const std::string& leaf,
                  const std::vector<std::int64_t>& shape, std::int64_t out,
                  const std::string& norm) {
    const std::string module = name + "." + leaf;
    if (norm == "weight_norm") {
      expected_.add_weight_norm(module, shape, out);
    } else if (norm == "spectral_norm") {
      const std::int64_t all = shape[0] * shape[1] * shape[2];
      expected_.add(module + ".bias", {out});
      expected_.add(module + ".weight_orig", shape);
      expected_.add(module + ".weight_u", {out});
      expected_.add(module + ".weight_v", {all / out});
    } else {
      expected_.add(module + ".weight", shape);
      expected_.add(module + ".bias", {out});
    }
    if (norm == "time_group_norm" && seanet_.norm_affine) expected_.add_norm(name + ".norm", out);
  }

  void residual_blocks(std::int64_t width, const std::string& norm) {
    const std::int64_t hidden = width / seanet_.compress;
    for (std::int64_t i = 0; i < seanet_.residual_layers; ++i) {
      const std::string name = next();
      add_activation(name + ".block.0", seanet_.prelu);
      add_normed(name + ".block.1.conv", "conv", {hidden, width, seanet_.residual_kernel}, hidden,
                 norm);
      add_activation(name + ".block.2", seanet_.prelu);
      add_normed(name + ".block.3.conv", "conv", {width, hidden, 1}, width, norm);
      if (!seanet_.true_skip) {
        add_normed(name + ".shortcut.conv", "conv", {width, width, 1}, width, norm);
      }
    }
  }

  void lstm(std::int64_t width) {
    if (seanet_.lstm == 0) return;
    const std::string name = next() + ".lstm.";
    for (std::int64_t i = 0; i < seanet_.lstm; ++i) {
      const std::string layer = "_l" + std::to_string(i);
      expected_.add(name + "weight_ih" + layer, {4 * width, width});
      expected_.add(name + "weight_hh" + layer, {4 * width, width});
      expected_.add(name + "bias_ih" + layer, {4 * width});
      expected_.add(name + "bias_hh" + layer, {4 * width});
    }
  }

  ExpectedState& expected_;
  const Seanet& seanet_;
  std::string prefix_;
  std::int64_t index_ = 0;
};

void warn_of_unknown_keys(const Config& config, Spec& spec) {
  std::vector<std::string> unknown = audiocraft::unknown_keys(config, "encodec", kEncodecKeys);
  audiocraft::append(unknown, audiocraft::unknown_keys(config, "seanet", kSeanetKeys));
  std::vector<std::string_view> keys(kSeanetKeys.begin(), kSeanetKeys.end() - 2);
  audiocraft::append(unknown, audiocraft::unknown_keys(config, "seanet.encoder", keys));
  keys.insert(keys.end(), kDecoderKeys.begin(), kDecoderKeys.end());
  audiocraft::append(unknown, audiocraft::unknown_keys(config, "seanet.decoder", keys));
  audiocraft::append(unknown, audiocraft::unknown_keys(config, "rvq", kRvqKeys));
  if (unknown.empty()) return;
  spec.warnings.push_back("AudioCraft 1.4 does not know " + list_text(unknown) +
                          " and stops at it when it builds the model");
}

void check_halves(const Seanet& encoder, const Seanet& decoder, std::int64_t channels) {
  const auto require_equal = [](const char* what, std::int64_t a, std::int64_t b) {
    if (a == b) return;
    throw bad_value(std::string(what) + " differ: " + std::to_string(a) + " and " +
                    std::to_string(b));
  };
  require_equal("dimension of seanet's encoder and decoder", encoder.dimension, decoder.dimension);
  require_equal("products of the ratios of seanet's encoder and decoder", hop_length(encoder),
                hop_length(decoder));
  require_equal("channels of seanet's encoder and encodec.channels", encoder.channels, channels);
  require_equal("channels of seanet's decoder and encodec.channels", decoder.channels, channels);
}

}  // namespace

Spec read_spec(const Config& config) {
  for (const char* key : {"encodec", "seanet"}) audiocraft::require_key(config, key, "an EnCodec");
  Spec spec;
  const Section encodec(config, "encodec");
  encodec.choice("autoencoder", kAutoencoders);
  const std::string quantizer = encodec.choice("quantizer", kQuantizers);
  audiocraft::require_key(config, quantizer, "encodec.quantizer");

  audiocraft::CodecFigures& figures = spec.figures;
  figures.codec_class = audiocraft::kEncodecClass;
  figures.sample_rate = encodec.integer("sample_rate", kSampleRateRange);
  figures.channels = encodec.integer("channels", kChannelRange);
  figures.renormalize = encodec.flag_or("renormalize", false);
  if (figures.renormalize && encodec.flag_or("causal", false)) {
    throw bad_value(
        "encodec.renormalize and encodec.causal are both true, which exclude each other");
  }

  const Seanet encoder = read_seanet(config, "encoder");
  const Seanet decoder = read_seanet(config, "decoder");
  check_halves(encoder, decoder, figures.channels);
  const std::int64_t hop = hop_length(encoder);
  if (hop > figures.sample_rate) {
    throw bad_value("the product of seanet.ratios is " + std::to_string(hop) + ", more than the " +
                    std::to_string(figures.sample_rate) +
                    " samples of a second: the frame rate would be 0");
  }
  // AudioCraft divides without remainder.
  figures.frame_rate = static_cast<double>(figures.sample_rate / hop);
  if (figures.sample_rate % hop != 0) {
    spec.warnings.push_back("encodec.sample_rate " + std::to_string(figures.sample_rate) +
                            " is no multiple of the product of seanet.ratios, " +
                            std::to_string(hop) + ": AudioCraft rounds the frame rate down to " +
                            audiocraft::hertz_text(figures.frame_rate));
  }
  figures.latent_dimension = encoder.dimension;

  SeanetLayout(spec.expected, encoder, "encoder.model.").encoder();
  SeanetLayout(spec.expected, decoder, "decoder.model.").decoder();
  if (quantizer == "rvq") {
    const Section rvq(config, "rvq");
    figures.codebooks = rvq.integer("n_q", kCodebookRange);
    figures.cardinality = rvq.integer("bins", kBinRange);
    spec.expected.add_codebooks("quantizer", *figures.codebooks, *figures.cardinality,
                                encoder.dimension);
  } else {
    figures.codebooks = 1;
  }
  warn_of_unknown_keys(config, spec);
  return spec;
}

}  // namespace bundlecraft::encodec
