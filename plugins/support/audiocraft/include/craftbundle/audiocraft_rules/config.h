// What the configuration of an AudioCraft training says about the model.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/omegaconf/config.h"

namespace craftbundle::audiocraft {

// What kind of model a configuration describes.
enum class ModelKind {
  language_model,
  codec,
  other,    // known, but neither: a diffusion decoder, a watermark
  unnamed,  // names no model at all
};

struct ModelName {
  ModelKind kind = ModelKind::unnamed;
  std::string name;   // value of lm_model or compression_model; empty when that key is missing
  std::string words;  // "xp.cfg has lm_model: transformer_lm (solver musicgen): a language model"
};

// Throws only what Config throws.
ModelName model_name(const Config& config);

// Bounds of a number. Every size is held against one before anything is computed from it.
struct Range {
  std::int64_t min = 1;
  std::int64_t max = 1;
};

// A mapping of a configuration; the whole of it when `base` is empty. With `overriding`, keys found
// there win, as AudioCraft merges seanet.decoder into seanet. A key that is null counts as absent,
// and a default of AudioCraft's code takes its place.
//
// Throws Error(input): "config.missing" for a required key, "config.type", and "config.value" for a
// number outside its range or a word that is none of the choices.
class Section {
 public:
  Section(Config config, std::string base, std::string overriding = {});

  bool has(std::string_view key) const;
  std::int64_t integer(std::string_view key, Range range) const;
  std::int64_t integer_or(std::string_view key, std::int64_t fallback, Range range) const;
  // Each item in range, at least one and at most `max_items`.
  std::vector<std::int64_t> integers(std::string_view key, std::size_t max_items,
                                     Range range) const;
  bool flag_or(std::string_view key, bool fallback) const;
  std::optional<double> real(std::string_view key) const;
  std::string text_or(std::string_view key, std::string fallback) const;
  std::string choice(std::string_view key, std::span<const std::string_view> choices) const;
  std::string choice_or(std::string_view key, std::string fallback,
                        std::span<const std::string_view> choices) const;
  // The full name of the key that counts: "seanet.decoder.n_filters".
  std::string path(std::string_view key) const;

 private:
  Config config_;
  std::string base_;
  std::string overriding_;
};

// Throws Error(input, "config.missing") unless the key exists (null counts), saying who needs it.
void require_key(const Config& config, std::string_view key, std::string_view needed_by);

// Error(input, "config.value").
Error bad_value(std::string message, std::string hint = {});

// Keys of the mapping `section` that are none of `known`, as full names.
std::vector<std::string> unknown_keys(const Config& config, const std::string& section,
                                      std::span<const std::string_view> known);

}  // namespace craftbundle::audiocraft
