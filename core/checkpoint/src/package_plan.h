// What a package will hold, worked out before a byte is written: which parts of which storages, and
// where each tensor lies in what is left of its storage.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "craftbundle/detail/checkpoint/package.h"
#include "storage_stream.h"

namespace craftbundle {

// A storage of the package.
struct PlannedStorage {
  Pieces pieces;
  std::uint64_t bytes = 0;     // of the pieces
  std::uint64_t left_out = 0;  // bytes of its source that no tensor uses
  // Type of the storage class to write; nullopt: UntypedStorage, counted in bytes.
  std::optional<DType> dtype;
};

// Storages are numbered by first use.
class PackagePlan {
 public:
  explicit PackagePlan(const Value& root);

  const std::vector<PlannedStorage>& storages() const { return storages_; }
  std::uint64_t tensors() const { return tensors_; }

  // Number of the storage that `tensor`, a tensor of the root, lies in.
  template <typename AnyTensor>
  std::size_t storage_of(const AnyTensor& tensor) const {
    return numbers_.at(key_of(tensor));
  }
  // Its offset there, in elements of the tensor.
  std::uint64_t offset_of(const Tensor& tensor) const;

 private:
  using Key = std::pair<const void*, std::string>;
  static Key key_of(const Tensor& tensor);
  static Key key_of(const ComputedTensor& tensor);
  static Key key_of(const JoinedTensor& tensor);

  std::vector<PlannedStorage> storages_;
  std::map<Key, std::size_t> numbers_;
  std::uint64_t tensors_ = 0;
};

}  // namespace craftbundle
