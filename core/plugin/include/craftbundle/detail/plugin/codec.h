// What a plugin implements so that a codec can be run: audio to codes and back.
//
// Exporters describe what is written and never compute. A plugin that offers a CodecLoader builds
// the network of a compression model and runs it. The host knows samples and
// codes only, so whatever computes (LibTorch, ...) stays in the plugin's library.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
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

// Audio that comes in pieces. One thread at a time.
class AudioReader {
 public:
  virtual ~AudioReader() = default;
  virtual std::int64_t sample_rate() const = 0;  // Hz
  virtual std::int64_t channels() const = 0;
  virtual std::int64_t samples() const = 0;  // in all
  // The next `count` samples of each channel, fewer only at the end; batch is 1.
  virtual Audio read(std::int64_t count) = 0;
};

// Indices into the codebooks: [batch, codebooks, frames], row-major. A code that stands for several
// frames (CodecProperties::frames_per_code) stands at each of them.
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
  // encode() makes, and decode() takes, a multiple of so many frames: attention in windows of 32.
  std::int64_t frame_multiple = 1;
  // How many frames one code of each codebook stands for, for codecs whose codebooks have different
  // rates: {4, 2, 1}. Frames are those of the fastest one. Empty: one each.
  std::vector<std::int64_t> frames_per_code = {};
  // Frames to each side that a frame depends on, apart from what reaches over the whole input. With
  // this much context around it, a piece of a long input is coded as it would be in the whole.
  std::int64_t context_frames = 0;
  // Why a piece is not coded quite as it would be in the whole ("its LSTM looks back to the
  // beginning"); empty: it is.
  std::string whole_input;
  // Why two calls with the same input do not give the same, but for rounding ("its decoder adds
  // noise"); empty: they do.
  std::string varies = {};
  std::string engine;  // what computes, for reports: "LibTorch 1.13.1"
  std::string device;  // "cpu", "cuda:0"
};

// A number that a codec states, under the name that the fact has which a component states of it
// (FitFact). Counts are integers.
struct CodecFigure {
  std::string_view name;
  std::variant<std::int64_t, double> value;
};
// All that there are.
std::vector<CodecFigure> figures_of(const CodecProperties& properties);

// The multiple of frames that a codec works with: of frame_multiple, and of whole codes of each
// codebook. 0 when properties are so odd that there is none below 2^31.
std::int64_t frame_step(const CodecProperties& properties);
// Of the codes of the first `codebooks` codebooks (0: all), each of log2(cardinality) bits.
double bits_per_second(const CodecProperties& properties, std::int64_t codebooks);

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
  // ceil(samples / hop_length) frames for codecs that pad their input, up to the next multiple of
  // frame_step(). `codebooks`: how many to use, from the first, whose codes are the same for any
  // number; 0: all. As AudioCraft's CompressionModel.encode.
  virtual Codes encode(const Audio& audio, std::int64_t codebooks = 0) const = 0;
  // Sum of the vectors that the codes stand for. Any number of codebooks up to all.
  virtual Latent decode_latent(const Codes& codes) const = 0;
  // As CompressionModel.decode: hop_length samples a frame, not cut to the length of what was
  // encoded.
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
