// What a configuration of AudioCraft says about an EnCodec: its tensors and figures.
#pragma once

#include <string>
#include <vector>

#include "craftbundle/audiocraft_rules/facts.h"
#include "craftbundle/audiocraft_rules/state.h"
#include "craftbundle/detail/omegaconf/config.h"
#include "encodec/seanet.h"

namespace craftbundle::encodec {

struct Spec {
  Seanet encoder;
  Seanet decoder;
  audiocraft::CodecFigures figures;
  audiocraft::ExpectedState expected;
  std::vector<std::string> unknown_keys;  // AudioCraft stops at them
  std::vector<std::string> warnings;
};

// Throws Error(input, "config.*") for a configuration that AudioCraft cannot build an EnCodec from.
Spec read_spec(const Config& config);

}  // namespace craftbundle::encodec
