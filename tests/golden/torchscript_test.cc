// Codecs exported as TorchScript run in a C++ program that knows only LibTorch, and compute what
// AudioCraft's own classes computed.
//   torchscript_test DIRECTORY_OF_TS_FILES DIRECTORY_OF_GOLDEN_TENSORS
#include <torch/csrc/api/include/torch/serialize.h>
#include <torch/script.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

namespace {

constexpr double kTolerance = 1e-5;

c10::Dict<c10::IValue, c10::IValue> read_tensors(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  return torch::pickle_load(bytes).toGenericDict();
}

bool close(const at::Tensor& found, const at::Tensor& expected) {
  return found.sizes() == expected.sizes() && (found - expected).abs().max().item<double>() <=
                                                  kTolerance * expected.abs().max().item<double>();
}

int judge(const std::filesystem::path& file, const std::filesystem::path& golden) {
  torch::jit::Module codec = torch::jit::load(file.string());
  const auto tensors = read_tensors(golden);
  int problems = 0;
  const auto expect = [&](bool holds, const std::string& what) {
    if (holds) return;
    std::cout << file.filename().string() << ": " << what << '\n';
    ++problems;
  };
  for (const std::string prefix : {"", "odd_", "short_"}) {
    const auto at = [&](const char* name) { return tensors.at(prefix + name).toTensor(); };
    const auto coded = codec.get_method("encode")({at("wav")}).toTuple();
    expect(coded->elements()[0].toTensor().equal(at("codes")), prefix + "codes differ");
    const c10::IValue scale = coded->elements()[1];
    const at::Tensor decoded = codec.get_method("decode")({at("codes"), scale}).toTensor();
    expect(close(decoded, at("decoded")), prefix + "decoded differs");
  }
  expect(codec.attr("sample_rate").toInt() > 0, "no sample rate");
  expect(codec.attr("frame_rate").toDouble() > 0, "no frame rate");
  return problems;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const torch::NoGradGuard no_grad;
  int files = 0;
  int problems = 0;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    problems += judge(entry.path(),
                      std::filesystem::path(argv[2]) / (entry.path().stem().string() + ".pt"));
    ++files;
  }
  std::cout << files << " codecs run, " << problems << " problems\n";
  return problems > 0 || files < 7 ? 1 : 0;
}
