#include "counted_tensor.h"

#include <algorithm>
#include <utility>

namespace craftbundle {

std::optional<FileRange> CountedPart::range() const {
  const Storage& storage = tensor_.storage;
  if (storage.deflated || storage.swapped || !is_contiguous(tensor_.layout)) return std::nullopt;
  const std::uint64_t size = item_size(tensor_.dtype);
  const std::uint64_t begin =
      storage.file_offset + static_cast<std::uint64_t>(tensor_.layout.offset) * size;
  return FileRange{begin, begin + element_count(tensor_.layout.shape).value_or(0) * size};
}

void CountedPart::add(std::span<const std::byte> bytes) {
  const std::size_t size = item_size(tensor_.dtype);
  if (held_ > 0) {
    const auto rest = bytes.first(std::min(size - held_, bytes.size()));
    std::ranges::copy(rest, element_.begin() + static_cast<std::ptrdiff_t>(held_));
    held_ += rest.size();
    bytes = bytes.subspan(rest.size());
    if (held_ < size) return;
    count_values(tensor_.dtype, std::span(element_).first(size), counts_);
  }
  held_ = bytes.size() % size;
  count_values(tensor_.dtype, bytes.first(bytes.size() - held_), counts_);
  std::ranges::copy(bytes.last(held_), element_.begin());
}

std::vector<CountedTensor> counted(const std::vector<NamedTensor>& tensors) {
  std::vector<CountedTensor> all;
  for (const NamedTensor& named : tensors) {
    CountedTensor tensor{named.name, named.dtype(), {}};
    if (const auto* stored = std::get_if<Tensor>(&named.tensor)) {
      tensor.parts.emplace_back(*stored);
    } else if (const auto* joined = std::get_if<JoinedTensor>(&named.tensor)) {
      for (const Tensor& part : joined->parts) tensor.parts.emplace_back(part);
    }
    if (!tensor.parts.empty()) all.push_back(std::move(tensor));
  }
  return all;
}

BufferRing::Use count_parts(std::vector<CountedPart*> parts) {
  std::ranges::sort(parts, {}, [](const CountedPart* part) { return part->range()->begin; });
  std::vector<FileRange> ranges;
  for (const CountedPart* part : parts) ranges.push_back(*part->range());
  return use_ranges(std::move(ranges), [parts = std::move(parts)](
                                           std::size_t index, std::span<const std::byte> bytes) {
    parts[index]->add(bytes);
  });
}

}  // namespace craftbundle
