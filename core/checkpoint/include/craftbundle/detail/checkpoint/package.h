// Writing a file that torch.load reads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "craftbundle/detail/checkpoint/elements.h"
#include "craftbundle/detail/io/output_file.h"

namespace CRAFTBUNDLE_API craftbundle {

// What a package can hold: exactly what PyTorch's weights_only loader and LibTorch both read.
// A value type; copying copies text and tensor descriptions, never tensor data.
class Value {
 public:
  using List = std::vector<Value>;
  using Dict = std::vector<std::pair<std::string, Value>>;  // insertion order; keys are unique

  Value() = default;  // None
  // NOLINTBEGIN(google-explicit-constructor): packages are written down as braced lists of values.
  Value(bool value) : data_(value) {}
  Value(std::int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::string value) : data_(std::move(value)) {}
  Value(const char* value) : data_(std::string(value)) {}
  Value(List value) : data_(std::move(value)) {}
  Value(Dict value) : data_(std::move(value)) {}
  Value(Tensor value) : data_(std::move(value)) {}
  Value(ComputedTensor value) : data_(std::move(value)) {}
  Value(JoinedTensor value) : data_(std::move(value)) {}
  // NOLINTEND(google-explicit-constructor)

  template <typename T>
  const T* get_if() const {
    return std::get_if<T>(&data_);
  }

  // Dict: the value under `key`, or nullptr.
  const Value* find(std::string_view key) const;

  // Calls `visitor` with the alternative held (std::monostate for None).
  template <typename Visitor>
  decltype(auto) visit(Visitor&& visitor) const {
    return std::visit(std::forward<Visitor>(visitor), data_);
  }

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Dict, Tensor,
               ComputedTensor, JoinedTensor>
      data_;
};

// The elements of a Tensor, ComputedTensor or JoinedTensor, rounded as they will be written;
// nullptr for any other value. Throws as elements_of().
ElementsPtr elements_of(const Value& value);

// The inert object as a value. Throws Error(input, "package.*" or "tensor.*") naming the place when
// it holds anything but None, bool, int64, float, str, list, tuple (becomes a list), dict with
// distinct string keys, and tensors; when it nests deeper than limits::kExportedDepth; or when it
// contains itself. `where` is the place for messages ("['best_state']").
Value to_value(Object object, const Checkpoint& checkpoint, std::string_view where);

// What of the files that something is made from is held against their record tables.
enum class ContentCheck {
  crc,        // every byte
  structure,  // nothing that would have to be read for that alone: CRC-32s are taken as they stand
};

struct WriteOptions {
  std::string task;  // name for progress, for example the name of a file
  Sink* sink = &Sink::none();
  const Cancellation* cancellation = &Cancellation::never();
  ContentCheck check = ContentCheck::crc;
};

// What was written, for reports and manifests.
struct WriteSummary {
  std::uint64_t bytes = 0;  // of the file
  std::uint64_t tensors = 0;
  std::uint64_t storages = 0;
  std::uint64_t data_bytes = 0;       // of all storages written
  std::uint64_t compacted_bytes = 0;  // of source storages that no tensor uses, left out
  std::uint64_t shared_bytes = 0;     // that lie in the same blocks on the disk as in the sources
};

// Size of the file that write_package would write, in bytes.
std::uint64_t package_size(const Value& root);

// Appends `root` to `file` as a zip archive that torch.load (1.6 to today; weights_only, mmap) and
// LibTorch read. REQUIRES: file.size() == 0.
//
// * Storages are streamed from their source files: memory does not depend on their size.
// * Each source record that is used whole is checked against its CRC-32 on the way; a mismatch
//   throws Error(input, "zip.crc") naming record and file. Records used in part are read and
//   checked whole as well.
// * A storage that tensors use only in part is written compacted: the used element ranges back to
//   back, offsets adjusted, strides kept. Tensors that share a storage share one in the result.
// * The same value gives the same bytes: no times, no names of files, storages numbered by first
//   use. Large storages that are written as they lie in their file lie alike in blocks there and
//   here (kBlockSize), whether the file system can share these or not.
// * Foreign byte order is swapped; the result is little-endian.
// * Computed tensors are computed piece by piece and written contiguous. What they are made from is
//   checked as well.
// * Joined tensors are written contiguous, part after part.
// * Memory: below 16 MiB plus the pickle.
// Throws Error(interrupted) on cancellation, and Error(input, "tensor.range") when a computed
// element is too large for its type; `file` then holds a part and must be dropped.
WriteSummary write_package(const Value& root, OutputFile& file, const WriteOptions& options);

}  // namespace craftbundle
