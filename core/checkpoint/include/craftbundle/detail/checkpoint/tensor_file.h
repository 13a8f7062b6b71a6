// Tensors whose bytes are still in a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/tensor/dtype.h"
#include "craftbundle/detail/tensor/layout.h"

namespace CRAFTBUNDLE_API craftbundle {

struct Storage;

// A file that holds storages, whatever its format.
//
// Thread: all const functions may be called concurrently.
class TensorFile : public std::enable_shared_from_this<TensorFile> {
 public:
  virtual ~TensorFile() = default;

  virtual const InputFile& file() const = 0;

  // Reads [offset, offset + buffer.size()) of `storage`, in bytes, in the machine's byte order.
  // Does not check the CRC (a part has none). REQUIRES: a storage of this file; inside
  // storage.bytes, and when the storage is swapped, offset and size are multiples of
  // swap_size(dtype).
  virtual void read(const Storage& storage, std::uint64_t offset,
                    std::span<std::byte> buffer) const = 0;

 protected:
  TensorFile() = default;
};

// A run of bytes in a file. Two tensors alias when their storages are equal.
struct Storage {
  std::shared_ptr<const TensorFile> owner;  // keeps the file open
  std::string key;  // unique in the file; in a checkpoint "0", "1", ...: the record is data/<key>
  DType dtype = DType::float32;  // type of the storage class; elements below count in it
  std::uint64_t elements = 0;
  std::uint64_t file_offset = 0;  // of the first byte, in the file; unless deflated
  std::uint64_t bytes = 0;        // == elements * item_size(dtype)
  bool swapped = false;           // byte order of the file is foreign to this machine
  // A zip tool compressed it: only TensorFile::read() gives its bytes. Never together with swapped.
  bool deflated = false;
  std::optional<std::uint32_t> crc;  // nullopt: the format has none, or its writer computed none

  friend bool operator==(const Storage& a, const Storage& b) {
    return a.owner == b.owner && a.key == b.key;
  }
};

// Where computations get the bytes of storages from, for whoever wants to see them pass.
class StorageReader {
 public:
  virtual ~StorageReader() = default;
  // As TensorFile::read().
  virtual void read(const Storage& storage, std::uint64_t offset, std::span<std::byte> buffer) {
    storage.owner->read(storage, offset, buffer);
  }
};

// A checked tensor: its layout lies inside its storage, which lies inside its file. Bytes stay in
// the file until they are written.
struct Tensor {
  DType dtype = DType::float32;
  TensorLayout layout;  // in elements of dtype
  Storage storage;
  bool requires_grad = false;
  bool is_parameter = false;  // was a torch.nn.Parameter
};

// Tensors one after the other along the first dimension, as one tensor: what torch.cat(parts)
// gives. Written as its parts are, one after the other; nothing is computed. Made by join().
struct JoinedTensor {
  DType dtype = DType::float32;
  std::vector<std::int64_t> shape;
  std::vector<Tensor> parts;
};

// Throws Error(input, "tensor.shape", "tensor.dtype") for parts that do not fit together: all have
// the type of the first, at least one dimension, and its shape but for the first dimension.
// REQUIRES: at least one part.
JoinedTensor join(std::vector<Tensor> parts);

// The rows [first, first + count) of `tensor`, in the same storage: what tensor[first:first +
// count] gives. Throws Error(input, "tensor.rows") when it does not have these.
Tensor rows(const Tensor& tensor, std::int64_t first, std::int64_t count);

// Error(input, "tensor.rows").
Error no_such_rows(const std::vector<std::int64_t>& shape, std::int64_t first, std::int64_t count);

}  // namespace craftbundle
