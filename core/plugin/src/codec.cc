#include "craftbundle/detail/plugin/codec.h"

#include <cmath>
#include <numeric>

namespace craftbundle {
namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 31;

}  // namespace

std::vector<CodecFigure> figures_of(const CodecProperties& properties) {
  return {
      {"sample_rate", properties.sample_rate}, {"channels", properties.channels},
      {"codebooks", properties.codebooks},     {"cardinality", properties.cardinality},
      {"hop_length", properties.hop_length},   {"latent_dimension", properties.latent_dimension},
      {"frame_rate", properties.frame_rate}};
}

std::int64_t frame_step(const CodecProperties& properties) {
  std::int64_t step = properties.frame_multiple;
  for (const std::int64_t frames : properties.frames_per_code) {
    if (step < 1 || step > kMost || frames < 1 || frames > kMost) return 0;
    step = std::lcm(step, frames);
  }
  return step >= 1 && step <= kMost ? step : 0;
}

double bits_per_second(const CodecProperties& properties, std::int64_t codebooks) {
  const std::vector<std::int64_t>& rates = properties.frames_per_code;
  double codes_per_frame = 0;
  for (std::int64_t book = 0; book < (codebooks == 0 ? properties.codebooks : codebooks); ++book) {
    const auto index = static_cast<std::size_t>(book);
    codes_per_frame += index < rates.size() ? 1 / static_cast<double>(rates[index]) : 1;
  }
  return std::log2(static_cast<double>(properties.cardinality)) * codes_per_frame *
         static_cast<double>(properties.sample_rate) / static_cast<double>(properties.hop_length);
}

}  // namespace craftbundle
