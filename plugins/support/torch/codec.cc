// Runs and saves a codec.
#include <ATen/Parallel.h>
#include <sys/mman.h>
#include <torch/csrc/jit/runtime/jit_exception.h>
#include <torch/csrc/jit/serialization/export.h>
#include <torch/version.h>

#include <algorithm>
#include <new>
#include <span>
#include <stdexcept>
#include <string_view>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "support/torch/module.h"

namespace craftbundle::network {
namespace {

using ScriptModule = torch::jit::Module;

constexpr const char* kSource = R"(
def encode_latent(self, audio: Tensor) -> Tensor:
    if self.renormalize:
        audio = audio / self.volume(audio)
    return self.encoder.forward(audio)

def encode(self, audio: Tensor, codebooks: int = 0) -> Tuple[Tensor, Optional[Tensor]]:
    if codebooks <= 0 or codebooks > self.codebooks:
        codebooks = self.codebooks
    scale: Optional[Tensor] = None
    if self.renormalize:
        scale = self.volume(audio).view([-1, 1])
    return self.quantizer.encode(self.encode_latent(audio), codebooks), scale

def decode_latent(self, codes: Tensor) -> Tensor:
    return self.quantizer.decode(codes)

def decode(self, codes: Tensor, scale: Optional[Tensor] = None) -> Tensor:
    audio = self.decoder.forward(self.quantizer.decode(codes))
    if scale is not None:
        audio = audio * scale.view([-1, 1, 1])
    return audio

def forward(self, audio: Tensor) -> Tensor:
    codes, scale = self.encode(audio)
    return self.decode(codes, scale)[:, :, :audio.size(2)]
)";

constexpr const char* kVolume = R"(
def volume(self, audio: Tensor) -> Tensor:
    return audio.mean([1], True).pow(2).mean([2], True).sqrt() + 1e-8
)";

std::string_view last_line(std::string_view text) {
  text = text.substr(0, text.find_last_not_of('\n') + 1);
  return text.substr(text.rfind('\n') + 1);
}

// LibTorch has no type of exception for a lack of memory, and its interpreter makes text of
// std::bad_alloc: so here, and only here, text decides.
bool is_lack_of_memory(std::string_view text) {
  return text.find("DefaultCPUAllocator: ") != std::string_view::npos ||
         text.find("std::bad_alloc") != std::string_view::npos;
}

// LibTorch and the libraries below it read through null pointers where an allocation of theirs
// fails (1.13 does). So there must be room for what they need beside tensors before they begin:
// a limit on the address space (ulimit -v) ends in an error, not in a signal.
void require_room() {
  constexpr std::size_t kRoom = std::size_t{256} << 20;
  void* room =
      ::mmap(nullptr, kRoom, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) throw std::bad_alloc();
  ::munmap(room, kRoom);
}

// What LibTorch throws becomes an error in its first line; the rest is its call stack. A lack of
// memory becomes std::bad_alloc.
template <typename Action>
decltype(auto) guarded(Action&& action) {
  require_room();
  try {
    return action();
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    if (is_lack_of_memory(error.what_without_backtrace())) throw std::bad_alloc();
    const std::string text = error.what_without_backtrace();
    throw Error(ErrorKind::plugin, "codec.engine",
                "LibTorch cannot compute it: " + printable(text.substr(0, text.find('\n')), 500));
  } catch (const torch::jit::JITException& error) {
    if (is_lack_of_memory(error.what())) throw std::bad_alloc();
    throw Error(ErrorKind::input, "codec.engine",
                "the network refuses its input: " + printable(error.what(), 500));
  } catch (const std::runtime_error& error) {
    if (is_lack_of_memory(error.what())) throw std::bad_alloc();
    // Of an operation. What is wrong stands behind the call stack.
    throw Error(ErrorKind::input, "codec.engine",
                "the network refuses its input: " + printable(last_line(error.what()), 500));
  } catch (const std::exception& error) {
    if (is_lack_of_memory(error.what())) throw std::bad_alloc();
    throw;
  }
}

torch::Device device_of(const CodecOptions& options) {
  try {
    const torch::Device device(options.device);
    torch::zeros({1}, torch::TensorOptions().device(device));
    return device;
  } catch (const std::exception& error) {
    if (is_lack_of_memory(error.what())) throw std::bad_alloc();
    throw Error(ErrorKind::usage, "codec.device",
                "LibTorch has no device " + craftbundle::quoted(options.device) + " here",
                "leave it at cpu");
  }
}

std::vector<float> to_vector(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.to(torch::kCPU, torch::kFloat32).contiguous();
  const float* data = flat.data_ptr<float>();
  return {data, data + flat.numel()};
}

Error wrong_shape(const std::string& what) { return Error(ErrorKind::usage, "codec.shape", what); }

class ScriptCodec final : public Codec {
 public:
  ScriptCodec(ScriptModule module, CodecProperties properties, torch::Device device)
      : module_(std::move(module)), properties_(std::move(properties)), device_(device) {}

  const CodecProperties& properties() const override { return properties_; }

  Latent encode_latent(const Audio& audio) const override {
    return to_latent(call("encode_latent", {input(audio)}).toTensor());
  }

  Codes encode(const Audio& audio, std::int64_t codebooks) const override {
    if (codebooks < 0 || codebooks > properties_.codebooks) {
      throw wrong_shape("the codec has " + std::to_string(properties_.codebooks) +
                        " codebooks, asked for were " + std::to_string(codebooks));
    }
    const torch::IValue result = call("encode", {input(audio), codebooks});
    const auto& parts = result.toTupleRef().elements();
    const torch::Tensor codes = parts[0].toTensor().to(torch::kCPU).contiguous();
    Codes out{codes.size(0), codes.size(1), codes.size(2), {}, {}};
    const auto* data = codes.data_ptr<std::int64_t>();
    out.data.assign(data, data + codes.numel());
    if (!parts[1].isNone()) out.scale = to_vector(parts[1].toTensor());
    return out;
  }

  Latent decode_latent(const Codes& codes) const override {
    return to_latent(call("decode_latent", {input(codes)}).toTensor());
  }

  Audio decode(const Codes& codes) const override {
    torch::IValue scale;
    if (!codes.scale.empty()) {
      if (static_cast<std::int64_t>(codes.scale.size()) != codes.batch) {
        throw wrong_shape("there are " + std::to_string(codes.scale.size()) + " scales for " +
                          std::to_string(codes.batch) + " items");
      }
      scale = torch::tensor(codes.scale).view({-1, 1}).to(device_);
    }
    const torch::Tensor audio = call("decode", {input(codes), scale}).toTensor();
    return {audio.size(0), audio.size(1), audio.size(2), to_vector(audio)};
  }

  void save(OutputFile& file) const override {
    guarded([&] {
      ScriptModule copy = module_.clone();
      copy.to(torch::kCPU);
      torch::jit::ExportModule(copy, [&](const void* bytes, std::size_t size) {
        file.write(std::span(static_cast<const std::byte*>(bytes), size));
        return size;
      });
    });
  }

 private:
  torch::Tensor input(const Audio& audio) const {
    const std::int64_t count = audio.batch * audio.channels * audio.samples;
    if (audio.channels != properties_.channels || audio.batch < 1 || audio.samples < 1 ||
        count != static_cast<std::int64_t>(audio.data.size())) {
      throw wrong_shape("the codec takes audio of " + std::to_string(properties_.channels) +
                        " channels, given were " + std::to_string(audio.batch) + " x " +
                        std::to_string(audio.channels) + " x " + std::to_string(audio.samples) +
                        " samples in " + std::to_string(audio.data.size()) + " numbers");
    }
    return torch::tensor(audio.data).view({audio.batch, audio.channels, audio.samples}).to(device_);
  }

  torch::Tensor input(const Codes& codes) const {
    const std::int64_t count = codes.batch * codes.codebooks * codes.frames;
    if (codes.codebooks < 1 || codes.codebooks > properties_.codebooks || codes.batch < 1 ||
        codes.frames < 1 || count != static_cast<std::int64_t>(codes.data.size())) {
      throw wrong_shape("the codec takes codes of up to " + std::to_string(properties_.codebooks) +
                        " codebooks, given were " + std::to_string(codes.batch) + " x " +
                        std::to_string(codes.codebooks) + " x " + std::to_string(codes.frames) +
                        " codes in " + std::to_string(codes.data.size()) + " numbers");
    }
    for (const std::int64_t code : codes.data) {
      if (code >= 0 && code < properties_.cardinality) continue;
      throw Error(ErrorKind::input, "codec.code",
                  "code " + std::to_string(code) + " is none of the " +
                      std::to_string(properties_.cardinality) + " of a codebook");
    }
    return torch::tensor(codes.data, torch::kInt64)
        .view({codes.batch, codes.codebooks, codes.frames})
        .to(device_);
  }

  torch::IValue call(const char* method, std::vector<torch::IValue> arguments) const {
    // The optimizing executor compiles for every new length of input; these networks gain nothing.
    const torch::jit::GraphOptimizerEnabledGuard plain(false);
    const torch::NoGradGuard no_grad;
    return guarded([&] { return module_.get_method(method)(std::move(arguments)); });
  }

  static Latent to_latent(const torch::Tensor& latent) {
    return {latent.size(0), latent.size(1), latent.size(2), to_vector(latent)};
  }

  ScriptModule module_;
  CodecProperties properties_;
  torch::Device device_;
};

}  // namespace

std::unique_ptr<Codec> guarded_load(const std::function<std::unique_ptr<Codec>()>& make) {
  return guarded(make);
}

std::unique_ptr<Codec> make_codec(const CodecParts& parts, CodecProperties properties,
                                  const CodecOptions& options) {
  return guarded([&]() -> std::unique_ptr<Codec> {
    if (options.threads > 0) at::set_num_threads(options.threads);
    const torch::Device device = device_of(options);
    properties.engine = "LibTorch " TORCH_VERSION;
    properties.device = device.str();
    ScriptModule module = new_module("Codec");
    module.register_module("encoder", parts.encoder.impl().script);
    module.register_module("quantizer", parts.quantizer.impl().script);
    module.register_module("decoder", parts.decoder.impl().script);
    const auto attribute = [&](const char* name, std::int64_t number) {
      module.register_attribute(name, c10::IntType::get(), number);
    };
    attribute("sample_rate", properties.sample_rate);
    attribute("channels", properties.channels);
    attribute("codebooks", properties.codebooks);
    attribute("cardinality", properties.cardinality);
    attribute("hop_length", properties.hop_length);
    module.register_attribute("frame_rate", c10::FloatType::get(), properties.frame_rate);
    module.register_attribute("renormalize", c10::BoolType::get(), parts.renormalize);
    module.define(kVolume);
    module.define(kSource);
    module.eval();
    module.to(device);
    return std::make_unique<ScriptCodec>(std::move(module), std::move(properties), device);
  });
}

}  // namespace craftbundle::network
