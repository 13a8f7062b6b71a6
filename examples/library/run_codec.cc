// Runs the codec of an exported file, or of a checkpoint, from C++:
//   run_codec FILE [SECONDS]
// The program links no LibTorch: the plugin that runs the codec brings it.
#include <iostream>
#include <string>

#include "bundlecraft/base/error.h"
#include "bundlecraft/bundle/codec_run.h"
#include "bundlecraft/host/host.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: run_codec FILE [SECONDS]\n";
    return 2;
  }
  try {
    const bundlecraft::Host host{bundlecraft::Host::Options{}};
    const bundlecraft::PreparedComponent component =
        host.prepare({bundlecraft::resolve_source(argv[1], {}, host),
                      std::string(bundlecraft::kCompressionRole),
                      std::nullopt,
                      {}});
    const std::unique_ptr<bundlecraft::Codec> codec = host.load_codec(component);
    const bundlecraft::CodecProperties& properties = codec->properties();

    // A batch of two, coded at once.
    bundlecraft::Audio audio{2, properties.channels, properties.sample_rate, {}};
    audio.data.resize(static_cast<std::size_t>(2 * properties.channels * properties.sample_rate));
    const bundlecraft::Codes codes = codec->encode(audio);
    const bundlecraft::Audio decoded = codec->decode(codes);
    std::cout << "a second of " << properties.sample_rate << " Hz: " << codes.codebooks << " x "
              << codes.frames << " codes, " << decoded.samples << " samples decoded\n";

    // Audio of any length, in pieces.
    const double seconds = argc > 2 ? std::stod(argv[2]) : 5;
    const auto reader =
        bundlecraft::test_signal(properties.sample_rate, properties.channels, seconds);
    const bundlecraft::CodecRun run = bundlecraft::run_codec(*codec, *reader, {});
    std::cout << run.frames << " frames, SI-SNR " << run.si_snr << " dB\n";
  } catch (const bundlecraft::Error& error) {
    std::cerr << "error: " << error.message() << " [" << error.code() << "]\n";
    return 1;
  }
  return 0;
}
