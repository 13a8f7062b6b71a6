#include "encodec/spec.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "craftbundle/audiocraft_rules/config.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle::encodec {
namespace {

using audiocraft::bad_value;
using audiocraft::ExpectedState;
using audiocraft::Range;
using audiocraft::Section;

// Far above every model there is, far below what would make a loop or a product hurt.
constexpr Range kChannelRange = {1, 64};
constexpr Range kCodebookRange = {1, 256};
constexpr Range kBinRange = {1, 1 << 24};
constexpr Range kSampleRateRange = {1, 1'000'000};

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

// The tensors of a layer, in the order of state_dict().
class Expectation {
 public:
  Expectation(ExpectedState& expected, bool norm_affine)
      : expected_(expected), norm_affine_(norm_affine) {}

  void operator()(const ConvLayer& conv) const {
    const std::vector<std::int64_t> shape = conv.transposed
                                                ? std::vector{conv.in, conv.out, conv.kernel}
                                                : std::vector{conv.out, conv.in, conv.kernel};
    const std::string module = conv.weights();
    if (conv.norm == "weight_norm") {
      expected_.add_weight_norm(module, shape, conv.out);
    } else if (conv.norm == "spectral_norm") {
      expected_.add(module + ".bias", {conv.out});
      expected_.add(module + ".weight_orig", shape);
      expected_.add(module + ".weight_u", {conv.out});
      expected_.add(module + ".weight_v", {conv.in * conv.kernel});
    } else {
      expected_.add(module + ".weight", shape);
      expected_.add(module + ".bias", {conv.out});
    }
    if (conv.norm == "time_group_norm" && norm_affine_) {
      expected_.add_norm(conv.name + ".norm", conv.out);
    }
  }

  void operator()(const ActivationLayer& layer) const {
    if (!layer.activation.has_weights()) return;
    expected_.add(layer.name + ".weight", {layer.activation.weights()});
  }

  void operator()(const ResidualLayer& layer) const {
    (*this)(layer.before);
    (*this)(layer.first);
    (*this)(layer.between);
    (*this)(layer.second);
    if (layer.shortcut) (*this)(*layer.shortcut);
  }

  void operator()(const LstmLayer& lstm) const {
    for (std::int64_t i = 0; i < lstm.layers; ++i) {
      const std::string layer = "_l" + std::to_string(i);
      expected_.add(lstm.name + ".weight_ih" + layer, {4 * lstm.width, lstm.width});
      expected_.add(lstm.name + ".weight_hh" + layer, {4 * lstm.width, lstm.width});
      expected_.add(lstm.name + ".bias_ih" + layer, {4 * lstm.width});
      expected_.add(lstm.name + ".bias_hh" + layer, {4 * lstm.width});
    }
  }

 private:
  ExpectedState& expected_;
  bool norm_affine_;
};

void add_layers(const std::vector<Layer>& layers, const Seanet& seanet, ExpectedState& expected) {
  const Expectation add(expected, seanet.norm_affine);
  for (const Layer& layer : layers) std::visit(add, layer);
}

void warn_of_unknown_keys(const Config& config, Spec& spec) {
  std::vector<std::string> unknown = audiocraft::unknown_keys(config, "encodec", kEncodecKeys);
  audiocraft::append(unknown, audiocraft::unknown_keys(config, "seanet", kSeanetKeys));
  std::vector<std::string_view> keys(kSeanetKeys.begin(), kSeanetKeys.end() - 2);
  audiocraft::append(unknown, audiocraft::unknown_keys(config, "seanet.encoder", keys));
  keys.insert(keys.end(), kDecoderKeys.begin(), kDecoderKeys.end());
  audiocraft::append(unknown, audiocraft::unknown_keys(config, "seanet.decoder", keys));
  audiocraft::append(unknown, audiocraft::unknown_keys(config, "rvq", kRvqKeys));
  if (unknown.empty()) return;
  spec.unknown_keys = unknown;
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
  require_equal("products of the ratios of seanet's encoder and decoder", encoder.hop_length(),
                decoder.hop_length());
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

  spec.encoder = read_seanet(config, "encoder");
  spec.decoder = read_seanet(config, "decoder");
  const Seanet& encoder = spec.encoder;
  const Seanet& decoder = spec.decoder;
  check_halves(encoder, decoder, figures.channels);
  const std::int64_t hop = encoder.hop_length();
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

  add_layers(encoder_layers(encoder), encoder, spec.expected);
  add_layers(decoder_layers(decoder), decoder, spec.expected);
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

}  // namespace craftbundle::encodec
