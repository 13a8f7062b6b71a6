#include <algorithm>
#include <map>
#include <span>
#include <string>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/checkpoint/safetensors.h"
#include "craftbundle/detail/tensor/layout.h"
#include "fuzz_target.h"
#include "safetensors_format.h"
#include "support/temporary_directory.h"

namespace {

using namespace craftbundle;

void require(bool condition) {
  if (!condition) __builtin_trap();
}

// What was opened lies in the file behind the header, each byte of it in one tensor.
void check_tensors(const Safetensors& file) {
  std::uint64_t bytes = 0;
  for (const NamedTensor& named : file.tensors()) {
    const Tensor& tensor = std::get<Tensor>(named.tensor);
    const auto used = used_range(tensor.layout);
    require(used && used->end <= tensor.storage.elements && is_contiguous(tensor.layout));
    require(tensor.storage.file_offset <= file.file().size());
    require(tensor.storage.bytes <= file.file().size() - tensor.storage.file_offset);
    bytes += tensor.storage.bytes;
  }
  require(bytes < file.file().size());
}

std::string content(const NamedTensor& named) {
  const Storage& storage = std::get<Tensor>(named.tensor).storage;
  std::string bytes(storage.bytes, '\0');
  storage.owner->read(storage, 0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

std::map<std::string, NamedTensor> by_name(const Safetensors& file) {
  std::map<std::string, NamedTensor> result;
  for (NamedTensor& tensor : file.tensors()) require(result.emplace(tensor.name, tensor).second);
  return result;
}

// In whatever order.
bool have_same_tensors(const Safetensors& a, const Safetensors& b) {
  const auto left = by_name(a);
  const auto right = by_name(b);
  return std::equal(
      left.begin(), left.end(), right.begin(), right.end(), [](const auto& x, const auto& y) {
        return x.first == y.first && x.second.dtype() == y.second.dtype() &&
               x.second.shape() == y.second.shape() && content(x.second) == content(y.second);
      });
}

Path write(const Safetensors& file, const testing::TemporaryDirectory& directory,
           std::string_view name) {
  OutputFile out(directory.path(), Durability::no_sync);
  write_safetensors(file.tensors(), file.metadata(), out, {});
  require(out.size() == safetensors_size(file.tensors(), file.metadata()));
  out.publish(directory / name, true);
  return directory / name;
}

// What opens can be written, opens again with the same tensors, and is written as the same bytes.
void check_round_trip(const Safetensors& file) {
  static const testing::TemporaryDirectory directory;
  const Path once = write(file, directory, "once");
  const auto again = Safetensors::open(once);
  require(have_same_tensors(file, *again) && file.metadata() == again->metadata());
  require(testing::read_file(write(*again, directory, "twice")) == testing::read_file(once));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const testing::MemoryFile memory({data, size});
  std::shared_ptr<const Safetensors> file;
  try {
    file = Safetensors::open(memory.path());
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::input && error.code().starts_with("safetensors."));
  }
  if (file != nullptr) {
    check_tensors(*file);
    check_round_trip(*file);
  }
  try {
    parse_safetensors_index({reinterpret_cast<const char*>(data), size});
  } catch (const Error&) {
  }
  return 0;
}
