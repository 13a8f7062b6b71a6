// Files in the safetensors format: a JSON header, then the tensors back to back.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/checkpoint/named_tensor.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/checkpoint/tensor_file.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/io/output_file.h"
#include "craftbundle/detail/io/path.h"

namespace CRAFTBUNDLE_API craftbundle {

// The free text of a file, "__metadata__" in its header.
using SafetensorsMetadata = std::map<std::string, std::string>;

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
  // header, padding other than spaces; types that DType lacks (F4, F6_*), by name; and what goes
  // beyond limits.h. Throws Error(input, "safetensors.*"); messages begin with the path.
  static std::shared_ptr<const Safetensors> open(const Path& path);

  const InputFile& file() const override { return file_; }
  void read(const Storage& storage, std::uint64_t offset,
            std::span<std::byte> buffer) const override;

  // In the order in which they lie in the file, whatever the order of the header.
  std::vector<NamedTensor> tensors() const;
  // "__metadata__"; empty when the file has none.
  const SafetensorsMetadata& metadata() const { return metadata_; }

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
  SafetensorsMetadata metadata_;
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

// Size of the file that write_safetensors would write, in bytes. Throws as write_safetensors() does
// for tensors that the format cannot hold.
std::uint64_t safetensors_size(const std::vector<NamedTensor>& tensors,
                               const SafetensorsMetadata& metadata);

// What write_safetensors would copy from their files as it is.
std::vector<OutputFile::Copied> safetensors_copied(const std::vector<NamedTensor>& tensors,
                                                   const SafetensorsMetadata& metadata);

// Appends `tensors` to `file` as a safetensors file. REQUIRES: file.size() == 0.
//
// * The bytes are those of the reference implementation: compact header, padded with spaces to a
//   multiple of 8 bytes; types of large alignment first, tensors of one type by name. `metadata` is
//   sorted, and left out when empty. The same tensors give the same bytes, in whatever order.
// * Where at least half of the bytes can lie alike in blocks (kBlockSize) in their file and in this
//   one, which takes up to 4 KiB of further spaces, they do, so that file systems can share them:
//   of tensors that come from another safetensors file in the same order, or whose sizes are
//   multiples of a block.
// * The format knows neither strides nor sharing: tensors that are not contiguous are written so,
//   and tensors that share a storage (tied weights) are written each for itself.
// * Foreign byte order is swapped; the result is little-endian.
// * Bytes are streamed from their files, large runs by the kernel. Each source record that has a
//   CRC-32 is read and checked whole, as write_package() does, and throws as it does.
// * Memory: below 16 MiB plus the header.
// Throws Error(input): "safetensors.dtype" for types that the format lacks (complex128, complex32),
// "safetensors.name" for names that are not UTF-8, appear twice or are "__metadata__",
// "safetensors.header_size".
WriteSummary write_safetensors(const std::vector<NamedTensor>& tensors,
                               const SafetensorsMetadata& metadata, OutputFile& file,
                               const WriteOptions& options);

// A model in several files.
struct ShardPlan {
  struct Shard {
    std::string file;  // "<stem>-00001-of-00003.safetensors"
    std::vector<NamedTensor> tensors;
  };
  std::vector<Shard> shards;
  std::string index_file;  // "<stem>.safetensors.index.json"; empty when there is one shard only
  std::string index;       // its text
};

// Shares out `tensors`, in their order, over files of at most `max_bytes` of tensor data, by the
// convention of libraries that load shards: a tensor that is larger gets a file of its own, and the
// index names the file of each tensor. A single file is called "<stem>.safetensors" and has none.
ShardPlan plan_shards(const std::vector<NamedTensor>& tensors, std::uint64_t max_bytes,
                      std::string_view stem);

}  // namespace craftbundle
