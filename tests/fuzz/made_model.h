// Tensors made for a configuration: those that the rules of its family expect, in small numbers.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "craftbundle/audiocraft_rules/state.h"
#include "craftbundle/detail/checkpoint/named_tensor.h"
#include "craftbundle/detail/tensor/layout.h"

namespace craftbundle::testing {

class Ripple final : public Elements {
 public:
  explicit Ripple(std::vector<std::int64_t> shape) : shape_(std::move(shape)) {}
  const std::vector<std::int64_t>& shape() const override { return shape_; }
  DType dtype() const override { return DType::float32; }
  void read(std::uint64_t first, std::span<double> out, StorageReader& /*from*/) const override {
    for (double& number : out) number = 0.1 * std::cos(static_cast<double>(first++));
  }
  std::vector<Storage> sources() const override { return {}; }

 private:
  std::vector<std::int64_t> shape_;
};

// nullopt for more than a test has time for.
inline std::optional<std::vector<NamedTensor>> made_tensors(
    const audiocraft::ExpectedState& expected) {
  constexpr std::uint64_t kMostElements = 1 << 16;
  constexpr std::size_t kMostTensors = 400;
  if (expected.tensors().size() > kMostTensors) return std::nullopt;
  std::vector<NamedTensor> tensors;
  std::uint64_t elements = 0;
  for (const audiocraft::ExpectedTensor& tensor : expected.tensors()) {
    std::vector<std::int64_t> shape = tensor.shape;
    for (std::int64_t& size : shape) size = size == audiocraft::kAnySize ? 2 : size;
    const auto count = element_count(shape);
    if (!count || (elements += *count) > kMostElements) return std::nullopt;
    tensors.push_back(
        {tensor.name,
         ComputedTensor{DType::float32, std::make_shared<Ripple>(std::move(shape)), tensor.name}});
  }
  return tensors;
}

}  // namespace craftbundle::testing
