// The three export functions of AudioCraft, from C++:
//   export_models LM_CHECKPOINT COMPRESSION OUT_DIRECTORY
// COMPRESSION is a checkpoint of an EnCodec training or a pretrained name.
#include <boost/filesystem.hpp>
#include <iostream>
#include <string>

#include "craftbundle/audiocraft.h"
#include "craftbundle/error.h"

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: export_models LM_CHECKPOINT COMPRESSION OUT_DIRECTORY\n";
    return 2;
  }
  const std::string compression = argv[2];
  const craftbundle::Path out = argv[3];
  try {
    std::cout << craftbundle::export_lm(argv[1], out / "state_dict.bin").string() << '\n';
    const craftbundle::Path codec_file = out / "compression_state_dict.bin";
    if (boost::filesystem::exists(compression)) {
      craftbundle::export_encodec(compression, codec_file);
    } else {
      craftbundle::export_pretrained_compression_model(compression, codec_file);
    }
    std::cout << codec_file.string() << '\n';
  } catch (const craftbundle::Error& error) {
    std::cerr << "error: " << error.message() << " [" << error.code() << "]\n";
    return 1;
  }
  return 0;
}
