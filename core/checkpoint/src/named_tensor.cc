#include "craftbundle/detail/checkpoint/named_tensor.h"

#include "craftbundle/detail/checkpoint/package.h"

namespace craftbundle {
namespace {

const std::vector<std::int64_t>& shape_of(const Tensor& tensor) { return tensor.layout.shape; }
const std::vector<std::int64_t>& shape_of(const JoinedTensor& tensor) { return tensor.shape; }
const std::vector<std::int64_t>& shape_of(const ComputedTensor& tensor) {
  return tensor.elements->shape();
}

}  // namespace

DType NamedTensor::dtype() const {
  return std::visit([](const auto& held) { return held.dtype; }, tensor);
}

const std::vector<std::int64_t>& NamedTensor::shape() const {
  return std::visit(
      [](const auto& held) -> const auto& { return shape_of(held); }, tensor);
}

ElementsPtr elements_of(const NamedTensor& named) {
  return std::visit([](const auto& held) { return elements_of(Value(held)); }, named.tensor);
}

}  // namespace craftbundle
