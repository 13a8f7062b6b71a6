// mulaw_sample FILE: writes what a training leaves, for the tests of this plugin. The table is the
// one of mu-law itself.
#include <cmath>
#include <cstdio>
#include <span>

#include "craftbundle/checkpoint.h"

namespace {

class Levels final : public craftbundle::Elements {
 public:
  const std::vector<std::int64_t>& shape() const override { return shape_; }
  craftbundle::DType dtype() const override { return craftbundle::DType::float64; }
  std::vector<craftbundle::Storage> sources() const override { return {}; }
  void read(std::uint64_t first, std::span<double> out,
            craftbundle::StorageReader& /*files*/) const override {
    for (double& level : out) {
      const double x = 2.0 * static_cast<double>(first++) / 255 - 1;
      level = std::copysign((std::pow(256.0, std::abs(x)) - 1) / 255, x);
    }
  }

 private:
  std::vector<std::int64_t> shape_ = {256};
};

}  // namespace

int main(int argc, char** argv) {
  using craftbundle::Value;
  if (argc != 2) {
    std::fputs("usage: mulaw_sample FILE\n", stderr);
    return 2;
  }
  try {
    const craftbundle::ComputedTensor levels{craftbundle::DType::float32,
                                             std::make_shared<Levels>(), "levels"};
    const Value::Dict training = {{"mulaw", Value::Dict{{"levels", levels}}},
                                  {"sample_rate", std::int64_t{16000}},
                                  {"channels", std::int64_t{1}}};
    const craftbundle::Path path = craftbundle::absolute_path(argv[1]);
    craftbundle::OutputFile file(path.parent_path(), craftbundle::Durability::no_sync);
    write_package(training, file, {});
    file.publish(path, true);
  } catch (const craftbundle::Error& error) {
    std::fprintf(stderr, "%s\n", error.message().c_str());
    return 1;
  }
  return 0;
}
