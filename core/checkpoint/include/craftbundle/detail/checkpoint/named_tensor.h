// A tensor under the name that a state dict has for it.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/checkpoint/elements.h"
#include "craftbundle/detail/checkpoint/tensor_file.h"

namespace CRAFTBUNDLE_API craftbundle {

// Where its elements come from.
using TensorContent = std::variant<Tensor, ComputedTensor, JoinedTensor>;

struct NamedTensor {
  std::string name;
  TensorContent tensor;

  DType dtype() const;
  const std::vector<std::int64_t>& shape() const;
};

DType dtype_of(const TensorContent& tensor);
const std::vector<std::int64_t>& shape_of(const TensorContent& tensor);

// Its elements, rounded as they will be written. Throws as elements_of(const Tensor&).
ElementsPtr elements_of(const NamedTensor& named);
ElementsPtr elements_of(const TensorContent& tensor);

// The rows [first, first + count) of a tensor: what tensor[first:first + count] gives. Those of a
// stored tensor stay where they lie. Throws Error(input, "tensor.rows") when it does not have
// these.
TensorContent row_range(const TensorContent& tensor, std::int64_t first, std::int64_t count);

// What torch.cat(parts) gives; of parts that are stored nothing is computed. Throws as join().
// REQUIRES: at least one part.
TensorContent concatenate(const std::vector<TensorContent>& parts);

// `tensor` rounded to `dtype`; itself when it has that type.
TensorContent cast(const TensorContent& tensor, DType dtype);

}  // namespace craftbundle
