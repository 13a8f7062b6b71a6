#include "craftbundle/detail/tensor/dtype.h"

#include <array>

namespace craftbundle {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  std::string_view storage_class;
  std::uint8_t item_size;
  std::uint8_t swap_size;
  bool floating;
};

// In the order of the enumeration: row i describes DType(i).
constexpr std::array kRows = {
    Row{DType::float64, "float64", "DoubleStorage", 8, 8, true},
    Row{DType::float32, "float32", "FloatStorage", 4, 4, true},
    Row{DType::float16, "float16", "HalfStorage", 2, 2, true},
    Row{DType::bfloat16, "bfloat16", "BFloat16Storage", 2, 2, true},
    Row{DType::int64, "int64", "LongStorage", 8, 8, false},
    Row{DType::int32, "int32", "IntStorage", 4, 4, false},
    Row{DType::int16, "int16", "ShortStorage", 2, 2, false},
    Row{DType::int8, "int8", "CharStorage", 1, 1, false},
    Row{DType::uint8, "uint8", "ByteStorage", 1, 1, false},
    Row{DType::boolean, "bool", "BoolStorage", 1, 1, false},
    Row{DType::complex128, "complex128", "ComplexDoubleStorage", 16, 8, true},
    Row{DType::complex64, "complex64", "ComplexFloatStorage", 8, 4, true},
    Row{DType::complex32, "complex32", "", 4, 2, true},
    Row{DType::uint16, "uint16", "", 2, 2, false},
    Row{DType::uint32, "uint32", "", 4, 4, false},
    Row{DType::uint64, "uint64", "", 8, 8, false},
    Row{DType::float8_e5m2, "float8_e5m2", "", 1, 1, true},
    Row{DType::float8_e4m3fn, "float8_e4m3fn", "", 1, 1, true},
    Row{DType::float8_e5m2fnuz, "float8_e5m2fnuz", "", 1, 1, true},
    Row{DType::float8_e4m3fnuz, "float8_e4m3fnuz", "", 1, 1, true},
    Row{DType::float8_e8m0fnu, "float8_e8m0fnu", "", 1, 1, true},
};

constexpr bool rows_in_order() {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<std::size_t>(kRows[i].dtype) != i) return false;
  }
  return true;
}
static_assert(rows_in_order());

const Row& row(DType dtype) { return kRows[static_cast<std::size_t>(dtype)]; }

}  // namespace

std::size_t item_size(DType dtype) { return row(dtype).item_size; }
std::size_t swap_size(DType dtype) { return row(dtype).swap_size; }
bool is_floating(DType dtype) { return row(dtype).floating; }
std::string_view name(DType dtype) { return row(dtype).name; }
std::string_view storage_class(DType dtype) { return row(dtype).storage_class; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const Row& candidate : kRows) {
    if (candidate.name == name) return candidate.dtype;
  }
  return std::nullopt;
}

std::optional<DType> dtype_from_storage_class(std::string_view name) {
  if (name.empty()) return std::nullopt;
  for (const Row& candidate : kRows) {
    if (candidate.storage_class == name) return candidate.dtype;
  }
  return std::nullopt;
}

bool is_quantized_storage_class(std::string_view name) {
  constexpr std::array<std::string_view, 5> kQuantized = {
      "QInt8Storage", "QInt32Storage", "QUInt8Storage", "QUInt4x2Storage", "QUInt2x4Storage"};
  for (std::string_view quantized : kQuantized) {
    if (quantized == name) return true;
  }
  return false;
}

}  // namespace craftbundle
