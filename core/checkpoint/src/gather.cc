#include "gather.h"

#include <algorithm>
#include <cstring>

#include "walk.h"

namespace craftbundle {
namespace {

// A dimension of a box: how far apart its elements lie in the storage and in the block.
struct Dimension {
  std::int64_t size = 0;
  std::int64_t stride = 0;
  std::int64_t out = 0;
};

std::vector<Dimension> dimensions(const TensorLayout& box) {
  const std::vector<std::int64_t> out = contiguous_strides(box.shape);
  std::vector<Dimension> result;
  for (std::size_t i = 0; i < box.shape.size(); ++i) {
    if (box.shape[i] > 1) result.push_back({box.shape[i], box.strides[i], out[i]});
  }
  return result;
}

TensorLayout layout_of(std::span<const Dimension> dimensions, std::int64_t Dimension::*stride) {
  TensorLayout layout;
  for (const Dimension& dimension : dimensions) {
    layout.shape.push_back(dimension.size);
    layout.strides.push_back(dimension.*stride);
  }
  return layout;
}

std::uint64_t count_of(const TensorLayout& layout) {
  return element_count(layout.shape).value_or(0);
}

}  // namespace

Gather::Gather(const Tensor& tensor, std::uint64_t block_bytes)
    : tensor_(tensor),
      size_(item_size(tensor.dtype)),
      block_bytes_(block_bytes),
      whole_from_(tensor.layout.shape.size()) {
  const std::vector<std::int64_t>& shape = tensor.layout.shape;
  std::uint64_t most = block_bytes / size_;  // elements that still fit
  while (whole_from_ > 0 && static_cast<std::uint64_t>(shape[whole_from_ - 1]) <= most) {
    most /= static_cast<std::uint64_t>(shape[--whole_from_]);
  }
  rows_ = static_cast<std::int64_t>(most);
  index_.resize(whole_from_);
}

TensorLayout Gather::next_box() {
  const TensorLayout& all = tensor_.layout;
  TensorLayout box = all;
  for (std::size_t i = 0; i < whole_from_; ++i) {
    box.offset += index_[i] * all.strides[i];
    box.shape[i] = 1;
  }
  std::size_t i = whole_from_;
  if (i > 0) {
    --i;
    box.shape[i] = std::min(rows_, all.shape[i] - index_[i]);
    index_[i] += box.shape[i];
    while (i > 0 && index_[i] == all.shape[i]) {
      index_[i] = 0;
      ++index_[--i];
    }
  }
  done_ = whole_from_ == 0 || index_[0] == all.shape[0];
  return box;
}

std::span<const std::byte> Gather::next() {
  if (done_) return {};
  const TensorLayout box = next_box();
  block_.resize(static_cast<std::size_t>(count_of(box) * size_));
  const ElementRange range = used_range(box).value_or(ElementRange{});
  if (range.size() <= 2 * block_bytes_ / size_) {
    read_at_once(box);
  } else {
    read_runs(box);
  }
  return block_;
}

void Gather::read(std::uint64_t first, std::uint64_t count) {
  source_.resize(static_cast<std::size_t>(count * size_));
  tensor_.storage.owner->read(tensor_.storage, first * size_, source_);
}

void Gather::read_at_once(const TensorLayout& box) {
  const ElementRange range = used_range(box).value_or(ElementRange{});
  read(range.begin, range.size());
  const std::uint64_t count = count_of(box);
  Walk walk(box, 0);
  for (std::uint64_t i = 0; i < count; ++i, walk.next()) {
    std::memcpy(block_.data() + i * size_, source_.data() + walk.place() * size_, size_);
  }
}

void Gather::read_runs(const TensorLayout& box) {
  // Largest stride first, so that a walk over the last of them goes through the storage in order.
  std::vector<Dimension> all = dimensions(box);
  std::ranges::stable_sort(all, std::ranges::greater(), &Dimension::stride);
  // Repeated elements (stride 0) lie together with nothing.
  std::stable_partition(all.begin(), all.end(),
                        [](const Dimension& dimension) { return dimension.stride == 0; });
  std::size_t begin = all.size();
  std::int64_t length = 1;
  while (begin > 0 && all[begin - 1].stride == length) length *= all[--begin].size;
  const std::span outer = std::span(all).first(begin);
  const TensorLayout outer_in_storage = layout_of(outer, &Dimension::stride);
  const TensorLayout outer_in_block = layout_of(outer, &Dimension::out);
  const TensorLayout run_in_block = layout_of(std::span(all).subspan(begin), &Dimension::out);
  Walk from(outer_in_storage, 0);
  Walk to(outer_in_block, 0);
  for (std::uint64_t runs = count_of(outer_in_storage); runs > 0; --runs, from.next(), to.next()) {
    read(static_cast<std::uint64_t>(box.offset) + from.place(), static_cast<std::uint64_t>(length));
    Walk place(run_in_block, 0);
    for (std::int64_t i = 0; i < length; ++i, place.next()) {
      std::memcpy(block_.data() + (to.place() + place.place()) * size_,
                  source_.data() + static_cast<std::size_t>(i) * size_, size_);
    }
  }
}

}  // namespace craftbundle
