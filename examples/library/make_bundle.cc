// Makes a bundle of two checkpoints, checks it, and writes it again for readers without PyTorch:
//   make_bundle LM COMPRESSION OUT_DIRECTORY
// LM and COMPRESSION are checkpoints, exported files or names of pretrained models.
#include <iostream>

#include "craftbundle/craftbundle.h"

namespace {

void print(const craftbundle::BundleReport& report) {
  std::cout << report.directory.string() << '\n';
  for (const craftbundle::WrittenFile& file : report.files) {
    std::cout << "  " << file.name << ", " << file.written.bytes << " bytes\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: make_bundle LM COMPRESSION OUT_DIRECTORY\n";
    return 2;
  }
  const craftbundle::Path out = argv[3];
  try {
    const craftbundle::Host host;
    const craftbundle::BundleReport made =
        craftbundle::bundle(host, {.components = {{.role = "lm", .source = argv[1]},
                                                  {.role = "compression", .source = argv[2]}},
                                   .output = out / "model",
                                   .publish = {.force = true}});
    print(made);
    for (const craftbundle::FitCheck& check : made.manifest.fit) {
      std::cout << "  " << to_string(check.outcome) << "  " << to_string(check) << '\n';
    }

    const craftbundle::Verification found = craftbundle::verify(host, {.source = made.directory});
    for (const std::string& failure : found.texts(craftbundle::Finding::Outcome::fails)) {
      std::cout << "  " << failure << '\n';
    }
    if (found.count(craftbundle::Finding::Outcome::fails) > 0) return 1;

    print(craftbundle::convert(host, {.bundle = made.directory,
                                      .output = out / "model_safetensors",
                                      .layout = {.name = "safetensors"},
                                      .publish = {.force = true}}));
  } catch (const craftbundle::Error& error) {
    std::cerr << "error: " << error.message() << " [" << error.code() << "]\n";
    return 1;
  }
  return 0;
}
