#include "encodec/seanet.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "craftbundle/audiocraft_rules/config.h"
#include "craftbundle/detail/plugin/exporter.h"

namespace craftbundle::encodec {
namespace {

using audiocraft::bad_value;
using audiocraft::Range;
using audiocraft::Section;

// Far above every model there is, far below what would make a loop or a product hurt.
constexpr Range kChannelRange = {1, 64};
constexpr Range kWidthRange = {1, 65'536};
constexpr Range kFilterRange = {1, 16'384};
constexpr Range kKernelRange = {1, 4'096};
constexpr Range kRatioRange = {1, 4'096};
constexpr Range kResidualRange = {0, 64};
constexpr Range kDilationRange = {1, 4'096};
constexpr Range kLstmRange = {0, 16};
constexpr std::size_t kMaxRatios = 16;
constexpr std::int64_t kMaxHop = 1LL << 31;
constexpr std::int64_t kMaxDilation = 1 << 24;

constexpr std::array<std::string_view, 4> kNorms = {"none", "weight_norm", "spectral_norm",
                                                    "time_group_norm"};
constexpr std::array<std::string_view, 4> kPadModes = {"constant", "reflect", "replicate",
                                                       "circular"};

// What `get` returns, or nothing when the value is of another type: a bool (`inplace`) changes
// nothing that is computed.
template <typename Get>
auto if_of_type(Get&& get) -> decltype(get()) {
  try {
    return get();
  } catch (const Error& error) {
    if (error.code() != "config.type") throw;
    return std::nullopt;
  }
}

Activation read_activation(const Config& config, const Section& section, const std::string& key,
                           std::string fallback) {
  Activation activation;
  activation.name = section.text_or(key, std::move(fallback));
  const std::string base = section.path(key + "_params");
  for (const std::string& name : config.keys(base).value_or(std::vector<std::string>())) {
    const std::string path = base + "." + name;
    if (const auto number = if_of_type([&] { return config.get_real(path); })) {
      activation.parameters[name] = *number;
    } else if (auto word = if_of_type([&] { return config.get_string(path); })) {
      activation.words[name] = *std::move(word);
    }
  }
  if (activation.has_weights()) {
    section.integer_or(key + "_params.num_parameters", 1, kWidthRange);
  }
  return activation;
}

// Writes down the modules of one half in the order of its nn.Sequential.
class LayerList {
 public:
  LayerList(const Seanet& seanet, std::string prefix)
      : seanet_(seanet), prefix_(std::move(prefix)) {}

  std::vector<Layer> encoder() {
    std::int64_t width = seanet_.filters;
    conv(seanet_.channels, width, seanet_.kernel, 1, norm_of_block(1));
    for (std::size_t i = 0; i < seanet_.ratios.size(); ++i) {
      // The encoder goes through the decoder's ratios backwards.
      const std::int64_t ratio = seanet_.ratios[seanet_.ratios.size() - 1 - i];
      const std::string norm = norm_of_block(static_cast<std::int64_t>(i) + 2);
      residual_blocks(width, norm);
      activation(seanet_.activation);
      conv(width, 2 * width, 2 * ratio, ratio, norm);
      width *= 2;
    }
    lstm(width);
    activation(seanet_.activation);
    conv(width, seanet_.dimension, seanet_.last_kernel, 1, norm_of_block(seanet_.blocks()));
    return std::move(layers_);
  }

  std::vector<Layer> decoder() {
    std::int64_t width = seanet_.filters << seanet_.ratios.size();
    conv(seanet_.dimension, width, seanet_.kernel, 1, norm_of_block(seanet_.blocks()));
    lstm(width);
    for (std::size_t i = 0; i < seanet_.ratios.size(); ++i) {
      const std::string norm = norm_of_block(seanet_.blocks() - 1 - static_cast<std::int64_t>(i));
      const std::int64_t ratio = seanet_.ratios[i];
      activation(seanet_.activation);
      layers_.emplace_back(
          ConvLayer{next() + ".convtr", width, width / 2, 2 * ratio, ratio, 1, true, norm});
      width /= 2;
      residual_blocks(width, norm);
    }
    activation(seanet_.activation);
    conv(seanet_.filters, seanet_.channels, seanet_.last_kernel, 1, norm_of_block(1));
    if (seanet_.final_activation) activation(*seanet_.final_activation);
    return std::move(layers_);
  }

 private:
  // Blocks count from the waveform; the first ones may go without norm.
  std::string norm_of_block(std::int64_t block) const {
    return seanet_.unnormed_blocks >= block ? "none" : seanet_.norm;
  }

  std::string next() { return prefix_ + std::to_string(index_++); }

  void activation(const Activation& activation) {
    layers_.emplace_back(ActivationLayer{next(), activation});
  }

  void conv(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
            const std::string& norm) {
    layers_.emplace_back(ConvLayer{next() + ".conv", in, out, kernel, stride, 1, false, norm});
  }

  void residual_blocks(std::int64_t width, const std::string& norm) {
    const std::int64_t hidden = width / seanet_.compress;
    std::int64_t dilation = 1;
    for (std::int64_t i = 0; i < seanet_.residual_layers; ++i) {
      const std::string name = next();
      const std::string block = name + ".block.";
      ResidualLayer layer{
          {block + "0", seanet_.activation},
          {block + "1.conv", width, hidden, seanet_.residual_kernel, 1, dilation, false, norm},
          {block + "2", seanet_.activation},
          {block + "3.conv", hidden, width, 1, 1, 1, false, norm},
          std::nullopt};
      if (!seanet_.true_skip) {
        layer.shortcut = ConvLayer{name + ".shortcut.conv", width, width, 1, 1, 1, false, norm};
      }
      layers_.emplace_back(std::move(layer));
      dilation = std::min(dilation * seanet_.dilation_base, kMaxDilation);
    }
  }

  void lstm(std::int64_t width) {
    if (seanet_.lstm > 0) layers_.emplace_back(LstmLayer{next() + ".lstm", width, seanet_.lstm});
  }

  const Seanet& seanet_;
  std::string prefix_;
  std::int64_t index_ = 0;
  std::vector<Layer> layers_;
};

}  // namespace

std::int64_t Activation::weights() const {
  const auto found = parameters.find("num_parameters");
  return found == parameters.end() ? 1 : static_cast<std::int64_t>(found->second);
}

std::int64_t Seanet::hop_length() const {
  std::int64_t hop = 1;
  for (const std::int64_t ratio : ratios) {
    // At most 2^31 * 2^12: no overflow.
    hop *= ratio;
    if (hop > kMaxHop) throw bad_value("the product of seanet.ratios is above 2^31");
  }
  return hop;
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
  seanet.norm_eps = section.real("norm_params.eps").value_or(1e-5);
  seanet.kernel = section.integer_or("kernel_size", 7, kKernelRange);
  seanet.last_kernel = section.integer_or("last_kernel_size", 7, kKernelRange);
  seanet.residual_kernel = section.integer_or("residual_kernel_size", 3, kKernelRange);
  seanet.true_skip = section.flag_or("true_skip", true);
  seanet.compress = section.integer_or("compress", 2, kWidthRange);
  seanet.lstm = section.integer_or("lstm", 0, kLstmRange);
  seanet.unnormed_blocks = section.integer_or("disable_norm_outer_blocks", 0, {0, seanet.blocks()});
  seanet.activation = read_activation(config, section, "activation", "ELU");
  if (half == "decoder" && section.has("final_activation") &&
      !section.text_or("final_activation", "").empty()) {
    seanet.final_activation = read_activation(config, section, "final_activation", "");
  }
  seanet.dilation_base = section.integer_or("dilation_base", 2, kDilationRange);
  seanet.pad_mode = section.choice_or("pad_mode", "reflect", kPadModes);
  if (seanet.filters < seanet.compress) {
    throw bad_value(section.path("compress") + " is " + std::to_string(seanet.compress) +
                    ", which leaves no channel of the " + std::to_string(seanet.filters) + " of " +
                    section.path("n_filters"));
  }
  seanet.causal = section.flag_or("causal", false);
  if (seanet.causal && seanet.norm == "time_group_norm") {
    throw bad_value(section.path("norm") +
                    " is time_group_norm, which cannot be causal, but seanet.causal is true");
  }
  if (half == "decoder") {
    const double trim = section.real("trim_right_ratio").value_or(1.0);
    seanet.trim_right_ratio = trim;
    if (!(trim >= 0 && trim <= 1)) {
      throw bad_value(section.path("trim_right_ratio") + " is " + to_string(FactValue(trim)) +
                      ", expected 0 to 1");
    }
    if (!seanet.causal && trim < 1) {
      throw bad_value(section.path("trim_right_ratio") + " is " + to_string(FactValue(trim)) +
                      ", which needs seanet.causal: true");
    }
  }
  return seanet;
}

std::vector<Layer> encoder_layers(const Seanet& seanet) {
  return LayerList(seanet, "encoder.model.").encoder();
}

std::vector<Layer> decoder_layers(const Seanet& seanet) {
  return LayerList(seanet, "decoder.model.").decoder();
}

}  // namespace craftbundle::encodec
