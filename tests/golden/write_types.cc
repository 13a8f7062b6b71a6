// Writes packages with every kind of value and tensor for judge_types.py, which knows what is in
// them:
//   write_types DIRECTORY
// typed.bin holds the types that have a storage class, untyped.bin those only PyTorch >= 2.1 can
// read. Every tensor is a view of elements 4 to 9 of a storage whose bytes are 64 to 543 of the
// file "source"; its twin "<name>.T" shares the storage and is transposed.
#include <boost/filesystem.hpp>

#include <cstdint>
#include <iostream>
#include <string>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "unit/checkpoint/fake_checkpoint.h"

namespace {

using namespace craftbundle;
using craftbundle::testing::FakeCheckpoint;
using craftbundle::testing::make_tensor;
using craftbundle::testing::pattern;

void add_twins(Value::Dict& package, const FakeCheckpoint& source, DType dtype) {
  const std::string type(name(dtype));
  Storage storage = source.storage(type, dtype, 64, 480);
  if (storage_class(dtype).empty()) {
    storage.dtype = DType::uint8;
    storage.elements = storage.bytes;
  }
  Tensor tensor = make_tensor(storage, {3, 2}, {2, 1}, 4);
  tensor.dtype = dtype;
  package.emplace_back(type, tensor);
  tensor.layout = {{2, 3}, {1, 2}, 4};
  tensor.requires_grad = dtype == DType::float32;
  package.emplace_back(type + ".T", tensor);
}

Value::Dict other_values(const FakeCheckpoint& source) {
  return {{"empty", make_tensor(source.storage("empty", DType::float32, 0, 0), {0, 3}, {3, 1})},
          {"scalar", make_tensor(source.storage("scalar", DType::int32, 64, 4), {}, {})},
          {"one", Value::Dict{{"item", Value::List{Value()}}}},
          {"integers", Value::List{std::int64_t{0}, std::int64_t{255}, std::int64_t{65535},
                                   std::int64_t{65536}, std::int64_t{-1}, std::int64_t{1} << 31,
                                   -(std::int64_t{1} << 40), INT64_MIN}},
          {"text \u00e9", "\u65e5\u672c\n"},
          {"flags", Value::List{true, false}},
          {"nothing", Value::List{Value::Dict{}, Value::List{}}}};
}

void write(const Value& package, const Path& target) {
  OutputFile file(target.parent_path(), Durability::no_sync);
  write_package(package, file, {});
  file.publish(target, true);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) return 2;
  const Path directory(argv[1]);
  boost::filesystem::create_directories(directory);
  const auto source = FakeCheckpoint::make(directory / "source", pattern(1024));
  Value::Dict typed = other_values(*source);
  Value::Dict untyped = {{"number", 0.1}};
  for (int i = 0; i <= static_cast<int>(DType::float8_e8m0fnu); ++i) {
    const auto dtype = static_cast<DType>(i);
    add_twins(storage_class(dtype).empty() ? untyped : typed, *source, dtype);
  }
  write(typed, directory / "typed.bin");
  write(untyped, directory / "untyped.bin");
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
