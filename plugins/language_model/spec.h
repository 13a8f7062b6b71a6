// What a configuration of AudioCraft says about a language model: its tensors, and what it needs of
// the codec.
#pragma once

#include <string>
#include <vector>

#include "craftbundle/audiocraft_rules/config.h"
#include "craftbundle/audiocraft_rules/state.h"
#include "craftbundle/detail/omegaconf/config.h"
#include "craftbundle/detail/plugin/exporter.h"

namespace craftbundle::language_model {

struct Spec {
  std::string family;  // "MusicGen (stereo, melody)"
  audiocraft::ExpectedState expected;
  std::vector<FitFact> requires_;
  std::int64_t streams_per_codebook = 1;  // of the codec
  // The tensor that takes the vectors of the text encoder in, when there is one encoder.
  std::string text_projection;
  std::vector<SummaryItem> summary;
  std::vector<std::string> unknown_keys;  // AudioCraft stops at them
  std::string stops_at;                   // so it does at this value of a key; empty: at none
  std::vector<Fetched> downloads;         // Component::fetches
  std::string since;                      // first release of AudioCraft that loads it
  std::vector<std::string> warnings;
  std::string loaded_by;  // the same in a few words
  std::string load_with;  // Component::load_with
};

// Whether AudioCraft can build a model of this lm_model.
bool is_known_model(const std::string& lm_model);

// Throws Error(input, "config.*") for a configuration that AudioCraft cannot build the model from.
// REQUIRES: is_known_model(name.name).
Spec read_spec(const Config& config, const audiocraft::ModelName& name);

// The figures of codec and text encoder that the tensors themselves show. REQUIRES: `state` has the
// tensors of `spec`.
std::vector<FitFact> facts_of_tensors(const audiocraft::State& state, const Spec& spec);

}  // namespace craftbundle::language_model
