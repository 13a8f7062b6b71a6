// A checkpoint without a pickle: storages over a plain file, for tests of the writer.
#pragma once

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "craftbundle/detail/io/crc32.h"
#include "support/temporary_directory.h"

namespace craftbundle::testing {

class FakeCheckpoint final : public Checkpoint {
 public:
  // The whole file is `content`.
  static std::shared_ptr<const FakeCheckpoint> make(const Path& path, std::string_view content) {
    write_file(path, content);
    return open(path);
  }

  // The file as it is.
  static std::shared_ptr<const FakeCheckpoint> open(const Path& path) {
    return std::shared_ptr<const FakeCheckpoint>(new FakeCheckpoint(path));
  }

  // The bytes [offset, offset + bytes) as a storage, with their right CRC-32.
  Storage storage(std::string key, DType dtype, std::uint64_t offset, std::uint64_t bytes) const {
    Storage result;
    result.owner = shared_from_this();
    result.key = std::move(key);
    result.dtype = dtype;
    result.elements = bytes / item_size(dtype);
    result.file_offset = offset;
    result.bytes = bytes;
    const std::string content = file_.read_text(offset, bytes);
    result.crc = crc32(0, std::as_bytes(std::span(content)));
    return result;
  }

  const InputFile& file() const override { return file_; }
  const CheckpointFormat& format() const override { throw std::logic_error("not for this test"); }
  Object root() const override { throw std::logic_error("not for this test"); }
  const std::vector<GlobalReference>& globals() const override {
    throw std::logic_error("not for this test");
  }
  const std::vector<RecordInfo>& records() const override {
    throw std::logic_error("not for this test");
  }
  Tensor tensor(Object) const override { throw std::logic_error("not for this test"); }
  void read(const Storage& storage, std::uint64_t offset,
            std::span<std::byte> buffer) const override {
    file_.read(storage.file_offset + offset, buffer);
    bytes_read_ += buffer.size();
  }
  // By read(), so far.
  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  explicit FakeCheckpoint(const Path& path) : file_(path) {}

  InputFile file_;
  mutable std::atomic<std::uint64_t> bytes_read_ = 0;
};

inline Tensor make_tensor(Storage storage, std::vector<std::int64_t> shape,
                          std::vector<std::int64_t> strides, std::int64_t offset = 0) {
  Tensor tensor;
  tensor.dtype = storage.dtype;
  tensor.layout = {std::move(shape), std::move(strides), offset};
  tensor.storage = std::move(storage);
  return tensor;
}

// All of `storage` as one dimension.
inline Tensor make_tensor(const Storage& storage) {
  return make_tensor(storage, {static_cast<std::int64_t>(storage.elements)}, {1});
}

// Numbers as the bytes of a file.
template <typename T>
std::string raw(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}

// `size` bytes that differ from place to place.
inline std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

}  // namespace craftbundle::testing
