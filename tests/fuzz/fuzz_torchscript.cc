#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "craftbundle/audiocraft_rules/config.h"
#include "craftbundle/detail/base/error.h"
#include "dac/network.h"
#include "dac/spec.h"
#include "encodec/network.h"
#include "encodec/spec.h"
#include "fuzz_target.h"
#include "made_model.h"
#include "support/temporary_directory.h"

namespace {

using namespace craftbundle;

void require(bool condition) {
  if (!condition) __builtin_trap();
}

constexpr std::int64_t kMostSamples = 4096;

// LibTorch compiles what was written for any configuration that is read.
template <typename Rules, typename Loader>
std::unique_ptr<Codec> load(const Config& config, Rules&& read_spec, const Loader& loader) {
  const auto spec = read_spec(config);
  const auto tensors = testing::made_tensors(spec.expected);
  if (!tensors) return nullptr;
  Model model;
  model.config = config;
  model.tensors = *tensors;
  return loader.load(model, {.threads = 1});
}

std::unique_ptr<Codec> load(const std::string& text) {
  try {
    const Config config = Config::from_yaml(text);
    if (audiocraft::model_name(config).name == "dac") {
      return load(config, dac::read_spec, dac::DacLoader());
    }
    return load(config, encodec::read_spec, encodec::EncodecLoader());
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::input);
    return nullptr;
  }
}

// Codes of the stated shape, or a refusal.
void run(const Codec& codec) {
  const CodecProperties& stated = codec.properties();
  if (stated.hop_length * stated.channels > kMostSamples / 2) return;
  const std::int64_t samples = 2 * stated.hop_length;
  const Audio audio{1, stated.channels, samples,
                    std::vector<float>(static_cast<std::size_t>(stated.channels * samples), 0.5F)};
  try {
    const Codes codes = codec.encode(audio);
    require(codes.codebooks == stated.codebooks && codes.batch == 1);
    require(std::ranges::all_of(
        codes.data, [&](std::int64_t code) { return code >= 0 && code < stated.cardinality; }));
    require(codec.decode(codes).channels == stated.channels);
  } catch (const Error& error) {
    require(error.code() == "codec.engine" || error.code() == "codec.shape");
  }
}

}  // namespace

// A configuration of a codec, to the TorchScript text of its network.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto codec = load(std::string(reinterpret_cast<const char*>(data), size));
  if (codec == nullptr) return 0;
  run(*codec);
  static const testing::TemporaryDirectory directory;
  OutputFile file(directory.path(), Durability::no_sync);
  codec->save(file);
  require(file.size() > 0);
  return 0;
}
