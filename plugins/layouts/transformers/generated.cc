#include "generated.h"

#include <cmath>
#include <functional>
#include <memory>
#include <numbers>
#include <utility>
#include <vector>

namespace craftbundle::transformers {
namespace {

class Generated final : public Elements {
 public:
  Generated(std::vector<std::int64_t> shape, std::function<float(std::uint64_t)> element)
      : shape_(std::move(shape)), element_(std::move(element)) {}

  const std::vector<std::int64_t>& shape() const override { return shape_; }
  DType dtype() const override { return DType::float32; }
  std::vector<Storage> sources() const override { return {}; }
  void read(std::uint64_t first, std::span<double> out, StorageReader& /*from*/) const override {
    for (double& number : out) number = static_cast<double>(element_(first++));
  }

 private:
  std::vector<std::int64_t> shape_;
  std::function<float(std::uint64_t)> element_;
};

TensorContent generated(std::vector<std::int64_t> shape,
                        std::function<float(std::uint64_t)> element) {
  return ComputedTensor{
      DType::float32, std::make_shared<Generated>(std::move(shape), std::move(element)), {}};
}

}  // namespace

TensorContent sinusoidal_positions(std::int64_t positions, std::int64_t width) {
  const auto columns = static_cast<std::uint64_t>(width);
  const std::uint64_t half = columns / 2;
  // As the class computes it: in float32, but for the logarithm.
  const auto step =
      static_cast<float>(-std::log(10'000.0) / static_cast<double>(half > 1 ? half - 1 : 1));
  return generated({positions, width}, [=](std::uint64_t index) {
    const std::uint64_t column = index % columns;
    if (column >= 2 * half) return 0.0F;
    const auto position = static_cast<float>(index / columns);
    const float frequency = std::exp(static_cast<float>(column % half) * step);
    const float angle = position * frequency;
    return column < half ? std::cos(angle) : std::sin(angle);
  });
}

TensorContent hann_window(std::int64_t length) {
  const auto step = static_cast<float>(2 * std::numbers::pi / static_cast<double>(length));
  return generated({length}, [=](std::uint64_t index) {
    return 0.5F - 0.5F * std::cos(static_cast<float>(index) * step);
  });
}

}  // namespace craftbundle::transformers
