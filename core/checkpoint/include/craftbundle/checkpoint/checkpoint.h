// Reading a file written by torch.save.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/checkpoint/object.h"
#include "craftbundle/io/input_file.h"
#include "craftbundle/io/path.h"
#include "craftbundle/tensor/dtype.h"
#include "craftbundle/tensor/layout.h"

namespace craftbundle {

class Checkpoint;

// A storage of a checkpoint: a run of bytes in the file. Two tensors alias when their storages are
// equal.
struct Storage {
  std::shared_ptr<const Checkpoint> checkpoint;  // keeps the file open
  std::string key;                               // "0", "1", ...: the record is data/<key>
  DType dtype = DType::float32;  // type of the storage class; elements below count in it
  std::uint64_t elements = 0;
  std::uint64_t file_offset = 0;  // of the first byte, in the file; unless deflated
  std::uint64_t bytes = 0;        // == elements * item_size(dtype)
  bool swapped = false;           // byte order of the file is foreign to this machine
  // A zip tool compressed it: only Checkpoint::read() gives its bytes. Never together with swapped.
  bool deflated = false;
  std::optional<std::uint32_t> crc;  // nullopt: not computed by the writer

  friend bool operator==(const Storage& a, const Storage& b) {
    return a.checkpoint == b.checkpoint && a.key == b.key;
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

// What the file is, for reports.
struct CheckpointFormat {
  enum class Container { zip, legacy };
  Container container = Container::zip;
  std::string archive_name;  // common first part of the record names ("archive"); zip only
  int pickle_protocol = 2;
  bool big_endian = false;
  std::uint64_t records = 0;  // zip only
  std::vector<std::string>
      notes;  // oddities that are no reason to refuse ("3 bytes after the archive")
};

// A record of the container, or of the legacy layout's storage list.
struct RecordInfo {
  std::string name;  // without the archive name: "data.pkl", "data/0", "version"
  std::uint64_t size = 0;
};

// A checkpoint whose container and pickle were read and checked; storages are checked when a tensor
// is asked for, and their bytes when they are read. Memory is proportional to the pickle.
//
// Thread: all const functions may be called concurrently.
class Checkpoint : public std::enable_shared_from_this<Checkpoint> {
 public:
  // Opens and parses `path`. Throws Error(input) for anything that is no sound checkpoint:
  // "format.*" (unknown, torchscript, tar, ...), "zip.*", "pickle.*", "limit.*" as listed in
  // docs/checkpoint_safety.md; messages begin with the path. Files of other kinds that people
  // confuse with checkpoints (safetensors, tar, TorchScript, JSON, text, HTML, git-lfs pointers)
  // are refused by name with what to do instead.
  static std::shared_ptr<const Checkpoint> open(const Path& path);

  virtual ~Checkpoint() = default;

  virtual const InputFile& file() const = 0;
  virtual const CheckpointFormat& format() const = 0;
  virtual Object root() const = 0;
  virtual const std::vector<GlobalReference>& globals() const = 0;
  virtual const std::vector<RecordInfo>& records() const = 0;

  // Whether `object` is a call that rebuilds a tensor or parameter (of any kind, also refused
  // ones).
  static bool is_tensor(Object object);

  // The tensor that `object` describes, all numbers checked. Accepts _rebuild_tensor,
  // _rebuild_tensor_v2, _rebuild_tensor_v3, _rebuild_parameter(_with_state). Throws Error(input):
  // "tensor.*"; quantized, sparse, nested, meta and wrapper-subclass tensors are refused by name.
  virtual Tensor tensor(Object object) const = 0;

  // Reads [offset, offset + buffer.size()) of `storage`, in bytes, in the machine's byte order.
  // Does not check the CRC (a part has none). REQUIRES: inside storage.bytes, and when the storage
  // is swapped, offset and size are multiples of swap_size(dtype).
  virtual void read(const Storage& storage, std::uint64_t offset,
                    std::span<std::byte> buffer) const = 0;

 protected:
  Checkpoint() = default;
};

}  // namespace craftbundle
