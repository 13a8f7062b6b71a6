#include "craftbundle/detail/checkpoint/named_tensor.h"

#include <algorithm>
#include <utility>

#include "craftbundle/detail/checkpoint/package.h"

namespace craftbundle {
namespace {

const std::vector<std::int64_t>& shape_in(const Tensor& tensor) { return tensor.layout.shape; }
const std::vector<std::int64_t>& shape_in(const JoinedTensor& tensor) { return tensor.shape; }
const std::vector<std::int64_t>& shape_in(const ComputedTensor& tensor) {
  return tensor.elements->shape();
}

TensorContent rows_in(const Tensor& tensor, std::int64_t first, std::int64_t count) {
  return rows(tensor, first, count);
}

TensorContent rows_in(const ComputedTensor& tensor, std::int64_t first, std::int64_t count) {
  return ComputedTensor{tensor.dtype, rows(tensor.elements, first, count), tensor.name};
}

// The parts, or pieces of them, that the rows lie in.
TensorContent rows_in(const JoinedTensor& tensor, std::int64_t first, std::int64_t count) {
  std::vector<Tensor> parts;
  for (const Tensor& part : tensor.parts) {
    const std::int64_t size = part.layout.shape.front();
    const std::int64_t here = std::min(count, size - first);
    if (here > 0) {
      parts.push_back(rows(part, first, here));
      count -= here;
      first = 0;
    } else {
      first -= size;
    }
  }
  if (parts.empty()) return rows(tensor.parts.front(), 0, 0);
  return parts.size() == 1 ? TensorContent(parts.front()) : TensorContent(join(std::move(parts)));
}

void require_rows(const std::vector<std::int64_t>& shape, std::int64_t first, std::int64_t count) {
  if (!shape.empty() && first >= 0 && count >= 0 && first <= shape.front() &&
      count <= shape.front() - first) {
    return;
  }
  throw no_such_rows(shape, first, count);
}

// The stored tensors that `tensor` is made of, when nothing of it is computed.
bool append_stored(const TensorContent& tensor, std::vector<Tensor>& parts) {
  if (const auto* one = std::get_if<Tensor>(&tensor)) {
    parts.push_back(*one);
    return true;
  }
  const auto* joined = std::get_if<JoinedTensor>(&tensor);
  if (joined == nullptr) return false;
  parts.insert(parts.end(), joined->parts.begin(), joined->parts.end());
  return true;
}

}  // namespace

DType dtype_of(const TensorContent& tensor) {
  return std::visit([](const auto& held) { return held.dtype; }, tensor);
}

const std::vector<std::int64_t>& shape_of(const TensorContent& tensor) {
  return std::visit(
      [](const auto& held) -> const auto& { return shape_in(held); }, tensor);
}

DType NamedTensor::dtype() const { return dtype_of(tensor); }

const std::vector<std::int64_t>& NamedTensor::shape() const { return shape_of(tensor); }

ElementsPtr elements_of(const TensorContent& tensor) {
  return std::visit([](const auto& held) { return elements_of(Value(held)); }, tensor);
}

ElementsPtr elements_of(const NamedTensor& named) { return elements_of(named.tensor); }

TensorContent row_range(const TensorContent& tensor, std::int64_t first, std::int64_t count) {
  require_rows(shape_of(tensor), first, count);
  return std::visit([&](const auto& held) { return rows_in(held, first, count); }, tensor);
}

TensorContent concatenate(const std::vector<TensorContent>& parts) {
  if (parts.size() == 1) return parts.front();
  std::vector<Tensor> stored;
  const bool all_stored = std::ranges::all_of(
      parts, [&](const TensorContent& part) { return append_stored(part, stored); });
  if (all_stored) return join(std::move(stored));
  std::vector<ElementsPtr> elements;
  for (const TensorContent& part : parts) elements.push_back(elements_of(part));
  return ComputedTensor{dtype_of(parts.front()), join(std::move(elements)), {}};
}

TensorContent cast(const TensorContent& tensor, DType dtype) {
  if (dtype_of(tensor) == dtype) return tensor;
  return ComputedTensor{dtype, elements_of(tensor), {}};
}

}  // namespace craftbundle
