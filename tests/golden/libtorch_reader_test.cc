// LibTorch as judge: torch::pickle_load reads the files Craftbundle writes, in C++, and agrees with
// our own reader.
//   libtorch_reader_test DIRECTORY_OF_EXPORTED_FILES
#include <torch/csrc/api/include/torch/serialize.h>
#include <torch/torch.h>

#include <boost/filesystem.hpp>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "craftbundle/detail/checkpoint/checkpoint.h"

namespace {

int problems = 0;

void expect(bool holds, const std::string& where, const std::string& what) {
  if (holds) return;
  std::cout << where << ": " << what << '\n';
  ++problems;
}

c10::IValue load_with_libtorch(const boost::filesystem::path& path) {
  std::ifstream file(path.string(), std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  return torch::pickle_load(bytes);
}

std::vector<char> bytes_of(const craftbundle::Checkpoint& checkpoint,
                           const craftbundle::Tensor& tensor) {
  std::vector<char> bytes(tensor.storage.bytes);
  checkpoint.read(tensor.storage, 0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

// `ours` and `theirs` view equal storages, so equal layouts over equal bytes are equal tensors.
void compare(const craftbundle::Checkpoint& checkpoint, const craftbundle::Tensor& ours,
             const at::Tensor& theirs, const std::string& where) {
  expect(theirs.sizes().vec() == ours.layout.shape, where, "shape differs");
  expect(theirs.strides().vec() == ours.layout.strides, where, "strides differ");
  expect(theirs.storage_offset() == ours.layout.offset, where, "offset differs");
  expect(theirs.element_size() == craftbundle::item_size(ours.dtype), where, "dtype differs");
  const std::vector<char> bytes = bytes_of(checkpoint, ours);
  expect(theirs.storage().nbytes() == bytes.size(), where, "storage size differs");
  if (theirs.storage().nbytes() == bytes.size() && !bytes.empty()) {
    expect(std::memcmp(theirs.storage().data(), bytes.data(), bytes.size()) == 0, where,
           "values differ");
  }
}

void compare_file(const boost::filesystem::path& path) {
  const std::string name = path.filename().string();
  const auto checkpoint = craftbundle::Checkpoint::open(path);
  const auto package = load_with_libtorch(path).toGenericDict();
  expect(package.at("exported").toBool(), name, "'exported' is not True");
  expect(package.at("version").toStringRef() == checkpoint->root().at("version").as_string(), name,
         "version differs");
  if (checkpoint->root().contains("pretrained")) {
    expect(
        package.at("pretrained").toStringRef() == checkpoint->root().at("pretrained").as_string(),
        name, "pretrained differs");
    return;
  }
  expect(package.at("xp.cfg").toStringRef() == checkpoint->root().at("xp.cfg").as_string(), name,
         "xp.cfg differs");
  const auto state = package.at("best_state").toGenericDict();
  expect(state.size() == checkpoint->root().at("best_state").size(), name,
         "number of tensors differs");
  for (const auto& [key, value] : checkpoint->root().at("best_state").entries()) {
    const std::string tensor_name(key.as_string());
    compare(*checkpoint, checkpoint->tensor(value), state.at(tensor_name).toTensor(),
            name + ": " + tensor_name);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  int files = 0;
  for (const auto& entry : boost::filesystem::recursive_directory_iterator(argv[1])) {
    if (entry.path().extension() != ".bin") continue;
    ++files;
    try {
      compare_file(entry.path());
    } catch (const std::exception& error) {
      expect(false, entry.path().filename().string(), error.what());
    }
  }
  std::cout << files << " files read by LibTorch, " << problems << " problems\n";
  return problems == 0 && files >= 20 ? 0 : 1;
}
