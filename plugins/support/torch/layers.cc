// The layers as TorchScript text, and what fills them with weights.
#include <torch/nn/functional/normalization.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/plugin/exporter.h"
#include "support/torch/module.h"

namespace craftbundle::network {
namespace {

using ScriptModule = torch::jit::Module;

// Numbers that are read at a time.
constexpr std::size_t kPiece = 64 << 10;

torch::Tensor read(const Elements& elements) {
  torch::Tensor tensor = torch::empty(elements.shape(), torch::kFloat32);
  auto* out = tensor.data_ptr<float>();
  std::vector<double> numbers;
  for (std::uint64_t done = 0; done < elements.size(); done += numbers.size()) {
    numbers.resize(std::min<std::uint64_t>(kPiece, elements.size() - done));
    elements.read(done, numbers);
    out = std::transform(numbers.begin(), numbers.end(), out,
                         [](double number) { return static_cast<float>(number); });
  }
  return tensor;
}

torch::Tensor read(const StateDict& state, const std::string& name) {
  return read(*state.at(name));
}

// The weight of a convolution. `out_dimension` is that of its output channels, over which spectral
// norm works; weight norm works over the first one.
torch::Tensor read_weight(const StateDict& state, const std::string& name, int out_dimension) {
  if (state.contains(name + ".weight_g")) {
    return read(*fold_weight_norm(state.at(name + ".weight_g"), state.at(name + ".weight_v")));
  }
  if (!state.contains(name + ".weight_orig")) return read(state, name + ".weight");
  const torch::Tensor weight = read(state, name + ".weight_orig");
  const torch::Tensor matrix =
      (out_dimension == 0 ? weight : weight.transpose(0, out_dimension)).flatten(1);
  const torch::Tensor sigma =
      torch::dot(read(state, name + ".weight_u"), matrix.mv(read(state, name + ".weight_v")));
  return weight / sigma;
}

Module wrap(ScriptModule module) {
  return Module(std::make_shared<Module::Impl>(Module::Impl{module}));
}

// A buffer moves with the module and belongs to its state dict.
void add(ScriptModule& module, const std::string& name, const torch::Tensor& tensor) {
  module.register_buffer(name, tensor.contiguous());
}

// Tensors of the same number of dimensions as one, those that are smaller filled up with zeros.
torch::Tensor stack_padded(const std::vector<torch::Tensor>& tensors) {
  std::vector<std::int64_t> sizes = tensors.front().sizes().vec();
  for (const torch::Tensor& tensor : tensors) {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      sizes[i] = std::max(sizes[i], tensor.size(static_cast<std::int64_t>(i)));
    }
  }
  std::vector<torch::Tensor> padded;
  for (const torch::Tensor& tensor : tensors) {
    torch::Tensor& place = padded.emplace_back(torch::zeros(sizes));
    torch::Tensor part = place;
    for (std::int64_t i = 0; i < tensor.dim(); ++i) part = part.narrow(i, 0, tensor.size(i));
    part.copy_(tensor);
  }
  return torch::stack(padded);
}

// "[1, 2]", and "a, b" of values.
template <typename... Values>
std::string join(const Values&... values) {
  std::string text;
  const auto add_one = [&](const std::string& value) {
    text += (text.empty() ? "" : ", ") + value;
  };
  const auto text_of = [](const auto& value) -> std::string {
    if constexpr (std::is_convertible_v<decltype(value), std::string>) {
      return value;
    } else {
      return std::to_string(value);
    }
  };
  (add_one(text_of(values)), ...);
  return text;
}

std::string list(std::int64_t number) { return "[" + std::to_string(number) + "]"; }

}  // namespace

std::string literal(double number) {
  std::string text = to_string(FactValue(number));
  if (!std::isfinite(number)) {
    throw Error(ErrorKind::input, "codec.unsupported",
                "the configuration has the number " + text + ", which no network computes with");
  }
  // The point tells a float from an integer.
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

ScriptModule new_module(const std::string& name) {
  return ScriptModule(c10::QualifiedName("__torch__.craftbundle." + name));
}

StateDict::StateDict(const std::vector<NamedTensor>& tensors) {
  for (const NamedTensor& named : tensors) tensors_.emplace(named.name, &named);
}

ElementsPtr StateDict::at(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) return elements_of(*found->second);
  throw Error(ErrorKind::input, "codec.weights",
              "the state dict has no tensor " + craftbundle::quoted(std::string(name)));
}

struct Layers::Impl {
  explicit Impl(const StateDict& state_dict) : state(state_dict) {}

  void line(const std::string& text) { source += "    " + text + "\n"; }

  // The name under which a tensor is kept, as an expression. Names of a state dict have dots.
  std::string keep(std::string name, const torch::Tensor& tensor) {
    std::replace(name.begin(), name.end(), '.', '_');
    add(module, name, tensor);
    return "self." + name;
  }

  std::string keep(const std::string& name) { return keep(name, read(state, name)); }

  // The weight and bias of a convolution: "self.w, self.b".
  std::string keep_conv(const std::string& name, int out_dimension) {
    const torch::Tensor weight = read_weight(state, name, out_dimension);
    kernel = weight.size(2);
    channels = weight.size(out_dimension);
    const std::string bias = name + ".bias";
    return join(keep(name + ".weight", weight),
                keep(bias, state.contains(bias) ? read(state, bias) : torch::zeros({channels})));
  }

  void normalize(const std::optional<GroupNorm>& norm) {
    if (!norm) return;
    const std::string weight =
        keep(norm->name + ".weight",
             norm->affine ? read(state, norm->name + ".weight") : torch::ones({channels}));
    const std::string bias =
        keep(norm->name + ".bias",
             norm->affine ? read(state, norm->name + ".bias") : torch::zeros({channels}));
    line("x = torch.group_norm(" + join("x", 1, weight, bias, literal(norm->eps)) + ")");
  }

  // audiocraft.modules.conv.pad1d.
  void pad(const std::string& mode, std::int64_t left, const std::string& right) {
    const std::string sides = "[" + join(left, right) + "]";
    if (mode == "reflect") {
      // Reflection of an input that is shorter than the padding goes on into zeros.
      line("short = max(" + join(left, right) + ") - x.size(2) + 1");
      line("if short > 0:");
      line("    x = torch.constant_pad_nd(x, [0, short], 0.0)");
      line("x = torch.reflection_pad1d(x, " + sides + ")");
      line("if short > 0:");
      line("    x = x[:, :, :x.size(2) - short]");
    } else if (mode == "replicate") {
      line("x = torch.replication_pad1d(x, " + sides + ")");
    } else if (mode == "circular") {
      line("assert x.size(2) >= max(" + join(left, right) + "), 'too short for circular padding'");
      line("x = torch.cat([x[:, :, x.size(2) - " + std::to_string(left) +
           ":], x, x[:, :, :" + right + "]], 2)");
    } else {
      line("x = torch.constant_pad_nd(x, " + sides + ", 0.0)");
    }
  }

  const StateDict& state;
  ScriptModule module = new_module("Layers");
  std::string source;
  int residuals = 0;
  // Of the convolution that was kept last.
  std::int64_t kernel = 0;
  std::int64_t channels = 0;
};

Layers::Layers(const StateDict& state) : impl_(std::make_unique<Impl>(state)) {}
Layers::~Layers() = default;

void Layers::residual(const std::function<void()>& block, const std::function<void()>& shortcut) {
  const std::string number = std::to_string(impl_->residuals++);
  impl_->line("before" + number + " = x");
  block();
  if (!shortcut) return impl_->line("x = before" + number + " + x");
  impl_->line("block" + number + " = x");
  impl_->line("x = before" + number);
  shortcut();
  impl_->line("x = x + block" + number);
}

void Layers::activation(const Activation& activation) {
  impl_->line("x = " + activation.expression);
}

void Layers::prelu(const std::string& name) {
  impl_->line("x = torch.prelu(x, " + impl_->keep(name + ".weight") + ")");
}

void Layers::streamable_conv1d(const std::string& name, const ConvShape& shape,
                               const Padding& padding, const std::optional<GroupNorm>& norm) {
  const std::string weights = impl_->keep_conv(name, 0);
  const std::int64_t total = (impl_->kernel - 1) * shape.dilation + 1 - shape.stride;
  if (total < 0) {
    throw Error(ErrorKind::input, "codec.unsupported",
                name + " has a kernel of " + std::to_string(impl_->kernel) + " for a stride of " +
                    std::to_string(shape.stride));
  }
  const std::int64_t fixed = padding.causal ? 0 : total / 2;
  std::string right = std::to_string(fixed);
  if (shape.stride > 1) {
    // As many samples more at the right as fill the last window.
    const std::string stride = std::to_string(shape.stride);
    impl_->line("right = " + right + " + (" + stride + " - x.size(2) % " + stride + ") % " +
                stride);
    right = "right";
  }
  if (shape.stride > 1 || total > 0) impl_->pad(padding.mode, total - fixed, right);
  impl_->line("x = torch.conv1d(" +
              join("x", weights, list(shape.stride), list(0), list(shape.dilation)) + ")");
  impl_->normalize(norm);
}

void Layers::streamable_conv_transpose1d(const std::string& name, std::int64_t stride,
                                         std::int64_t trim_left, std::int64_t trim_right,
                                         const std::optional<GroupNorm>& norm) {
  impl_->line("x = torch.conv_transpose1d(" + join("x", impl_->keep_conv(name, 1), list(stride)) +
              ")");
  impl_->normalize(norm);
  impl_->line("x = x[:, :, " + std::to_string(trim_left) + ":x.size(2) - " +
              std::to_string(trim_right) + "]");
}

void Layers::conv1d(const std::string& name, const ConvShape& shape, std::int64_t padding) {
  impl_->line("x = torch.conv1d(" +
              join("x", impl_->keep_conv(name, 0), list(shape.stride), list(padding),
                   list(shape.dilation)) +
              ")");
}

void Layers::conv_transpose1d(const std::string& name, std::int64_t stride, std::int64_t padding) {
  impl_->line("x = torch.conv_transpose1d(" +
              join("x", impl_->keep_conv(name, 1), list(stride), list(padding)) + ")");
}

void Layers::lstm(const std::string& name, std::int64_t width, std::int64_t layers) {
  std::string parameters;
  for (std::int64_t i = 0; i < layers; ++i) {
    for (const char* kind : {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}) {
      const std::string parameter = impl_->keep(name + "." + kind + "_l" + std::to_string(i));
      parameters += (parameters.empty() ? "" : ", ") + parameter;
    }
  }
  impl_->line("x = x.permute([2, 0, 1])");
  impl_->line("start = torch.zeros([" + std::to_string(layers) + ", x.size(1), " +
              std::to_string(width) + "], dtype=x.dtype, device=x.device)");
  impl_->line("y, h, c = torch.lstm(x, [start, start], [" + parameters + "], True, " +
              std::to_string(layers) + ", 0.0, False, False, False)");
  impl_->line("x = (y + x).permute([1, 2, 0])");
}

void Layers::snake(const std::string& name) {
  const torch::Tensor alpha = read(impl_->state, name + ".alpha");
  const std::string reciprocal = impl_->keep(name + ".reciprocal", (alpha + 1e-9).reciprocal());
  impl_->line("x = x + " + reciprocal + " * torch.sin(" + impl_->keep(name + ".alpha", alpha) +
              " * x).pow(2)");
}

Module Layers::finish() {
  impl_->module.define("def forward(self, x: Tensor) -> Tensor:\n" + impl_->source +
                       "    return x\n");
  return wrap(impl_->module);
}

Module euclidean_quantizer(const StateDict& state, const std::string& name,
                           std::int64_t codebooks) {
  ScriptModule module = new_module("ResidualVectorQuantizer");
  std::vector<torch::Tensor> embeddings;
  for (std::int64_t i = 0; i < codebooks; ++i) {
    embeddings.push_back(
        read(state, name + ".vq.layers." + std::to_string(i) + "._codebook.embed"));
  }
  const torch::Tensor embed = torch::stack(embeddings);
  add(module, "embed", embed);
  // What each step would compute again: transposed, and the squared length of each vector.
  add(module, "transposed", embed.transpose(1, 2));
  add(module, "squares", embed.transpose(1, 2).contiguous().pow(2).sum(1, true));
  module.define(R"(
def encode(self, x: Tensor, codebooks: int) -> Tensor:
    residual = x
    codes: List[Tensor] = []
    for i in range(codebooks):
        vectors = residual.transpose(1, 2).reshape([-1, x.size(1)])
        distances = vectors.pow(2).sum(1, True) - 2 * torch.matmul(vectors, self.transposed[i]) + self.squares[i]
        code = torch.argmin(distances, 1).view([x.size(0), x.size(2)])
        codes.append(code)
        residual = residual - torch.embedding(self.embed[i], code).transpose(1, 2)
    return torch.stack(codes, 1)

def decode(self, codes: Tensor) -> Tensor:
    y = torch.embedding(self.embed[0], codes[:, 0])
    for i in range(1, codes.size(1)):
        y = y + torch.embedding(self.embed[i], codes[:, i])
    return y.transpose(1, 2)
)");
  return wrap(module);
}

Module factorized_quantizer(const StateDict& state, const std::string& name,
                            std::int64_t codebooks) {
  ScriptModule module = new_module("ResidualVectorQuantize");
  std::map<std::string, std::vector<torch::Tensor>> parts;
  for (std::int64_t i = 0; i < codebooks; ++i) {
    const std::string at = name + ".quantizers." + std::to_string(i);
    parts["in_weight"].push_back(read_weight(state, at + ".in_proj", 0));
    parts["in_bias"].push_back(read(state, at + ".in_proj.bias"));
    parts["out_weight"].push_back(read_weight(state, at + ".out_proj", 0));
    parts["out_bias"].push_back(read(state, at + ".out_proj.bias"));
    const torch::Tensor codebook = read(state, at + ".codebook.weight");
    const torch::Tensor unit = torch::nn::functional::normalize(codebook);
    parts["codebook"].push_back(codebook);
    parts["unit"].push_back(unit.t());
    parts["squares"].push_back(unit.pow(2).sum(1, true).t());
  }
  for (const auto& [part, tensors] : parts) add(module, part, stack_padded(tensors));
  module.define(R"(
def encode(self, x: Tensor, codebooks: int) -> Tensor:
    codes: List[Tensor] = []
    for i in range(codebooks):
        projected = torch.conv1d(x, self.in_weight[i], self.in_bias[i])
        vectors = projected.transpose(1, 2).reshape([-1, projected.size(1)])
        length = torch.norm(vectors, 2.0, [1], True)
        vectors = vectors / torch.clamp_min(length, 1e-12).expand_as(vectors)
        distances = vectors.pow(2).sum(1, True) - 2 * torch.matmul(vectors, self.unit[i]) + self.squares[i]
        code = torch.argmin(distances, 1).view([x.size(0), x.size(2)])
        codes.append(code)
        chosen = torch.embedding(self.codebook[i], code).transpose(1, 2)
        chosen = projected + (chosen - projected)
        x = x - torch.conv1d(chosen, self.out_weight[i], self.out_bias[i])
    return torch.stack(codes, 1)

def decode(self, codes: Tensor) -> Tensor:
    parts: List[Tensor] = []
    for i in range(codes.size(1)):
        chosen = torch.embedding(self.codebook[i], codes[:, i]).transpose(1, 2)
        parts.append(torch.conv1d(chosen, self.out_weight[i], self.out_bias[i]))
    y = parts[0]
    for i in range(1, len(parts)):
        y = y + parts[i]
    return y
)");
  return wrap(module);
}

Module script(const std::string& source,
              const std::vector<std::pair<std::string, ElementsPtr>>& weights) {
  ScriptModule module = new_module("Script");
  for (const auto& [name, elements] : weights) add(module, name, read(*elements));
  module.define(source);
  return wrap(module);
}

}  // namespace craftbundle::network
