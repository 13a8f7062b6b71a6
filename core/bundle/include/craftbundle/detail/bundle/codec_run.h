// Running a codec over audio of any length, and measuring what it does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/plugin/codec.h"

namespace CRAFTBUNDLE_API craftbundle {

// A chord, a sweep and noise, the same on every machine: audio that no codec knows by heart.
std::unique_ptr<AudioReader> test_signal(std::int64_t sample_rate, std::int64_t channels,
                                         double seconds);

struct PieceOptions {
  // Coded at once; memory is proportional to it. Rounded up to whole frames.
  double seconds = 10;
  std::int64_t codebooks = 0;  // 0: all
  const Cancellation* cancellation = &Cancellation::never();
};

// A piece of a long input: its codes, and the audio they were made from.
struct CodedPiece {
  Codes codes;
  Audio audio;
  bool last = false;
};

// Codes all of `reader`, piece by piece, and gives each to `take`. Pieces overlap by
// CodecProperties::context_frames, which are computed twice and dropped, and begin at multiples of
// frame_step(). So memory is bounded, and the codes are those of the whole input at once, as far as
// CodecProperties::whole_input is empty.
// Throws Error(usage, "codec.audio") for another sample rate, number of channels, or no samples;
// Error(plugin, "plugin.codec") for a codec that makes fewer frames of a piece than it has.
void encode_pieces(const Codec& codec, AudioReader& reader, const PieceOptions& options,
                   const std::function<void(const CodedPiece&)>& take);

// The reverse: codes of one input in order, pieces of any length, batch 1. give() returns the audio
// that is settled, and all of it with the last piece; finish() the rest, for who did not say which
// is the last. As long as the codec makes it: not cut to the length of the input. Each frame gets
// the scale of the piece that it came with.
class PieceDecoder {
 public:
  PieceDecoder(const Codec& codec, const PieceOptions& options)
      : codec_(codec), options_(options) {}
  Audio give(const Codes& codes, bool is_last = false);
  Audio finish();

 private:
  Audio decode(bool is_last);

  const Codec& codec_;
  PieceOptions options_;
  Codes pending_;              // context that was decoded already, and what is new
  std::vector<float> scales_;  // of each frame of pending_; empty for codecs without
  std::int64_t context_ = 0;   // frames of pending_ that were decoded already
};

struct CodebookUse {
  std::int64_t used = 0;  // entries that occur
  double entropy = 0;     // bits a code
};

struct CodecRun {
  std::int64_t samples = 0;
  double seconds = 0;  // of audio
  std::int64_t frames = 0;
  std::int64_t codebooks = 0;
  std::int64_t codes = 0;      // that stand for these frames
  double bits_per_second = 0;  // of codes of log2(cardinality) bits
  std::vector<CodebookUse> use;
  // Scale-invariant signal-to-noise ratio of the decoded audio, in dB; -infinity for silence.
  double si_snr = 0;
  // Root mean square of the input and of what was decoded, without their means.
  double level = 0;
  double decoded_level = 0;
  double encode_seconds = 0;  // in the codec
  double decode_seconds = 0;

  double codes_per_second() const;  // encoded
  // Seconds of audio in a second of computing.
  double encode_speed() const { return seconds / encode_seconds; }
  double decode_speed() const { return seconds / decode_seconds; }
};

// Encodes and decodes all of `reader`. `write` is given the decoded audio, cut to the length of the
// input. Throws as encode_pieces(), and Error(mismatch, "codec.not_finite") when decoding makes
// something else than numbers.
CodecRun run_codec(const Codec& codec, AudioReader& reader, const PieceOptions& options,
                   const std::function<void(const Audio&)>& write = {});

}  // namespace craftbundle
