// What the settings of a DAC (descript-audio-codec) say about its tensors and figures.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/audiocraft_rules/facts.h"
#include "craftbundle/audiocraft_rules/state.h"
#include "craftbundle/detail/checkpoint/object.h"
#include "craftbundle/detail/omegaconf/config.h"

namespace craftbundle::dac {

// Beside `dac` in a configuration; absent: true.
inline constexpr std::string_view kWeightNormKey = "weight_norm";

// Arguments of dac.DAC.
struct Settings {
  std::int64_t encoder_dim;
  std::vector<std::int64_t> encoder_rates;
  std::int64_t latent_dim;
  std::int64_t decoder_dim;
  std::vector<std::int64_t> decoder_rates;
  std::int64_t codebooks;
  std::int64_t codebook_size;
  std::vector<std::int64_t> codebook_dims;  // one per codebook
  std::int64_t sample_rate;
  bool weight_norm = true;  // false: folded into the weights, which no argument of dac.DAC says

  // Samples per frame.
  std::int64_t hop_length() const;
};

struct Spec {
  Settings settings;
  audiocraft::CodecFigures figures;
  audiocraft::ExpectedState expected;
};

// Tensors and figures for settings under the key `dac` (encoder_dim, encoder_rates, ...). Throws
// Error(input, "config.*") for settings that no DAC has.
Spec read_spec(const Config& config);

// A configuration in YAML that says which model it is and holds metadata['kwargs'], the arguments
// the model was built with, under `dac`. Throws Error(input, "config.*") for a kwargs that is no
// dict of plain values.
std::string config_text(Object kwargs);

}  // namespace craftbundle::dac
