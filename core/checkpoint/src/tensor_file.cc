#include "craftbundle/detail/checkpoint/tensor_file.h"

#include <algorithm>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

void require_fit(const Tensor& part, const Tensor& first) {
  if (part.dtype != first.dtype) {
    throw Error(ErrorKind::input, "tensor.dtype",
                "tensors of the types " + std::string(name(first.dtype)) + " and " +
                    std::string(name(part.dtype)) + " cannot be joined");
  }
  const std::vector<std::int64_t>& a = part.layout.shape;
  const std::vector<std::int64_t>& b = first.layout.shape;
  if (!a.empty() && !b.empty() && std::equal(a.begin() + 1, a.end(), b.begin() + 1, b.end())) {
    return;
  }
  throw Error(ErrorKind::input, "tensor.shape",
              "tensors of the shapes " + shape_text(b) + " and " + shape_text(a) +
                  " cannot be joined along their first dimension");
}

}  // namespace

JoinedTensor join(std::vector<Tensor> parts) {
  JoinedTensor joined;
  joined.dtype = parts.front().dtype;
  joined.shape = parts.front().layout.shape;
  std::uint64_t rows = 0;
  for (const Tensor& part : parts) {
    require_fit(part, parts.front());
    rows += static_cast<std::uint64_t>(part.layout.shape.front());
    joined.shape.front() = static_cast<std::int64_t>(rows);
    if (!element_count(joined.shape)) {
      throw Error(ErrorKind::input, "tensor.shape", "the joined tensors have too many elements");
    }
  }
  joined.parts = std::move(parts);
  return joined;
}

Tensor rows(const Tensor& tensor, std::int64_t first, std::int64_t count) {
  const std::vector<std::int64_t>& shape = tensor.layout.shape;
  if (shape.empty() || first < 0 || count < 0 || first > shape.front() ||
      count > shape.front() - first) {
    throw no_such_rows(shape, first, count);
  }
  Tensor part = tensor;
  part.layout.shape.front() = count;
  // Without elements any place will do, and behind the last row there may be none.
  if (element_count(part.layout.shape) != 0U) {
    part.layout.offset += first * tensor.layout.strides.front();
  }
  return part;
}

Error no_such_rows(const std::vector<std::int64_t>& shape, std::int64_t first, std::int64_t count) {
  return Error(ErrorKind::input, "tensor.rows",
               "a tensor of the shape " + shape_text(shape) + " does not have " +
                   std::to_string(count) + " rows from row " + std::to_string(first) + " on");
}

}  // namespace craftbundle
