// Tensors whose elements are computed when they are asked for.
//
// An exporter that casts, folds or averages weights describes what is to be computed, and the
// writer of the package asks for the elements piece by piece: memory does not depend on the size of
// a tensor or a file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/checkpoint/tensor_file.h"
#include "craftbundle/detail/tensor/dtype.h"

namespace CRAFTBUNDLE_API craftbundle {

// The elements of a tensor as numbers, in row-major order. Immutable; keeps its files open.
//
// Thread: all functions may be called concurrently.
class Elements {
 public:
  virtual ~Elements() = default;
  virtual const std::vector<std::int64_t>& shape() const = 0;
  // Type in which all elements are exact, or nearly so.
  virtual DType dtype() const = 0;
  // Elements [first, first + out.size()), made of what `from` reads. Throws what it throws.
  // REQUIRES: in range.
  virtual void read(std::uint64_t first, std::span<double> out, StorageReader& from) const = 0;
  // The same, rounded as encode() rounds to `dtype`: for types that it can round to without the
  // way over numbers. REQUIRES: is_convertible(dtype); a multiple of item_size(dtype) bytes.
  virtual void read_as(DType dtype, std::uint64_t first, std::span<std::byte> out,
                       StorageReader& from) const;
  // What is read, so that whoever reads all of it can check the bytes.
  virtual std::vector<Storage> sources() const = 0;

  // As read(), from the files.
  void read(std::uint64_t first, std::span<double> out) const;

  std::uint64_t size() const;
};

using ElementsPtr = std::shared_ptr<const Elements>;

// The elements of a tensor as they are. Those of a tensor that is not contiguous are gathered: its
// part of the storage stays in memory from the first read() until one that reaches the end. Throws
// Error(input, "tensor.elements") for types that are no numbers (is_convertible()).
ElementsPtr elements_of(const Tensor& tensor);

// The elements of the parts, one after the other. Throws as for a tensor.
ElementsPtr elements_of(const JoinedTensor& tensor);

// Mean of each element, computed in float64. All have the shape of the first; throws Error(input,
// "tensor.shape") otherwise. REQUIRES: at least one.
ElementsPtr average(std::vector<ElementsPtr> parts);

// The weight that torch.nn.utils.weight_norm (dim=0) makes of its two parameters: direction * g /
// norm of each slice direction[i]. `g` is [n, 1, 1...], n the first size of `direction`, which has
// elements. Throws Error(input, "tensor.shape") otherwise. The squares of a slice are summed up in
// float64, in order. `g` is read when it is first needed: 8 n bytes.
ElementsPtr fold_weight_norm(ElementsPtr g, ElementsPtr direction);

// The norms that torch.nn.utils.weight_norm (dim=0) keeps as `weight_g`: of each slice weight[i],
// as [n, 1, 1...]. With the weight as direction, fold_weight_norm() gives it back. Throws
// Error(input, "tensor.shape") for a weight without elements.
ElementsPtr slice_norms(ElementsPtr weight);

// The weight that torch.nn.utils.spectral_norm makes of its parameter and its two buffers outside
// of training: original / (u . W v), W being `original` with the dimension `dim` first and the
// others flattened. Throws Error(input, "tensor.shape") when sizes do not fit.
ElementsPtr fold_spectral_norm(ElementsPtr original, ElementsPtr u, ElementsPtr v, int dim);

// weight[i] * scale[i] for each row i, as a layer scale (a vector) behind a linear layer does it.
// Throws Error(input, "tensor.shape") unless `scale` has a number for each row.
ElementsPtr scale_rows(ElementsPtr weight, ElementsPtr scale);

// What a low-rank adapter adds to some rows of a weight: scaling * (left . right).
struct LowRank {
  ElementsPtr left;  // [rows, rank, 1...]: PEFT's lora_B
  // [rank, ...], as many columns as a row of the weight has: lora_A. Null: `left` is a vector.
  ElementsPtr right;
  double scaling = 1;
  std::int64_t first_row = 0;
  // `left` is [rank, rows] and `right` [columns, rank], as PEFT keeps those of embeddings.
  bool transposed = false;
  // Type to which it is rounded before it is added.
  std::optional<DType> rounded = std::nullopt;
  // DoRA: each row of the sum is scaled to the norm that stands here. May be null.
  ElementsPtr magnitude = nullptr;
};

// `base` plus all of `parts`, which add to rows of their own. Computed in float32 as PyTorch does
// it on a CPU: each element of a product is summed up by fused multiply-adds in the order of the
// rank, which gives the bits of its sgemm for ranks up to 192, and differs by some 1e-6 of the
// magnitudes that are added beyond. The norms of DoRA are computed in float64 and rounded. A base
// of float64 is added to in float64. The factors of a part stay in memory from the first read() of
// its rows until one that reaches their end. Throws Error(input, "tensor.shape") when sizes do not
// fit.
ElementsPtr add_low_rank(ElementsPtr base, std::vector<LowRank> parts);

// What weight[first:first + count] and torch.cat(parts) give. Throw as rows() and join() of
// tensors. REQUIRES: at least one part.
ElementsPtr rows(ElementsPtr elements, std::int64_t first, std::int64_t count);
ElementsPtr join(std::vector<ElementsPtr> parts);

// A tensor to write: `elements` rounded to `dtype`. Those that share `elements` and have the same
// type share their storage in the file.
struct ComputedTensor {
  DType dtype = DType::float32;
  ElementsPtr elements;
  std::string name;  // for messages
};

}  // namespace craftbundle
