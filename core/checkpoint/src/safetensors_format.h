// The header of a safetensors file and the index beside several, as text and as plain values. What
// the numbers mean is checked elsewhere.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/tensor/dtype.h"

namespace craftbundle {

// The length of the header is a little-endian number of as many bytes, and the header is padded to
// a multiple of it.
inline constexpr std::uint64_t kHeaderUnit = 8;
inline constexpr std::string_view kMetadataKey = "__metadata__";

// An element type as the format names it: "F32", "BOOL", ...
struct SafetensorsType {
  DType dtype;
  std::string_view name;
};
// nullptr for types that the format lacks.
const SafetensorsType* safetensors_type(DType dtype);
std::optional<DType> dtype_from_safetensors(std::string_view name);
// Whether `a` lies in front of `b` in a file: the format's order, largest alignment first.
// REQUIRES: both have a safetensors_type().
bool is_in_front(DType a, DType b);

struct HeaderTensor {
  std::string name;
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0;  // relative to the end of the header
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<HeaderTensor> tensors;  // in the order of the text
  std::map<std::string, std::string> metadata;
};

// Throws Error(input, "safetensors.*") for anything but such a header.
SafetensorsHeader parse_safetensors_header(std::string_view json);
// Compact, without padding. REQUIRES: all text is UTF-8.
std::string header_text(const SafetensorsHeader& header);

// The "weight_map" of an index: files by names of tensors. Throws Error(input, "safetensors.*").
std::map<std::string, std::string> parse_safetensors_index(std::string_view json);
// As transformers writes it. REQUIRES: all text is UTF-8.
std::string index_text(const std::map<std::string, std::string>& weight_map,
                       std::uint64_t total_size);

}  // namespace craftbundle
