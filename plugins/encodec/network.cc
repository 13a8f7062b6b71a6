#include "encodec/network.h"

#include <algorithm>
#include <cmath>

#include "craftbundle/audiocraft_rules/package.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/torch_network.h"
#include "encodec/spec.h"

namespace craftbundle::encodec {
namespace {

using network::Module;

Error unsupported(const std::string& what) {
  return Error(ErrorKind::input, "codec.unsupported", what);
}

// Classes of torch.nn with their arguments and defaults, as TorchScript.
network::Activation expression_of(const Activation& activation) {
  const auto number = [&](const std::string& parameter, double fallback) {
    const auto found = activation.parameters.find(parameter);
    return network::literal(found == activation.parameters.end() ? fallback : found->second);
  };
  const std::string& name = activation.name;
  if (name == "ELU") return {"torch.elu(x, " + number("alpha", 1) + ")"};
  if (name == "CELU") return {"torch.celu(x, " + number("alpha", 1) + ")"};
  if (name == "SELU") return {"torch.selu(x)"};
  if (name == "ReLU") return {"torch.relu(x)"};
  if (name == "ReLU6") return {"torch.relu6(x)"};
  if (name == "LeakyReLU") {
    return {"torch.leaky_relu(x, " + number("negative_slope", 0.01) + ")"};
  }
  if (name == "RReLU") {  // random in training, its mean else
    return {"torch.leaky_relu(x, (" + number("lower", 1.0 / 8) + " + " + number("upper", 1.0 / 3) +
            ") / 2)"};
  }
  if (name == "GELU") {
    const auto approximate = activation.words.find("approximate");
    const bool exact = approximate == activation.words.end() || approximate->second == "none";
    if (!exact && approximate->second != "tanh") {
      throw unsupported("GELU of seanet has approximate: " + quoted(approximate->second));
    }
    return {exact ? "torch.gelu(x)" : "torch.gelu(x, approximate='tanh')"};
  }
  if (name == "SiLU") return {"torch.silu(x)"};
  if (name == "Mish") return {"torch.mish(x)"};
  if (name == "Softplus") {
    return {"torch.softplus(x, " + number("beta", 1) + ", " + number("threshold", 20) + ")"};
  }
  if (name == "Softsign") return {"x / (1 + torch.abs(x))"};
  if (name == "Hardtanh") {
    return {"torch.hardtanh(x, " + number("min_val", -1) + ", " + number("max_val", 1) + ")"};
  }
  if (name == "Hardswish") return {"torch.hardswish(x)"};
  if (name == "Hardsigmoid") return {"torch.hardsigmoid(x)"};
  if (name == "Hardshrink") return {"torch.hardshrink(x, " + number("lambd", 0.5) + ")"};
  if (name == "Softshrink") return {"torch.softshrink(x, " + number("lambd", 0.5) + ")"};
  if (name == "Tanhshrink") return {"x - torch.tanh(x)"};
  if (name == "Threshold") {
    return {"torch.threshold(x, " + number("threshold", 0) + ", " + number("value", 0) + ")"};
  }
  if (name == "LogSigmoid") return {"torch.log_sigmoid(x)"};
  if (name == "Tanh") return {"torch.tanh(x)"};
  if (name == "Sigmoid") return {"torch.sigmoid(x)"};
  if (name == "Identity") return {"x"};
  throw unsupported("the activation " + quoted(name) + " of seanet is none that can be run");
}

// Builds the network of one half, and finds out how far it looks.
class Builder {
 public:
  // `step`: how many samples lie between two elements of the input.
  Builder(const network::StateDict& state, const Seanet& seanet, std::int64_t step)
      : network_(state), seanet_(seanet), step_(static_cast<double>(step)) {}

  Module build(const std::vector<Layer>& layers) {
    for (const Layer& layer : layers)
      std::visit([this](const auto& of_a_kind) { (*this)(of_a_kind); }, layer);
    return network_.finish();
  }

  // Samples to each side that an element of the output depends on, at most.
  double reach() const { return reach_; }

  void operator()(const ConvLayer& conv) {
    std::optional<network::GroupNorm> norm;
    if (conv.norm == "time_group_norm") {
      norm = {conv.name + ".norm", seanet_.norm_affine, seanet_.norm_eps};
    }
    if (conv.transposed) return transposed(conv, norm);
    reach_ += step_ * static_cast<double>((conv.kernel - 1) * conv.dilation);
    step_ *= static_cast<double>(conv.stride);
    network_.streamable_conv1d(conv.weights(), {conv.stride, conv.dilation},
                               {seanet_.causal, seanet_.pad_mode}, norm);
  }

  void operator()(const ActivationLayer& layer) {
    if (layer.activation.has_weights()) return network_.prelu(layer.name);
    network_.activation(expression_of(layer.activation));
  }

  void operator()(const ResidualLayer& layer) {
    const auto block = [&] {
      (*this)(layer.before);
      (*this)(layer.first);
      (*this)(layer.between);
      (*this)(layer.second);
    };
    if (!layer.shortcut) return network_.residual(block);
    network_.residual(block, [&] { (*this)(*layer.shortcut); });
  }

  void operator()(const LstmLayer& lstm) { network_.lstm(lstm.name, lstm.width, lstm.layers); }

 private:
  void transposed(const ConvLayer& conv, const std::optional<network::GroupNorm>& norm) {
    const std::int64_t total = conv.kernel - conv.stride;
    const double trimmed = std::ceil(static_cast<double>(total) * seanet_.trim_right_ratio);
    const std::int64_t right = seanet_.causal ? static_cast<std::int64_t>(trimmed) : total / 2;
    reach_ += step_ * static_cast<double>(conv.kernel) / static_cast<double>(conv.stride);
    step_ /= static_cast<double>(conv.stride);
    network_.streamable_conv_transpose1d(conv.weights(), conv.stride, total - right, right, norm);
  }

  network::Layers network_;
  const Seanet& seanet_;
  double step_;
  double reach_ = 0;
};

// Why a piece of the input is not coded quite as it would be in the whole.
std::string whole_input(const Spec& spec) {
  if (spec.encoder.norm == "time_group_norm" || spec.decoder.norm == "time_group_norm") {
    return "its norm runs over the whole input";
  }
  if (spec.figures.renormalize) return "it divides by the volume of the whole input";
  if (spec.encoder.lstm > 0 || spec.decoder.lstm > 0) return "its LSTM remembers the beginning";
  return {};
}

std::unique_ptr<Codec> make(const Model& model, const CodecOptions& options) {
  const Spec spec = read_spec(model.config);
  if (!spec.figures.codebooks || !spec.figures.cardinality) {
    throw unsupported("an EnCodec without codebooks (quantizer: no_quant) has no codes to run");
  }
  const network::StateDict state(model.tensors);
  const std::int64_t hop = spec.encoder.hop_length();
  Builder encoder(state, spec.encoder, 1);
  Builder decoder(state, spec.decoder, hop);
  network::CodecParts parts{
      encoder.build(encoder_layers(spec.encoder)),
      network::euclidean_quantizer(state, "quantizer", *spec.figures.codebooks),
      decoder.build(decoder_layers(spec.decoder)), spec.figures.renormalize};
  CodecProperties properties = audiocraft::codec_properties(spec.figures);
  properties.hop_length = hop;
  properties.context_frames = static_cast<std::int64_t>(
      std::ceil(std::max(encoder.reach(), decoder.reach()) / static_cast<double>(hop)));
  properties.whole_input = whole_input(spec);
  return network::make_codec(parts, std::move(properties), options);
}

}  // namespace

CodecLoaderInfo EncodecLoader::info() const {
  return {{"encodec", "Runs EnCodec models of AudioCraft with LibTorch"}, {"encodec"}};
}

std::unique_ptr<Codec> EncodecLoader::load(const Model& model, const CodecOptions& options) const {
  return network::guarded_load([&] { return make(model, options); });
}

}  // namespace craftbundle::encodec
