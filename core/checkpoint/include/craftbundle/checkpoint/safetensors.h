// Files in the safetensors format: a JSON header, then the tensors back to back.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/checkpoint/named_tensor.h"
#include "craftbundle/checkpoint/tensor_file.h"
#include "craftbundle/io/input_file.h"
#include "craftbundle/io/path.h"

namespace craftbundle {

// A safetensors file whose header was read and checked. Its tensors are contiguous, each in a
// storage of its own whose key is the tensor's name; the format has no checksums. No byte of a
// tensor is read before it is asked for; memory is proportional to the header.
//
// Thread: all const functions may be called concurrently.
class Safetensors final : public TensorFile {
 public:
  // Opens `path`; symbolic links are followed. Refused is what the reference implementation (the
  // Rust crate) refuses: headers beyond 100 MB, offsets with holes, overlaps or an end that is not
  // the end of the file, sizes that differ from shape and type, shapes that overflow. Refused are
  // also things which that one passes over and the format forbids or does not know: keys that
  // appear twice, fields other than dtype, shape and data_offsets, white space in front of the
  // header, padding other than spaces; and types that DType lacks (F4, F6_*), by name. Throws
  // Error(input, "safetensors.*"); messages begin with the path.
  static std::shared_ptr<const Safetensors> open(const Path& path);

  const InputFile& file() const override { return file_; }
  void read(const Storage& storage, std::uint64_t offset,
            std::span<std::byte> buffer) const override;

  // In the order in which they lie in the file, whatever the order of the header.
  std::vector<NamedTensor> tensors() const;
  // "__metadata__"; empty when the file has none.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  struct Entry {
    std::string name;
    DType dtype = DType::float32;
    std::vector<std::int64_t> shape;
    std::uint64_t elements = 0;
    std::uint64_t file_offset = 0;
    std::uint64_t bytes = 0;
  };

  explicit Safetensors(const Path& path);

  InputFile file_;
  std::vector<Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

// The tensors of a model in one or several files. `tensors` keep the files open.
struct SafetensorsModel {
  std::vector<std::shared_ptr<const Safetensors>> files;  // sorted by name
  std::vector<NamedTensor> tensors;                       // file by file
};

// Opens all files that `index` ("model.safetensors.index.json") names, which lie beside it (hub
// caches have symbolic links there, which are followed). Every tensor must be in the file that the
// index gives for it, and no file may have others. Throws Error(input, "safetensors.*"): also for
// file names that are no plain names. Throws as Safetensors::open() for the files.
SafetensorsModel open_safetensors_index(const Path& index);

}  // namespace craftbundle
