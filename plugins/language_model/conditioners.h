// The tensors and needs of AudioCraft's conditioners: what turns text, melodies or drums into input
// of a language model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "craftbundle/audiocraft_rules/state.h"
#include "craftbundle/detail/omegaconf/config.h"
#include "craftbundle/detail/plugin/exporter.h"

namespace craftbundle::language_model {

struct Conditioners {
  std::vector<std::string> kinds;  // "t5", "chroma_stem", ...: one for each, in their order
  std::vector<Fetched> downloads;  // what AudioCraft fetches when it builds them
  // Tensors that take the vectors of text encoders in: one for each "t5".
  std::vector<std::string> text_projections;
  std::vector<std::string> warnings;
  std::string stops_at;  // a value that AudioCraft knows no conditioner for; empty: none

  bool has(const std::string& kind) const;
};

// Adds the tensors of everything under `conditioners` in xp.cfg. `dim` is the width of the language
// model. Throws Error(input, "config.*") for settings that AudioCraft cannot build.
Conditioners add_conditioners(const Config& config, std::int64_t dim,
                              audiocraft::ExpectedState& expected);

}  // namespace craftbundle::language_model
