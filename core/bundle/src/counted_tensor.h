// Counting the elements of tensors while the files that they lie in are read once.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "craftbundle/detail/checkpoint/named_tensor.h"
#include "craftbundle/detail/io/read_through.h"
#include "craftbundle/detail/tensor/convert.h"

namespace craftbundle {

// A stored tensor, or one of those that a joined one is made of.
class CountedPart {
 public:
  explicit CountedPart(Tensor tensor) : tensor_(std::move(tensor)) {}

  const Tensor& tensor() const { return tensor_; }
  const ValueCounts& counts() const { return counts_; }

  // Where its bytes lie in its file; none when they do not lie there one after the other in the
  // byte order of this machine.
  std::optional<FileRange> range() const;

  // The next bytes of its range, however many.
  void add(std::span<const std::byte> bytes);

 private:
  Tensor tensor_;
  ValueCounts counts_;
  std::array<std::byte, 16> element_ = {};  // one that is cut in two
  std::size_t held_ = 0;                    // bytes of it
};

// What of a tensor is stored; nothing of one that is computed.
struct CountedTensor {
  std::string name;
  DType dtype;
  std::vector<CountedPart> parts;
};

std::vector<CountedTensor> counted(const std::vector<NamedTensor>& tensors);

// Counts `parts` in a file that is read through. REQUIRES: each has a range, in that file.
BufferRing::Use count_parts(std::vector<CountedPart*> parts);

}  // namespace craftbundle
