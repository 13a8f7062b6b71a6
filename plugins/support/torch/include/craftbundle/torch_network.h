// Networks in LibTorch, without its headers: the layers that codecs are made of. For plugins that
// run codecs (docs/writing_an_exporter.md#codecs-in-libtorch); link craftbundle::torch.
//
// A network is a TorchScript module. The same module is run here and saved for other programs, so
// what is checked is what is shipped. Weights are folded (weight norm, spectral norm) and kept in
// float32.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "craftbundle/codec.h"
#include "craftbundle/plugin.h"

namespace craftbundle::network {

// The tensors of a state dict by name. Borrows them.
class StateDict {
 public:
  explicit StateDict(const std::vector<NamedTensor>& tensors);
  bool contains(std::string_view name) const { return tensors_.contains(name); }
  // Throws Error(input, "codec.weights") when it is missing.
  ElementsPtr at(std::string_view name) const;

 private:
  std::unordered_map<std::string_view, const NamedTensor*> tensors_;
};

// A finished TorchScript module. A handle: copies are the same module.
class Module {
 public:
  struct Impl;
  explicit Module(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

// A float as TorchScript writes it. Throws Error(input, "codec.unsupported") for what is not
// finite.
std::string literal(double number);

struct ConvShape {
  std::int64_t stride = 1;
  std::int64_t dilation = 1;
};

// One of torch.nn's activations without weights, as a TorchScript expression of x.
struct Activation {
  std::string expression;
};

// torch.nn.GroupNorm(1, channels): its weights lie at `name`, if it has any.
struct GroupNorm {
  std::string name;
  bool affine = true;
  double eps = 1e-5;
};

// What audiocraft.modules.conv.StreamableConv1d adds to a convolution.
struct Padding {
  bool causal = false;
  std::string mode;  // "constant", "reflect", "replicate", "circular"
};

// A network under construction: layers that x goes through, one after the other. They become the
// statements of one method; TorchScript takes very long to compile deeply nested modules.
//
// The weights of a convolution are "<name>.weight", or what weight_norm ("weight_g", "weight_v") or
// spectral_norm ("weight_orig", "weight_u", "weight_v") keep in its place, and "<name>.bias".
class Layers {
 public:
  // Borrows the state dict.
  explicit Layers(const StateDict& state);
  Layers(const Layers&) = delete;
  Layers& operator=(const Layers&) = delete;
  ~Layers();

  // x -> shortcut(x) + block(x), each of which adds layers; without shortcut: x + block(x).
  void residual(const std::function<void()>& block, const std::function<void()>& shortcut = {});
  void activation(const Activation& activation);
  // torch.nn.PReLU.
  void prelu(const std::string& name);
  // audiocraft.modules.conv.StreamableConv1d: pads so that the last window is full.
  void streamable_conv1d(const std::string& name, const ConvShape& shape, const Padding& padding,
                         const std::optional<GroupNorm>& norm);
  // StreamableConvTranspose1d: cuts samples off both ends.
  void streamable_conv_transpose1d(const std::string& name, std::int64_t stride,
                                   std::int64_t trim_left, std::int64_t trim_right,
                                   const std::optional<GroupNorm>& norm);
  // torch.nn.Conv1d and ConvTranspose1d with zeros at both ends.
  void conv1d(const std::string& name, const ConvShape& shape, std::int64_t padding);
  void conv_transpose1d(const std::string& name, std::int64_t stride, std::int64_t padding);
  // audiocraft.modules.lstm.StreamableLSTM: "<name>.weight_ih_l0", ..., and a skip connection.
  void lstm(const std::string& name, std::int64_t width, std::int64_t layers);
  // descript's Snake1d: "<name>.alpha".
  void snake(const std::string& name);

  // The module whose forward() is all of this. Called once, last.
  Module finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// AudioCraft's ResidualVectorQuantizer: "<name>.vq.layers.<i>._codebook.embed".
Module euclidean_quantizer(const StateDict& state, const std::string& name, std::int64_t codebooks);
// descript's ResidualVectorQuantize, with codes in a space of few dimensions:
// "<name>.quantizers.<i>.{in_proj,out_proj,codebook}". Their numbers of dimensions may differ.
Module factorized_quantizer(const StateDict& state, const std::string& name,
                            std::int64_t codebooks);

// A network that these layers have no words for, in TorchScript: `source` has its methods, which
// find `weights` as self.NAME, in float32. An encoder and a decoder have forward(self, x: Tensor)
// -> Tensor; a quantizer has encode(self, x: Tensor, codebooks: int) -> Tensor, which makes codes
// [batch, codebooks, frames] of int64, and decode(self, codes: Tensor) -> Tensor. Weight norm can
// be folded with fold_weight_norm(). Throws Error(input, "codec.engine") for what is no
// TorchScript.
Module script(const std::string& source,
              const std::vector<std::pair<std::string, ElementsPtr>>& weights);

struct CodecParts {
  Module encoder;
  Module quantizer;
  Module decoder;
  // Divide each input by its volume (AudioCraft's renormalize).
  bool renormalize = false;
};

// Returns `make()`. What LibTorch throws in it becomes an Error, or std::bad_alloc when memory is
// too short.
std::unique_ptr<Codec> guarded_load(const std::function<std::unique_ptr<Codec>()>& make);

// Throws Error(usage, "codec.device") for a device that is not there.
std::unique_ptr<Codec> make_codec(const CodecParts& parts, CodecProperties properties,
                                  const CodecOptions& options);

}  // namespace craftbundle::network
