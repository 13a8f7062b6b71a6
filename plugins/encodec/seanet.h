// What AudioCraft's SEANet (audiocraft/modules/seanet.py) is made of, as its configuration says.
//
// One list of layers gives both the tensors that an exported file must hold and the network that
// runs it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "craftbundle/detail/omegaconf/config.h"

namespace craftbundle::encodec {

// A class of torch.nn, with its arguments that are numbers or text.
struct Activation {
  std::string name;
  std::map<std::string, double> parameters;
  std::map<std::string, std::string> words;  // GELU: approximate

  bool has_weights() const { return name == "PReLU"; }
  // Weights of a PReLU.
  std::int64_t weights() const;
};

// One half of the autoencoder, with AudioCraft's defaults for what the configuration leaves out.
struct Seanet {
  std::int64_t channels;
  std::int64_t dimension;
  std::int64_t filters;
  std::int64_t residual_layers;
  std::vector<std::int64_t> ratios;  // in the order of the decoder
  Activation activation;
  std::optional<Activation> final_activation;  // decoder only
  std::string norm;
  bool norm_affine;
  double norm_eps;
  std::int64_t kernel;
  std::int64_t last_kernel;
  std::int64_t residual_kernel;
  std::int64_t dilation_base;
  bool causal;
  std::string pad_mode;
  bool true_skip;
  std::int64_t compress;
  std::int64_t lstm;
  std::int64_t unnormed_blocks;  // counted from the waveform's side
  double trim_right_ratio = 1;   // decoder only

  std::int64_t blocks() const { return static_cast<std::int64_t>(ratios.size()) + 2; }
  // Samples per frame.
  std::int64_t hop_length() const;
};

// `half` is "encoder" or "decoder". Throws Error(input, "config.*").
Seanet read_seanet(const Config& config, const std::string& half);

// NormConv1d or NormConvTranspose1d.
struct ConvLayer {
  std::string name;  // "encoder.model.0.conv"
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::int64_t kernel = 0;
  std::int64_t stride = 1;
  std::int64_t dilation = 1;
  bool transposed = false;
  std::string norm;

  // Where its own weights lie: "encoder.model.0.conv.conv".
  std::string weights() const { return name + (transposed ? ".convtr" : ".conv"); }
};

struct ActivationLayer {
  std::string name;
  Activation activation;
};

struct ResidualLayer {
  ActivationLayer before;
  ConvLayer first;
  ActivationLayer between;
  ConvLayer second;
  std::optional<ConvLayer> shortcut;
};

struct LstmLayer {
  std::string name;  // "encoder.model.13.lstm"
  std::int64_t width = 0;
  std::int64_t layers = 0;
};

using Layer = std::variant<ConvLayer, ActivationLayer, ResidualLayer, LstmLayer>;

// The layers of the nn.Sequential of each half, in order.
std::vector<Layer> encoder_layers(const Seanet& seanet);
std::vector<Layer> decoder_layers(const Seanet& seanet);

}  // namespace craftbundle::encodec
