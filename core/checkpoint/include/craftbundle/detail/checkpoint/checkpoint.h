// Reading a file written by torch.save.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/checkpoint/object.h"
#include "craftbundle/detail/checkpoint/tensor_file.h"
#include "craftbundle/detail/io/path.h"

namespace CRAFTBUNDLE_API craftbundle {

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
class Checkpoint : public TensorFile {
 public:
  // Opens and parses `path`. Throws Error(input) for anything that is no sound checkpoint:
  // "format.*" (unknown, torchscript, tar, ...), "zip.*", "pickle.*", "limit.*" as listed in
  // docs/checkpoint_safety.md; messages begin with the path. Files of other kinds that people
  // confuse with checkpoints (safetensors, tar, TorchScript, JSON, text, HTML, git-lfs pointers)
  // are refused by name with what to do instead.
  static std::shared_ptr<const Checkpoint> open(const Path& path);

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

 protected:
  Checkpoint() = default;
};

}  // namespace craftbundle
