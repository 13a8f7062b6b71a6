// What judge_safetensors.py asks of this side:
//   safetensors_peer write DIRECTORY   ours.safetensors: every type of the format, from bytes of
//   the
//                                      file "source"; the same in shards, with an index
//   safetensors_peer rewrite DIRECTORY opens each NAME.in there and writes it again as NAME.out;
//                                      prints NAME and "ok" or the code of the error, a line each
#include <algorithm>
#include <boost/filesystem.hpp>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/checkpoint/safetensors.h"
#include "unit/checkpoint/fake_checkpoint.h"

namespace {

using namespace craftbundle;
using craftbundle::testing::FakeCheckpoint;
using craftbundle::testing::make_tensor;
using craftbundle::testing::pattern;
using craftbundle::testing::write_file;

void write(const std::vector<NamedTensor>& tensors, const SafetensorsMetadata& metadata,
           const Path& target) {
  OutputFile file(target.parent_path(), Durability::no_sync);
  write_safetensors(tensors, metadata, file, {});
  file.publish(target, true);
}

// Twelve elements of each type, as they are and transposed.
std::vector<NamedTensor> all_types(const FakeCheckpoint& source) {
  std::vector<NamedTensor> tensors;
  for (int i = 0; i <= static_cast<int>(DType::float8_e8m0fnu); ++i) {
    const auto dtype = static_cast<DType>(i);
    if (dtype == DType::complex128 || dtype == DType::complex32) continue;
    const std::string type(name(dtype));
    const Storage storage = source.storage(type, dtype, 64, 12 * item_size(dtype));
    tensors.push_back({type, make_tensor(storage, {3, 4}, {4, 1})});
    tensors.push_back({type + ".T", make_tensor(storage, {4, 3}, {1, 4})});
  }
  tensors.push_back(
      {"empty", make_tensor(source.storage("empty", DType::float32, 0, 0), {0, 3}, {3, 1})});
  tensors.push_back({"scalar \u00e9\"\\\n\u0001\u007f",
                     make_tensor(source.storage("scalar", DType::int32, 64, 4), {}, {})});
  return tensors;
}

int write_all(const Path& directory) {
  boost::filesystem::create_directories(directory);
  const auto source = FakeCheckpoint::make(directory / "source", pattern(1024));
  const std::vector<NamedTensor> tensors = all_types(*source);
  write(tensors, {{"format", "pt"}}, directory / "ours.safetensors");
  const ShardPlan plan = plan_shards(tensors, 200, "model");
  for (const ShardPlan::Shard& shard : plan.shards)
    write(shard.tensors, {}, directory / shard.file);
  write_file(directory / plan.index_file, plan.index);
  return 0;
}

int rewrite_all(const Path& directory) {
  std::vector<Path> inputs;
  for (const auto& entry : boost::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".in") inputs.push_back(entry.path());
  }
  std::sort(inputs.begin(), inputs.end());
  for (Path path : inputs) {
    std::string outcome = "ok";
    try {
      const auto file = Safetensors::open(path);
      Path target = path;
      write(file->tensors(), file->metadata(), target.replace_extension(".out"));
    } catch (const Error& error) {
      outcome = error.code();
    }
    std::cout << path.stem().string() << ' ' << outcome << '\n';
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) return 2;
  return std::string(argv[1]) == "write" ? write_all(argv[2]) : rewrite_all(argv[2]);
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
