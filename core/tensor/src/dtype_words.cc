#include "craftbundle/detail/tensor/dtype_words.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace craftbundle {

std::optional<DType> dtype_from_word(std::string_view word) {
  // As in PyTorch ("half"), in safetensors ("F16"), and in options of other tools ("fp16").
  constexpr std::array<std::pair<std::string_view, DType>, 11> kWords = {{
      {"fp64", DType::float64},
      {"f64", DType::float64},
      {"double", DType::float64},
      {"fp32", DType::float32},
      {"f32", DType::float32},
      {"float", DType::float32},
      {"single", DType::float32},
      {"fp16", DType::float16},
      {"f16", DType::float16},
      {"half", DType::float16},
      {"bf16", DType::bfloat16},
  }};
  std::string lower(word);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  std::string_view plain = lower;
  constexpr std::string_view kTorch = "torch.";
  if (plain.starts_with(kTorch)) plain.remove_prefix(kTorch.size());
  if (const auto dtype = dtype_from_name(plain)) return dtype;
  const auto found = std::ranges::find(kWords, plain, &std::pair<std::string_view, DType>::first);
  if (found == kWords.end()) return std::nullopt;
  return found->second;
}

}  // namespace craftbundle
