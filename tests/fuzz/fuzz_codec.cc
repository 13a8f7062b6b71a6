#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/bundle/codec_run.h"
#include "fuzz_target.h"
#include "remote_codec.h"

namespace {

using namespace craftbundle;

void require(bool condition) {
  if (!condition) __builtin_trap();
}

// The input as a row of decisions; zeros at its end.
class Decisions {
 public:
  explicit Decisions(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  template <typename T>
  T take() {
    T value{};
    const std::size_t count = std::min(sizeof(value), bytes_.size());
    if (count > 0) std::memcpy(&value, bytes_.data(), count);
    bytes_ = bytes_.subspan(count);
    return value;
  }

  // Mostly the number itself; else one beside it, or any.
  std::int64_t near(std::int64_t number) {
    const auto choice = take<std::uint8_t>();
    if (choice < 224) return number;
    if (choice < 248) return number + choice - 236;
    return take<std::int64_t>();
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

// How many numbers a codec gives for this size, at most a few thousand.
std::size_t count_of(std::int64_t batch, std::int64_t rows, std::int64_t columns,
                     Decisions& decisions) {
  constexpr std::int64_t kMost = 4096;
  std::int64_t count = 1;
  for (const std::int64_t number : {batch, rows, columns}) {
    count *= std::clamp<std::int64_t>(number, 0, kMost);
    count = std::min(count, kMost);
  }
  return static_cast<std::size_t>(std::clamp<std::int64_t>(decisions.near(count), 0, kMost));
}

// A plugin's codec that answers as the input decides.
class Puppet final : public Codec {
 public:
  explicit Puppet(Decisions& decisions) : decisions_(decisions) {
    stated_.sample_rate = decisions.near(1 + decisions.take<std::uint8_t>());
    stated_.channels = decisions.near(1 + decisions.take<std::uint8_t>() % 3);
    stated_.codebooks = decisions.near(1 + decisions.take<std::uint8_t>() % 4);
    stated_.cardinality = decisions.near(1 + decisions.take<std::uint8_t>());
    stated_.latent_dimension = decisions.near(1 + decisions.take<std::uint8_t>() % 8);
    stated_.hop_length = decisions.near(1 + decisions.take<std::uint8_t>() % 16);
    stated_.context_frames = decisions.near(decisions.take<std::uint8_t>() % 8);
    stated_.frame_rate = decisions.take<std::uint8_t>() % 8 == 7 ? decisions.take<double>() : 1;
  }

  const CodecProperties& properties() const override { return stated_; }
  Latent encode_latent(const Audio& audio) const override {
    return latent(audio.batch, frames_of(audio));
  }
  Codes encode(const Audio& audio, std::int64_t codebooks) const override {
    Codes codes;
    codes.batch = decisions_.near(audio.batch);
    codes.codebooks = decisions_.near(codebooks == 0 ? stated_.codebooks : codebooks);
    codes.frames = decisions_.near(frames_of(audio));
    codes.data.resize(count_of(codes.batch, codes.codebooks, codes.frames, decisions_));
    if (!codes.data.empty()) codes.data.back() = decisions_.near(0);
    if (decisions_.take<std::uint8_t>() % 2 == 1) {
      codes.scale.resize(static_cast<std::size_t>(decisions_.near(codes.batch) & 15), 0.5F);
    }
    return codes;
  }
  Latent decode_latent(const Codes& codes) const override {
    return latent(codes.batch, codes.frames);
  }
  Audio decode(const Codes& codes) const override {
    Audio audio;
    audio.batch = decisions_.near(codes.batch);
    audio.channels = decisions_.near(stated_.channels);
    audio.samples = decisions_.near(std::min<std::int64_t>(codes.frames, 4096) *
                                    std::min<std::int64_t>(stated_.hop_length, 4096));
    audio.data.resize(count_of(audio.batch, audio.channels, audio.samples, decisions_));
    if (!audio.data.empty()) audio.data.back() = decisions_.take<float>();
    return audio;
  }
  void save(OutputFile& /*file*/) const override {}

 private:
  std::int64_t frames_of(const Audio& audio) const {
    const std::int64_t hop = std::max<std::int64_t>(stated_.hop_length, 1);
    return audio.samples / hop + (audio.samples % hop > 0 ? 1 : 0);
  }
  Latent latent(std::int64_t batch, std::int64_t frames) const {
    Latent latent;
    latent.batch = decisions_.near(batch);
    latent.dimension = decisions_.near(stated_.latent_dimension);
    latent.frames = decisions_.near(frames);
    latent.data.resize(count_of(latent.batch, latent.dimension, latent.frames, decisions_));
    return latent;
  }

  CodecProperties stated_;
  Decisions& decisions_;
};

// Runs `action`; what a plugin does wrong is an error of a kind that says so.
template <typename Action>
void attempt(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::plugin || error.code().starts_with("codec."));
  }
}

void use(const RemoteCodec& codec) {
  const CodecProperties& stated = codec.properties();
  if (stated.channels > 4 || stated.sample_rate > 4096) return;
  // Four pieces of it or one.
  const auto signal = test_signal(stated.sample_rate, stated.channels, 1);
  attempt([&] {
    const CodecRun run = run_codec(codec, *signal, {.seconds = 0.25});
    require(run.samples == signal->samples() && run.frames >= 0);
  });
  const Audio audio{1, stated.channels, 8,
                    std::vector<float>(static_cast<std::size_t>(8 * stated.channels))};
  attempt([&] {
    const Latent latent = codec.encode_latent(audio);
    const Codes codes = codec.encode(audio, 0);
    require(latent.data.size() ==
            static_cast<std::size_t>(latent.batch * latent.dimension * latent.frames));
    require(codes.data.size() ==
            static_cast<std::size_t>(codes.batch * codes.codebooks * codes.frames));
    codec.decode_latent(codes);
    codec.decode(codes);
  });
}

}  // namespace

// What a codec of a plugin states and gives, up to the sums over a run: all of it is checked before
// it is used.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Decisions decisions({data, size});
  std::unique_ptr<RemoteCodec> codec;
  attempt([&] {
    codec =
        std::make_unique<RemoteCodec>(Guarded<Codec>(std::make_unique<Puppet>(decisions)), "x.so");
  });
  if (codec != nullptr) use(*codec);
  return 0;
}
