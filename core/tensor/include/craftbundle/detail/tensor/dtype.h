// Element types of PyTorch tensors and the names they go by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// Element types that a package can carry. Quantized types (qint8, quint4x2, ...) are recognised
// when read, and refused by name, but are no DType.
enum class DType : std::uint8_t {
  float64,
  float32,
  float16,
  bfloat16,
  int64,
  int32,
  int16,
  int8,
  uint8,
  boolean,
  complex128,
  complex64,
  // No typed storage class of their own: torch.save writes them through UntypedStorage and
  // _rebuild_tensor_v3 (PyTorch >= 2.1).
  complex32,
  uint16,
  uint32,
  uint64,
  float8_e5m2,
  float8_e4m3fn,
  float8_e5m2fnuz,
  float8_e4m3fnuz,
  float8_e8m0fnu,
};

// Size of one element in bytes.
std::size_t item_size(DType dtype);

// Size in bytes of the unit that is byte-swapped when a file's byte order is foreign: the component
// of a complex number, else the element.
std::size_t swap_size(DType dtype);

// Whether values are floating point or complex.
bool is_floating(DType dtype);

// PyTorch's name without "torch.": "float32", "bool", ...
std::string_view name(DType dtype);
std::optional<DType> dtype_from_name(std::string_view name);

// "FloatStorage", "BFloat16Storage", ...; empty for types written through UntypedStorage.
std::string_view storage_class(DType dtype);
std::optional<DType> dtype_from_storage_class(std::string_view name);

// Whether `name` is a storage class of a quantized type ("QInt8Storage", ...).
bool is_quantized_storage_class(std::string_view name);

}  // namespace craftbundle
