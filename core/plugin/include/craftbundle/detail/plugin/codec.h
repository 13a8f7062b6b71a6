// What a plugin implements so that a codec can be run: audio to codes and back.
//
// Exporters describe what is written and never compute. A plugin that offers a CodecLoader builds
// the network of a compression model and runs it. The host knows samples and
// codes only, so whatever computes (LibTorch, ...) stays in the plugin's library.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/io/output_file.h"
#include "craftbundle/detail/plugin/model.h"
#include "craftbundle/detail/plugin/offer.h"

namespace CRAFTBUNDLE_API craftbundle {

// Samples, nominally within -1 and 1: [batch, channels, samples], row-major.
struct Audio {
  std::int64_t batch = 1;
  std::int64_t channels = 1;
  std::int64_t samples = 0;
  std::vector<float> data = {};
};

// Indices into the codebooks: [batch, codebooks, frames], row-major.
struct Codes {
  std::int64_t batch = 1;
  std::int64_t codebooks = 0;
  std::int64_t frames = 0;
  std::vector<std::int64_t> data = {};
  // [batch]: what a codec divided its input by and decoding multiplies with; empty for most codecs.
  std::vector<float> scale = {};
};

// Vectors between encoder and quantizer, or between quantizer and decoder: [batch, dimension,
// frames], row-major.
struct Latent {
  std::int64_t batch = 1;
  std::int64_t dimension = 0;
  std::int64_t frames = 0;
  std::vector<float> data = {};
};

struct CodecProperties {
  std::int64_t sample_rate = 0;  // Hz
  std::int64_t channels = 1;
  std::int64_t codebooks = 0;
  std::int64_t cardinality = 0;  // of each codebook
  std::int64_t latent_dimension = 0;
  double frame_rate = 0;        // frames per second, as the codec states it
  std::int64_t hop_length = 1;  // samples per frame
  // Frames to each side that a frame depends on, apart from what reaches over the whole input. With
  // this much context around it, a piece of a long input is coded as it would be in the whole.
  std::int64_t context_frames = 0;
  // Why a piece is not coded quite as it would be in the whole ("its LSTM looks back to the
  // beginning"); empty: it is.
  std::string whole_input;
  std::string engine;  // what computes, for reports: "LibTorch 1.13.1"
  std::string device;  // "cpu", "cuda:0"
};

// A codec with its weights, ready to run. Inputs of another shape than stated throw Error(usage,
// "codec.shape"), codes outside of their codebook Error(input, "codec.code").
//
// Thread: calls of one object must not overlap; different objects are independent.
class Codec {
 public:
  virtual ~Codec() = default;
  virtual const CodecProperties& properties() const = 0;

  // Output of the encoder, before quantization (after renormalization, for codecs that have it).
  virtual Latent encode_latent(const Audio& audio) const = 0;
  // ceil(samples / hop_length) frames for codecs that pad their input. `codebooks`: how many to
  // use, from the first; 0: all. As AudioCraft's CompressionModel.encode.
  virtual Codes encode(const Audio& audio, std::int64_t codebooks = 0) const = 0;
  // Sum of the vectors that the codes stand for. Any number of codebooks up to all.
  virtual Latent decode_latent(const Codes& codes) const = 0;
  // As CompressionModel.decode: not cut to the length of what was encoded.
  virtual Audio decode(const Codes& codes) const = 0;
  // Writes the network with its weights as a program that other software runs. For codecs of
  // LibTorch: TorchScript. REQUIRES: file.size() == 0.
  virtual void save(OutputFile& file) const = 0;
};

struct CodecLoaderInfo : OfferInfo {
  static constexpr std::string_view kKind = "codec";

  std::vector<std::string> exporters;  // whose components it runs; each has one loader

  template <typename Self, typename Visit>
  static void visit(Self& self, Visit&& field) {
    field({"exporters", "runs"}, self.exporters);
  }
  friend bool operator==(const CodecLoaderInfo&, const CodecLoaderInfo&) = default;
};

struct CodecOptions {
  std::string device = "cpu";
  int threads = 0;  // 0: as the engine likes
};

// Implemented by plugins, as Exporter. Thread: all functions may be called concurrently.
class CodecLoader {
 public:
  using Offer = CodecLoader;
  using Info = CodecLoaderInfo;
  virtual ~CodecLoader() = default;
  virtual CodecLoaderInfo info() const = 0;
  // Builds the network that `model` (its family is one of info().exporters) describes and reads its
  // weights. Throws Error(input, "codec.unsupported") for what it cannot run, saying
  // which setting; Error(usage, "codec.device").
  virtual std::unique_ptr<Codec> load(const Model& model, const CodecOptions& options) const = 0;
};

}  // namespace craftbundle
