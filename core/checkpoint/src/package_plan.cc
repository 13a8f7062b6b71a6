#include "package_plan.h"

#include <algorithm>
#include <sstream>
#include <type_traits>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/limits.h"

namespace craftbundle {
namespace {

// to_value() never goes beyond half of this; exporters put what it gives into dicts of their own.
constexpr std::size_t kDeepest = 2 * limits::kExportedDepth;

// Calls `visit` with every tensor, of whatever kind, in the order in which they are pickled.
template <typename Visit>
void for_each_tensor(const Value& value, const Visit& visit, std::size_t depth = 0) {
  if (depth > kDeepest) {
    throw Error(ErrorKind::internal, "package.depth",
                "a package nests deeper than " + std::to_string(kDeepest) + " levels");
  }
  if (const auto* tensor = value.get_if<Tensor>()) return visit(*tensor);
  if (const auto* tensor = value.get_if<ComputedTensor>()) return visit(*tensor);
  if (const auto* tensor = value.get_if<JoinedTensor>()) return visit(*tensor);
  if (const auto* list = value.get_if<Value::List>()) {
    for (const Value& item : *list) for_each_tensor(item, visit, depth + 1);
  } else if (const auto* dict = value.get_if<Value::Dict>()) {
    for (const auto& [key, item] : *dict) for_each_tensor(item, visit, depth + 1);
  }
}

std::vector<ByteRange> merged(std::vector<ByteRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const ByteRange& a, const ByteRange& b) { return a.begin < b.begin; });
  std::vector<ByteRange> result;
  for (const ByteRange& range : ranges) {
    if (!result.empty() && range.begin <= result.back().end) {
      result.back().end = std::max(result.back().end, range.end);
    } else {
      result.push_back(range);
    }
  }
  return result;
}

// What the tensors of one storage say about it, gathered before the ranges are settled.
struct Uses {
  std::vector<ByteRange> ranges;
  std::uint64_t unit = 1;      // the largest element; sizes of elements are powers of two
  std::optional<DType> dtype;  // of all tensors, as long as they agree
  bool agree = true;

  explicit Uses(const Storage& storage) : unit(item_size(storage.dtype)) {}

  void add(const Tensor& tensor) {
    const ByteRange range = reached_bytes(tensor);
    if (range.size() > 0) ranges.push_back(range);
    unit = std::max<std::uint64_t>(unit, item_size(tensor.dtype));
    agree = agree && dtype.value_or(tensor.dtype) == tensor.dtype;
    dtype = tensor.dtype;
  }

  void settle(PlannedStorage& storage) {
    auto& stored = std::get<StoredBytes>(storage.pieces.front());
    // Whole units, so that every offset stays a multiple of its tensor's element size.
    for (ByteRange& range : ranges) {
      range.begin = range.begin / unit * unit;
      range.end = std::min((range.end + unit - 1) / unit * unit, stored.source.bytes);
    }
    stored.used = merged(std::move(ranges));
    storage.bytes = size_of(storage.pieces);
    storage.left_out = stored.source.bytes - storage.bytes;
    // A storage class has one type; tensors of several need the class that has none.
    if (agree && !storage_class(*dtype).empty() && storage.bytes % item_size(*dtype) == 0) {
      storage.dtype = dtype;
    }
  }
};

}  // namespace

PackagePlan::Key PackagePlan::key_of(const Tensor& tensor) {
  return {tensor.storage.owner.get(), tensor.storage.key};
}

PackagePlan::Key PackagePlan::key_of(const ComputedTensor& tensor) {
  return {tensor.elements.get(), std::string(name(tensor.dtype))};
}

// Equal for equal parts, so that tied tensors share their storage.
PackagePlan::Key PackagePlan::key_of(const JoinedTensor& tensor) {
  std::ostringstream text;
  for (const Tensor& part : tensor.parts) {
    const TensorLayout& layout = part.layout;
    text << part.storage.owner.get() << ' ' << part.storage.key.size() << ' ' << part.storage.key
         << name(part.dtype) << layout.offset << shape_text(layout.shape)
         << shape_text(layout.strides);
  }
  return {nullptr, text.str()};
}

PackagePlan::PackagePlan(const Value& root) {
  std::map<std::size_t, Uses> uses;  // by number, of storages that tensors share
  const auto add_stored = [&](const Tensor& tensor, std::size_t number, bool is_new) {
    if (is_new) {
      storages_[number].pieces = {StoredBytes{tensor.storage, {}}};
      uses.emplace(number, tensor.storage);
    }
    const auto& stored = std::get<StoredBytes>(storages_[number].pieces.front());
    if (stored.source.bytes != tensor.storage.bytes) {
      throw Error(ErrorKind::input, "package.storage_conflict",
                  "storage " + quoted(tensor.storage.key) + " is described with " +
                      std::to_string(stored.source.bytes) + " and with " +
                      std::to_string(tensor.storage.bytes) + " bytes");
    }
    uses.at(number).add(tensor);
  };
  for_each_tensor(root, [&](const auto& tensor) {
    ++tensors_;
    const auto [place, is_new] = numbers_.try_emplace(key_of(tensor), storages_.size());
    if (is_new) storages_.emplace_back();
    if constexpr (std::is_same_v<decltype(tensor), const Tensor&>) {
      add_stored(tensor, place->second, is_new);
    } else if (is_new) {
      PlannedStorage& storage = storages_.back();
      storage.pieces = pieces_of(tensor);
      storage.bytes = size_of(storage.pieces);
      if (!storage_class(tensor.dtype).empty()) storage.dtype = tensor.dtype;
    }
  });
  for (auto& [number, use] : uses) use.settle(storages_[number]);
}

std::uint64_t PackagePlan::offset_of(const Tensor& tensor) const {
  const PlannedStorage& storage = storages_[storage_of(tensor)];
  const auto offset = static_cast<std::uint64_t>(tensor.layout.offset);
  if (storage.left_out == 0) return offset;
  const ByteRange reached = reached_bytes(tensor);
  if (reached.size() == 0) return 0;  // no element, so any place will do
  std::uint64_t before = 0;
  for (const ByteRange& range : std::get<StoredBytes>(storage.pieces.front()).used) {
    if (reached.begin < range.end) {
      return (before + reached.begin - range.begin) / item_size(tensor.dtype);
    }
    before += range.size();
  }
  return 0;
}

}  // namespace craftbundle
