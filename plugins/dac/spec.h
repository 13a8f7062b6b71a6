// What the settings of a DAC (descript-audio-codec) say about its tensors and figures.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bundlecraft/checkpoint/object.h"
#include "bundlecraft/omegaconf/config.h"
#include "support/audiocraft/facts.h"
#include "support/audiocraft/state.h"

namespace bundlecraft::dac {

struct Spec {
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

}  // namespace bundlecraft::dac
