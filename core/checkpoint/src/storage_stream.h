// The bytes of tensors on their way from their files into a new one, checked as they pass. What is
// around them, a zip archive or a header, is not known here.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "appender.h"
#include "craftbundle/detail/checkpoint/elements.h"
#include "craftbundle/detail/checkpoint/tensor_file.h"
#include "verifier.h"

namespace craftbundle {

// A half-open range of bytes of a storage.
struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;

  std::uint64_t size() const { return end - begin; }
};

// Parts of a storage, back to back; ascending, apart from each other, none empty.
struct StoredBytes {
  Storage source;
  std::vector<ByteRange> used;
};

// The elements of a tensor that is not contiguous, in row-major order.
struct GatheredTensor {
  Tensor tensor;
};

// What is written in one go, little-endian, one after the other.
using Piece = std::variant<StoredBytes, GatheredTensor, ComputedTensor>;
using Pieces = std::vector<Piece>;

// The elements of a tensor in row-major order without gaps. Throws Error(internal,
// "package.tensor") for a tensor that does not lie in its storage.
Pieces pieces_of(const Tensor& tensor);
Pieces pieces_of(const ComputedTensor& tensor);
Pieces pieces_of(const JoinedTensor& tensor);

std::uint64_t size_of(const Pieces& pieces);

// Whether append() also says the CRC-32 of what it appended. Without, more can be left to the
// kernel.
enum class Checksums { none, wanted };

// What of `pieces` goes from file to file as it is, when their first byte is written at `place`:
// what is large, has no other form in its file, and a CRC-32 that is known where it is wanted.
std::vector<OutputFile::Copied> copied_parts(const Pieces& pieces, Checksums checksums,
                                             std::uint64_t place);

// Bytes of its storage that `tensor` reaches. Throws as pieces_of().
ByteRange reached_bytes(const Tensor& tensor);

// Every source record that has a CRC-32 is checked against it, once and whole, however few of its
// bytes are used and however often: on the way when it passes through here exactly once or only
// computations read it, else on a thread beside. With ContentCheck::structure none is checked, and
// the CRC-32 of a record that is written as it is stays what it was, so that damage still shows.
class StorageStream {
 public:
  // `all` is what append() will be called with. Begins to check what is checked beside. Everything
  // must outlive the object.
  StorageStream(const std::vector<const Pieces*>& all, Checksums checksums, ContentCheck check,
                Appender& out);

  // Returns the CRC-32 of what was appended, 0 when it is not wanted. Throws Error(input,
  // "zip.crc", "tensor.range", "io.*").
  std::uint32_t append(const Pieces& pieces);

  // Whether something is wrong with a source that is checked beside; finish() says what.
  bool failed() const { return verifier_->failed(); }

  // Waits for the checks. Throws Error(input, "zip.crc") when one fails, and "io.changed" when a
  // source changed meanwhile: a copy of two versions of a file is none of either.
  void finish();

 private:
  struct Source {
    Storage storage;
    std::size_t passes = 0;       // through StoredBytes
    bool is_read_beside = false;  // by the kernel or Gather
    bool is_computed_with = false;
    // Of what computations have read, from the beginning on without a gap.
    std::uint64_t summed = 0;
    std::uint32_t crc = 0;
  };

  // Sums up what computations read.
  class Reads final : public StorageReader {
   public:
    explicit Reads(StorageStream& stream) : stream_(stream) {}
    void read(const Storage& storage, std::uint64_t offset, std::span<std::byte> buffer) override;

   private:
    StorageStream& stream_;
  };
  using Key = std::pair<const TensorFile*, std::string>;

  static Key key_of(const Storage& storage) { return {storage.owner.get(), storage.key}; }
  Source& source(const Storage& storage);
  void note(const Pieces& pieces);
  bool is_summed(const Source& source) const;
  void sum(Source& source, std::span<const std::byte> next);
  void sum_rest();
  bool is_left_to_kernel(const StoredBytes& stored, const Pieces& pieces) const;
  std::uint32_t append_stored(const StoredBytes& stored, const Pieces& pieces, std::uint32_t crc);
  std::uint32_t append_gathered(const Tensor& tensor, std::uint32_t crc);
  std::uint32_t append_computed(const ComputedTensor& tensor, std::uint32_t crc);

  Checksums checksums_;
  ContentCheck check_;
  Appender& out_;
  std::vector<Source> sources_;  // in the order of use
  std::map<Key, std::size_t> numbers_;
  std::optional<Verifier> verifier_;
  Reads reads_{*this};
};

}  // namespace craftbundle
