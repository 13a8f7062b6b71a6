// What the elements of a component's tensors are like, and how far they are from an original's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/plugin/exporter.h"
#include "craftbundle/detail/tensor/convert.h"

namespace CRAFTBUNDLE_API craftbundle {

// All tensors of a component: the model's under their own names, then those among the further data.
std::vector<NamedTensor> tensors_of(const Component& component);

// Counts odd elements in one pass over the tensor's bytes. REQUIRES: is_convertible(tensor.dtype).
// Throws what TensorFile::read throws, and Error(interrupted).
ValueCounts count_values(const Tensor& tensor, const Cancellation& cancellation);

// How a tensor differs from the one of the same name of an original.
struct TensorDifference {
  std::string file;  // that it lies in, when the caller says so
  std::string name;
  std::string what;     // "float32 to float16", "folded, float32"
  double absolute = 0;  // largest difference of an element
  double relative = 0;  // root of the mean square difference by that of the original
  std::uint64_t elements = 0;
};

struct TensorComparison {
  std::vector<TensorDifference> differences;
  std::vector<std::string> strangers;  // have no tensor of their name and shape in the original
};

// Compares the tensors of `found` with those of `original`, also with what these are once weight
// norms are folded. An element that is NaN on one side only is infinitely far. Throws what reading
// throws, Error(input, "tensor.elements") for types that are no numbers, and Error(interrupted).
TensorComparison compare_tensors(const Component& found, const Component& original,
                                 const Cancellation& cancellation);

}  // namespace craftbundle
