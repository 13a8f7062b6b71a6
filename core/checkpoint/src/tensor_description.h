// What the pickle says about a tensor, before it is held against the storages of a file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "craftbundle/detail/checkpoint/object.h"
#include "craftbundle/detail/tensor/dtype.h"
#include "craftbundle/detail/tensor/layout.h"

namespace craftbundle {

// A persistent id: ('storage', class, key, location, number of elements).
struct StorageReference {
  // The legacy layout can name a part of another storage, in its elements.
  struct Part {
    std::uint64_t offset = 0;
    std::uint64_t elements = 0;
  };

  std::string key;
  DType dtype = DType::uint8;  // uint8 when untyped
  bool untyped = false;
  std::uint64_t elements = 0;
  std::uint64_t bytes = 0;
  std::optional<Part> part;
};

struct TensorDescription {
  StorageReference storage;
  DType dtype = DType::float32;
  TensorLayout layout;
  bool requires_grad = false;
  bool is_parameter = false;
};

// Throws Error(input, "tensor.*") unless `object` is a persistent id that names a storage.
StorageReference read_storage_reference(Object object);

// Whether `object` is a call of one of PyTorch's functions that rebuild tensors and parameters.
bool is_tensor_call(Object object);

// Throws Error(input, "tensor.*") when a number is impossible in itself, and for the kinds of
// tensors that a package cannot carry. Whether the layout lies in the storage is checked, whether
// the storage exists is not.
TensorDescription read_tensor_description(Object object);

}  // namespace craftbundle
