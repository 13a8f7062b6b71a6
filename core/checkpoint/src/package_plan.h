// What a package will hold, worked out before a byte is written: which parts of which storages, and
// where each tensor lies in what is left of its storage.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "craftbundle/checkpoint/package.h"

namespace craftbundle {

// A half-open range of bytes of a storage.
struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;

  std::uint64_t size() const { return end - begin; }
};

// A storage of the package.
struct PlannedStorage {
  Storage source;  // meaningless when computed
  ElementsPtr computed;
  DType rounded_to = DType::float32;  // when computed
  std::string name;                   // of the first tensor, when computed
  // Parts of the source that are written, back to back; ascending, apart from each other.
  std::vector<ByteRange> used;
  std::uint64_t bytes = 0;  // sum of the parts
  // Type of the storage class to write; nullopt: UntypedStorage, counted in bytes.
  std::optional<DType> dtype;

  bool is_whole() const { return bytes == source.bytes; }
  bool is_computed() const { return computed != nullptr; }
};

// Storages are numbered by first use.
class PackagePlan {
 public:
  explicit PackagePlan(const Value& root);

  const std::vector<PlannedStorage>& storages() const { return storages_; }
  std::uint64_t tensors() const { return tensors_; }

  // Number of the storage that `tensor`, a tensor of the root, lies in.
  std::size_t storage_of(const Tensor& tensor) const;
  std::size_t storage_of(const ComputedTensor& tensor) const;
  // Its offset there, in elements of the tensor.
  std::uint64_t offset_of(const Tensor& tensor) const;

 private:
  using Key = std::pair<const void*, std::string>;
  static Key key_of(const Storage& storage);
  static Key key_of(const ComputedTensor& tensor);

  std::vector<PlannedStorage> storages_;
  std::map<Key, std::size_t> numbers_;
  std::uint64_t tensors_ = 0;
};

}  // namespace craftbundle
