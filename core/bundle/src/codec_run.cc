#include "craftbundle/detail/bundle/codec_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <string>
#include <utility>

#include "craftbundle/detail/base/error.h"

namespace craftbundle {
namespace {

using Clock = std::chrono::steady_clock;

// Columns [first, first + count) of `data`, which has `rows` rows of `width`.
template <typename T>
std::vector<T> columns(const std::vector<T>& data, std::int64_t rows, std::int64_t width,
                       std::int64_t first, std::int64_t count) {
  std::vector<T> part;
  part.reserve(static_cast<std::size_t>(rows * count));
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto begin = data.begin() + row * width + first;
    part.insert(part.end(), begin, begin + count);
  }
  return part;
}

// `a` and `b` side by side.
template <typename T>
std::vector<T> joined(const std::vector<T>& a, std::int64_t a_width, const std::vector<T>& b,
                      std::int64_t b_width, std::int64_t rows) {
  std::vector<T> all;
  all.reserve(a.size() + b.size());
  for (std::int64_t row = 0; row < rows; ++row) {
    all.insert(all.end(), a.begin() + row * a_width, a.begin() + (row + 1) * a_width);
    all.insert(all.end(), b.begin() + row * b_width, b.begin() + (row + 1) * b_width);
  }
  return all;
}

Audio cut(const Audio& audio, std::int64_t first, std::int64_t count) {
  first = std::clamp<std::int64_t>(first, 0, audio.samples);
  count = std::clamp<std::int64_t>(count, 0, audio.samples - first);
  return {audio.batch, audio.channels, count,
          columns(audio.data, audio.batch * audio.channels, audio.samples, first, count)};
}

Audio append(const Audio& a, const Audio& b) {
  if (a.samples == 0) return b;
  return {a.batch, a.channels, a.samples + b.samples,
          joined(a.data, a.samples, b.data, b.samples, a.batch * a.channels)};
}

Codes cut(const Codes& codes, std::int64_t first, std::int64_t count) {
  first = std::clamp<std::int64_t>(first, 0, codes.frames);
  count = std::clamp<std::int64_t>(count, 0, codes.frames - first);
  return {codes.batch, codes.codebooks, count,
          columns(codes.data, codes.batch * codes.codebooks, codes.frames, first, count),
          codes.scale};
}

void check_input(const CodecProperties& codec, const AudioReader& reader) {
  const auto differs = [](const std::string& what, std::int64_t found, std::int64_t expected,
                          const std::string& unit, const std::string& hint) {
    return Error(ErrorKind::usage, "codec.audio",
                 "the audio has " + std::to_string(found) + unit + what + ", the codec takes " +
                     std::to_string(expected),
                 hint);
  };
  if (reader.sample_rate() != codec.sample_rate) {
    throw differs(" (sample rate)", reader.sample_rate(), codec.sample_rate, " Hz",
                  "convert it, for example with 'sox in.wav -r " +
                      std::to_string(codec.sample_rate) + " out.wav'");
  }
  if (reader.channels() != codec.channels) {
    throw differs("", reader.channels(), codec.channels, " channels",
                  "convert it, for example with 'sox in.wav -c " + std::to_string(codec.channels) +
                      " out.wav'");
  }
  if (reader.samples() < 1) {
    throw Error(ErrorKind::usage, "codec.audio", "the audio has no samples");
  }
}

std::int64_t round_up(std::int64_t frames, std::int64_t step) {
  return (frames + step - 1) / step * step;
}

// Pieces and what lies around them begin where the codec would divide the whole.
std::int64_t step_of(const CodecProperties& codec) {
  return std::max<std::int64_t>(1, frame_step(codec));
}

std::int64_t piece_frames(const CodecProperties& codec, const PieceOptions& options) {
  const double frames = options.seconds * static_cast<double>(codec.sample_rate) /
                        static_cast<double>(codec.hop_length);
  return round_up(std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(frames))),
                  step_of(codec));
}

// The codec makes less of a piece than it says: what follows would lie at the wrong place.
Error too_short(const std::string& what, std::int64_t found, std::int64_t expected,
                const std::string& of) {
  return Error(ErrorKind::plugin, "plugin.codec",
               "the codec makes " + std::to_string(found) + " " + what + " of " + of +
                   ", by its hop_length " + std::to_string(expected) + " at least");
}

class TestSignal final : public AudioReader {
 public:
  TestSignal(std::int64_t sample_rate, std::int64_t channels, double seconds)
      : rate_(sample_rate),
        channels_(channels),
        samples_(std::max<std::int64_t>(
            1, static_cast<std::int64_t>(seconds * static_cast<double>(sample_rate)))) {}

  std::int64_t sample_rate() const override { return rate_; }
  std::int64_t channels() const override { return channels_; }
  std::int64_t samples() const override { return samples_; }

  Audio read(std::int64_t count) override {
    Audio audio{1, channels_, std::min(count, samples_ - done_), {}};
    for (std::int64_t channel = 0; channel < channels_; ++channel) {
      for (std::int64_t i = 0; i < audio.samples; ++i) {
        audio.data.push_back(sample(done_ + i, channel));
      }
    }
    done_ += audio.samples;
    return audio;
  }

 private:
  float sample(std::int64_t index, std::int64_t channel) const {
    constexpr double kTurn = 2 * std::numbers::pi;
    const double time = static_cast<double>(index) / static_cast<double>(rate_);
    const double shift = 1 + 0.01 * static_cast<double>(channel);
    double value = 0;
    for (const double hertz : {220.0, 277.2, 329.6, 440.0}) {
      value += 0.08 * std::sin(kTurn * hertz * shift * time);
    }
    // Five octaves up in four seconds, again and again.
    const double sweep = std::fmod(time, 4.0) / 4 * 5;
    value +=
        0.15 * std::sin(kTurn * 110 * shift * (std::exp2(sweep) - 1) / std::numbers::ln2 * 0.8);
    // A hash of the index: noise without a state, so that pieces do not matter.
    std::uint64_t bits = static_cast<std::uint64_t>(index * 64 + channel) * 0x9E3779B97F4A7C15ULL;
    bits ^= bits >> 32;
    bits *= 0xD6E8FEB86659FD93ULL;
    bits ^= bits >> 32;
    value += 0.05 * (static_cast<double>(bits >> 11) * 0x1p-52 - 1);
    return static_cast<float>(value * (0.6 + 0.4 * std::sin(kTurn * 2 * time)));
  }

  std::int64_t rate_;
  std::int64_t channels_;
  std::int64_t samples_;
  std::int64_t done_ = 0;
};

// Sums for the signal-to-noise ratio of audio that comes in pieces, in any cut.
class SignalToNoise {
 public:
  void original(const Audio& audio) { wanted_ = append(wanted_, audio); }
  void decoded(const Audio& audio) {
    found_ = append(found_, audio);
    const std::int64_t count = std::min(wanted_.samples, found_.samples);
    for (std::int64_t row = 0; row < wanted_.channels; ++row) {
      for (std::int64_t i = 0; i < count; ++i) {
        const double x = wanted_.data[static_cast<std::size_t>(row * wanted_.samples + i)];
        const double y = found_.data[static_cast<std::size_t>(row * found_.samples + i)];
        n_ += 1;
        x_ += x;
        y_ += y;
        xx_ += x * x;
        yy_ += y * y;
        xy_ += x * y;
      }
    }
    wanted_ = cut(wanted_, count, wanted_.samples);
    found_ = cut(found_, count, found_.samples);
  }

  double level() const { return rms(xx_ - x_ * x_ / n_); }
  double decoded_level() const { return rms(yy_ - y_ * y_ / n_); }

  double decibels() const {
    const double xx = xx_ - x_ * x_ / n_;
    const double yy = yy_ - y_ * y_ / n_;
    const double xy = xy_ - x_ * y_ / n_;
    const double target = xx > 0 ? xy * xy / xx : 0;
    const double noise = yy - target;
    if (target <= 0) return -std::numeric_limits<double>::infinity();
    return 10 * std::log10(target / std::max(noise, target * 1e-15));
  }

 private:
  double rms(double sum) const { return n_ > 0 ? std::sqrt(std::max(0.0, sum) / n_) : 0; }

  Audio wanted_;
  Audio found_;
  double n_ = 0;
  double x_ = 0;
  double y_ = 0;
  double xx_ = 0;
  double yy_ = 0;
  double xy_ = 0;
};

// Codes by entry, for each codebook. Entries that occur only: a codec may state any number of them.
class Histogram {
 public:
  explicit Histogram(const CodecProperties& properties) : properties_(properties) {}

  void add(const Codes& codes) {
    books_.resize(static_cast<std::size_t>(codes.codebooks));
    for (std::size_t book = 0; book < books_.size(); ++book) {
      const std::vector<std::int64_t>& rates = properties_.frames_per_code;
      const std::int64_t step = rates.empty() ? 1 : rates.at(book);
      const auto row = codes.data.begin() + static_cast<std::int64_t>(book) * codes.frames;
      for (std::int64_t frame = 0; frame < codes.frames; frame += step) {
        ++books_[book].counts[row[frame]];
        ++books_[book].codes;
      }
    }
  }

  std::vector<CodebookUse> use() const {
    std::vector<CodebookUse> all;
    for (const Book& book : books_) {
      CodebookUse use;
      for (const auto& [code, count] : book.counts) {
        ++use.used;
        const double share = static_cast<double>(count) / static_cast<double>(book.codes);
        use.entropy -= share * std::log2(share);
      }
      all.push_back(use);
    }
    return all;
  }

  std::int64_t codes() const {
    std::int64_t sum = 0;
    for (const Book& book : books_) sum += book.codes;
    return sum;
  }

 private:
  struct Book {
    std::map<std::int64_t, std::int64_t> counts;
    std::int64_t codes = 0;
  };
  const CodecProperties& properties_;
  std::vector<Book> books_;
};

// Sound weights can still make numbers that are none.
void require_finite(const Audio& decoded) {
  const auto odd =
      std::ranges::count_if(decoded.data, [](float sample) { return !std::isfinite(sample); });
  if (odd == 0) return;
  throw Error(ErrorKind::mismatch, "codec.not_finite",
              "the codec does not code audio: " + std::to_string(odd) + " of " +
                  std::to_string(decoded.data.size()) + " decoded samples are no numbers",
              "export another checkpoint of the training, or its weights in float32");
}

// Adds the time that encode() and decode() take to a run.
class TimedCodec final : public Codec {
 public:
  TimedCodec(const Codec& codec, CodecRun& run) : codec_(codec), run_(run) {}
  const CodecProperties& properties() const override { return codec_.properties(); }
  Latent encode_latent(const Audio& audio) const override { return codec_.encode_latent(audio); }
  Codes encode(const Audio& audio, std::int64_t codebooks) const override {
    return timed(run_.encode_seconds, [&] { return codec_.encode(audio, codebooks); });
  }
  Latent decode_latent(const Codes& codes) const override { return codec_.decode_latent(codes); }
  Audio decode(const Codes& codes) const override {
    return timed(run_.decode_seconds, [&] { return codec_.decode(codes); });
  }
  void save(OutputFile& file) const override { codec_.save(file); }

 private:
  template <typename Action>
  static auto timed(double& seconds, Action&& action) -> decltype(action()) {
    const Clock::time_point begin = Clock::now();
    auto result = action();
    seconds += std::chrono::duration<double>(Clock::now() - begin).count();
    return result;
  }

  const Codec& codec_;
  CodecRun& run_;
};

}  // namespace

std::unique_ptr<AudioReader> test_signal(std::int64_t sample_rate, std::int64_t channels,
                                         double seconds) {
  return std::make_unique<TestSignal>(sample_rate, channels, seconds);
}

void encode_pieces(const Codec& codec, AudioReader& reader, const PieceOptions& options,
                   const std::function<void(const CodedPiece&)>& take) {
  const CodecProperties& properties = codec.properties();
  check_input(properties, reader);
  const std::int64_t hop = properties.hop_length;
  const std::int64_t piece = piece_frames(properties, options) * hop;
  const std::int64_t context = round_up(properties.context_frames, step_of(properties)) * hop;
  const std::int64_t total = reader.samples();
  Audio window;  // samples [window_begin, window_begin + window.samples) of the input
  std::int64_t window_begin = 0;
  for (std::int64_t begin = 0; begin < total; begin += piece) {
    options.cancellation->check();
    const std::int64_t from = std::max<std::int64_t>(0, begin - context);
    // A rest that is shorter than the context would be coded twice: it goes with this piece.
    const bool last = begin + piece + context >= total;
    const std::int64_t end = last ? total : begin + piece;
    const std::int64_t to = std::min(total, end + context);
    window = cut(window, from - window_begin, window.samples);
    window_begin = from;
    while (window_begin + window.samples < to) {
      const Audio more = reader.read(to - window_begin - window.samples);
      if (more.samples == 0) {
        throw Error(ErrorKind::input, "codec.audio",
                    "the audio ends after " + std::to_string(window_begin + window.samples) +
                        " of " + std::to_string(total) + " samples");
      }
      window = append(window, more);
    }
    const Codes codes = codec.encode(window, options.codebooks);
    const std::int64_t first = (begin - from) / hop;
    const std::int64_t count = last ? codes.frames - first : piece / hop;
    const std::int64_t least = last ? first : first + count;
    if (codes.frames < least) {
      throw too_short("frames", codes.frames, least, std::to_string(window.samples) + " samples");
    }
    take({cut(codes, first, count), cut(window, begin - from, end - begin), last});
    if (last) break;
  }
}

Audio PieceDecoder::give(const Codes& codes, bool is_last) {
  if (pending_.frames > 0 && codes.scale.empty() != scales_.empty()) {
    throw Error(ErrorKind::plugin, "plugin.codec", "some of the codes have a scale, others none");
  }
  if (!codes.scale.empty()) {
    scales_.insert(scales_.end(), static_cast<std::size_t>(codes.frames), codes.scale.front());
  }
  if (pending_.frames == 0) {
    pending_ = codes;
  } else {
    pending_.data = joined(pending_.data, pending_.frames, codes.data, codes.frames,
                           codes.batch * codes.codebooks);
    pending_.frames += codes.frames;
  }
  if (!scales_.empty()) pending_.scale = {1};
  return decode(is_last);
}

Audio PieceDecoder::finish() { return decode(true); }

// Unless it is the last, all but the frames at the end, which need what follows.
Audio PieceDecoder::decode(bool is_last) {
  const CodecProperties& properties = codec_.properties();
  const std::int64_t step = step_of(properties);
  const std::int64_t reach = round_up(properties.context_frames, step);
  const std::int64_t frames = is_last ? pending_.frames : pending_.frames / step * step;
  const std::int64_t settled = frames - context_ - (is_last ? 0 : reach);
  if (settled <= 0) return {1, properties.channels, 0, {}};
  options_.cancellation->check();
  const std::int64_t hop = properties.hop_length;
  const Audio whole =
      codec_.decode(frames == pending_.frames ? pending_ : cut(pending_, 0, frames));
  if (!is_last && whole.samples < (context_ + settled) * hop) {
    throw too_short("samples", whole.samples, (context_ + settled) * hop,
                    std::to_string(frames) + " frames");
  }
  Audio audio = cut(whole, context_ * hop, is_last ? whole.samples : settled * hop);
  for (std::int64_t row = 0; row < audio.channels && !scales_.empty(); ++row) {
    for (std::int64_t i = 0; i < audio.samples; ++i) {
      // What a codec makes beyond its last frame belongs to that.
      const auto frame = std::min<std::int64_t>(context_ + i / hop, pending_.frames - 1);
      audio.data[static_cast<std::size_t>(row * audio.samples + i)] *=
          scales_[static_cast<std::size_t>(frame)];
    }
  }
  const std::int64_t kept = std::min(reach, context_ + settled);
  const std::int64_t drop = context_ + settled - kept;
  pending_ = cut(pending_, drop, pending_.frames - drop);
  if (!scales_.empty()) scales_.erase(scales_.begin(), scales_.begin() + drop);
  context_ = kept;
  return audio;
}

double CodecRun::codes_per_second() const { return static_cast<double>(codes) / encode_seconds; }

CodecRun run_codec(const Codec& codec, AudioReader& reader, const PieceOptions& options,
                   const std::function<void(const Audio&)>& write) {
  const CodecProperties& properties = codec.properties();
  CodecRun run;
  const TimedCodec timed(codec, run);
  PieceDecoder decoder(timed, options);
  SignalToNoise noise;
  Histogram histogram(properties);
  std::int64_t left = reader.samples();
  const auto decoded = [&](const Audio& audio) {
    const Audio part = cut(audio, 0, left);
    left -= part.samples;
    require_finite(part);
    noise.decoded(part);
    if (write && part.samples > 0) write(part);
  };
  encode_pieces(timed, reader, options, [&](const CodedPiece& piece) {
    run.samples += piece.audio.samples;
    run.frames += piece.codes.frames;
    run.codebooks = piece.codes.codebooks;
    histogram.add(piece.codes);
    noise.original(piece.audio);
    decoded(decoder.give(piece.codes, piece.last));
  });
  run.seconds = static_cast<double>(run.samples) / static_cast<double>(properties.sample_rate);
  run.codes = histogram.codes();
  run.bits_per_second = std::log2(static_cast<double>(properties.cardinality)) *
                        static_cast<double>(run.codes) / run.seconds;
  run.use = histogram.use();
  run.level = noise.level();
  run.decoded_level = noise.decoded_level();
  run.si_snr = noise.decibels();
  return run;
}

}  // namespace craftbundle
