#include "craftbundle/checkpoint/named_tensor.h"

namespace craftbundle {

DType NamedTensor::dtype() const {
  return std::visit([](const auto& held) { return held.dtype; }, tensor);
}

const std::vector<std::int64_t>& NamedTensor::shape() const {
  const auto* computed = std::get_if<ComputedTensor>(&tensor);
  return computed != nullptr ? computed->elements->shape() : std::get<Tensor>(tensor).layout.shape;
}

}  // namespace craftbundle
