// Tensors that are not contiguous, in row-major order, without holding them in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "craftbundle/detail/checkpoint/tensor_file.h"

namespace craftbundle {

// The elements come in blocks. The part of the storage that a block lies in is read at once when it
// is not much larger than the block, else run by run of elements that lie together there.
class Gather {
 public:
  static constexpr std::uint64_t kBlockBytes = 4 << 20;

  // Memory: three times `block_bytes`. REQUIRES: `tensor` has elements and outlives the object; an
  // element fits a block.
  explicit Gather(const Tensor& tensor, std::uint64_t block_bytes = kBlockBytes);

  // The bytes of the next elements, in the machine's byte order, valid until the next call; none at
  // the end.
  std::span<const std::byte> next();

 private:
  TensorLayout next_box();
  void read_at_once(const TensorLayout& box);
  void read_runs(const TensorLayout& box);
  void read(std::uint64_t first, std::uint64_t count);

  const Tensor& tensor_;
  std::size_t size_;  // of an element
  std::uint64_t block_bytes_;
  std::size_t whole_from_;           // dimensions from here on are whole in each block
  std::int64_t rows_ = 1;            // of the dimension before, in a block
  std::vector<std::int64_t> index_;  // of the next block, in the dimensions before whole_from_
  bool done_ = false;
  std::vector<std::byte> source_;
  std::vector<std::byte> block_;
};

}  // namespace craftbundle
