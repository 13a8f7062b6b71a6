// What a configuration of AudioCraft says about an EnCodec: its tensors and figures.
#pragma once

#include <string>
#include <vector>

#include "bundlecraft/omegaconf/config.h"
#include "support/audiocraft/facts.h"
#include "support/audiocraft/state.h"

namespace bundlecraft::encodec {

struct Spec {
  audiocraft::CodecFigures figures;
  audiocraft::ExpectedState expected;
  std::vector<std::string> warnings;
};

// Throws Error(input, "config.*") for a configuration that AudioCraft cannot build an EnCodec from.
Spec read_spec(const Config& config);

}  // namespace bundlecraft::encodec
