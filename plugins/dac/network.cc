#include "dac/network.h"

#include <algorithm>
#include <cmath>

#include "craftbundle/audiocraft_rules/package.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/torch_network.h"
#include "dac/spec.h"

namespace craftbundle::dac {
namespace {

using network::Module;
using network::StateDict;

// Builds one half, and finds out how far it looks.
class Builder {
 public:
  // `step`: how many samples lie between two elements of the input.
  Builder(const StateDict& state, std::int64_t step)
      : network_(state), step_(static_cast<double>(step)) {}

  Module encoder(const Settings& settings) {
    int index = 0;
    const auto next = [&] { return "encoder.block." + std::to_string(index++); };
    conv(next(), 7, 1);
    for (const std::int64_t rate : settings.encoder_rates) {
      const std::string block = next() + ".block.";
      residual_units(block, 0);
      network_.snake(block + "3");
      network_.conv1d(block + "4", {rate, 1}, (rate + 1) / 2);
      reach_ += step_ * static_cast<double>(2 * rate - 1);
      step_ *= static_cast<double>(rate);
    }
    network_.snake(next());
    conv(next(), 3, 1);
    return network_.finish();
  }

  Module decoder(const Settings& settings) {
    int index = 0;
    const auto next = [&] { return "decoder.model." + std::to_string(index++); };
    conv(next(), 7, 1);
    for (const std::int64_t rate : settings.decoder_rates) {
      const std::string block = next() + ".block.";
      network_.snake(block + "0");
      network_.conv_transpose1d(block + "1", rate, (rate + 1) / 2);
      reach_ += 2 * step_;
      step_ /= static_cast<double>(rate);
      residual_units(block, 2);
    }
    network_.snake(next());
    conv(next(), 7, 1);
    network_.activation({"torch.tanh(x)"});
    return network_.finish();
  }

  // Samples to each side that an element of the output depends on, at most.
  double reach() const { return reach_; }

 private:
  void conv(const std::string& name, std::int64_t kernel, std::int64_t dilation) {
    const std::int64_t padding = (kernel - 1) * dilation / 2;
    reach_ += step_ * static_cast<double>(padding);
    network_.conv1d(name, {1, dilation}, padding);
  }

  // Three, at the indices `first` and following of `block`.
  void residual_units(const std::string& block, int first) {
    std::int64_t dilation = 1;
    for (int i = first; i < first + 3; ++i) {
      const std::string unit = block + std::to_string(i) + ".block.";
      network_.residual([&] {
        network_.snake(unit + "0");
        conv(unit + "1", 7, dilation);
        network_.snake(unit + "2");
        conv(unit + "3", 1, 1);
      });
      dilation *= 3;
    }
  }

  network::Layers network_;
  double step_;
  double reach_ = 0;
};

bool all_even(const std::vector<std::int64_t>& rates) {
  return std::all_of(rates.begin(), rates.end(), [](std::int64_t rate) { return rate % 2 == 0; });
}

std::unique_ptr<Codec> make(const Model& model, const CodecOptions& options) {
  const Spec spec = read_spec(model.config);
  const StateDict state(model.tensors);
  const std::int64_t hop = spec.settings.hop_length();
  Builder encoder(state, 1);
  Builder decoder(state, hop);
  network::CodecParts parts{
      encoder.encoder(spec.settings),
      network::factorized_quantizer(state, "quantizer", spec.settings.codebooks),
      decoder.decoder(spec.settings), false};
  CodecProperties properties = audiocraft::codec_properties(spec.figures);
  properties.hop_length = hop;
  properties.context_frames = static_cast<std::int64_t>(
      std::ceil(std::max(encoder.reach(), decoder.reach()) / static_cast<double>(hop)));
  if (!all_even(spec.settings.encoder_rates) || !all_even(spec.settings.decoder_rates)) {
    properties.whole_input = "its odd rates make frames and samples drift apart";
  }
  return network::make_codec(parts, std::move(properties), options);
}

}  // namespace

CodecLoaderInfo DacLoader::info() const {
  return {{"dac", "Runs DAC models (descript-audio-codec) with LibTorch"}, {"dac"}};
}

std::unique_ptr<Codec> DacLoader::load(const Model& model, const CodecOptions& options) const {
  return network::guarded_load([&] { return make(model, options); });
}

}  // namespace craftbundle::dac
