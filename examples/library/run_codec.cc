// Runs the codec of an exported file, or of a checkpoint, from C++:
//   run_codec FILE [SECONDS]
// The program links no LibTorch: the plugin that runs the codec brings it.
#include <iostream>
#include <string>

#include "craftbundle/codec.h"
#include "craftbundle/craftbundle.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: run_codec FILE [SECONDS]\n";
    return 2;
  }
  try {
    const craftbundle::Host host;
    const craftbundle::PreparedComponent component =
        craftbundle::open(host, {.role = "compression", .source = argv[1]});
    const std::unique_ptr<craftbundle::Codec> codec = host.load_codec(component);
    const craftbundle::CodecProperties& properties = codec->properties();

    // A second of silence, twice, coded at once.
    craftbundle::Audio audio = {
        .batch = 2, .channels = properties.channels, .samples = properties.sample_rate};
    audio.data.resize(static_cast<std::size_t>(audio.batch * audio.channels * audio.samples));
    const craftbundle::Codes codes = codec->encode(audio);
    const craftbundle::Audio decoded = codec->decode(codes);
    std::cout << "a second of " << properties.sample_rate << " Hz: " << codes.codebooks << " x "
              << codes.frames << " codes, " << decoded.samples << " samples decoded\n";

    // Audio of any length, in pieces.
    const double seconds = argc > 2 ? std::stod(argv[2]) : 5;
    const auto reader =
        craftbundle::test_signal(properties.sample_rate, properties.channels, seconds);
    const craftbundle::CodecRun run = craftbundle::run_codec(*codec, *reader, {});
    std::cout << run.frames << " frames, SI-SNR " << run.si_snr << " dB\n";
  } catch (const craftbundle::Error& error) {
    std::cerr << "error: " << error.message() << " [" << error.code() << "]\n";
    return 1;
  }
  return 0;
}
