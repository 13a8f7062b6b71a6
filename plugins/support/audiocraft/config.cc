#include "craftbundle/audiocraft_rules/config.h"

#include <algorithm>
#include <array>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle::audiocraft {
namespace {

constexpr std::array<std::string_view, 5> kLanguageModelSolvers = {"musicgen", "audiogen", "magnet",
                                                                   "audio_magnet", "jasco"};

constexpr std::string_view kNoExport =
    ", which is no part of a bundle: whoever loads it takes the file as it is";

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string text_of(const Config& config, std::string_view key) {
  return config.get_string(key).value_or(std::string());
}

std::int64_t checked(const std::string& where, std::int64_t value, Range range) {
  if (value < range.min || value > range.max) {
    throw bad_value(where + " is " + std::to_string(value) + ", expected " +
                    std::to_string(range.min) + " to " + std::to_string(range.max));
  }
  return value;
}

std::string checked(const std::string& where, std::string word,
                    std::span<const std::string_view> choices) {
  if (std::find(choices.begin(), choices.end(), word) == choices.end()) {
    const std::vector<std::string> names(choices.begin(), choices.end());
    throw bad_value(where + " is " + quoted(word, 60) + ", expected " +
                    (names.size() == 1 ? "" : "one of ") + list_text(names, names.size()));
  }
  return word;
}

}  // namespace

ModelName model_name(const Config& config) {
  const std::string solver = text_of(config, "solver");
  const std::string with_solver = solver.empty() ? "" : " (solver " + printable(solver, 40) + ")";
  if (const std::string name = text_of(config, "lm_model"); !name.empty()) {
    return {ModelKind::language_model, name,
            "xp.cfg has lm_model: " + printable(name, 40) + with_solver + ": a language model"};
  }
  if (const std::string name = text_of(config, "compression_model"); !name.empty()) {
    return {ModelKind::codec, name,
            "xp.cfg has compression_model: " + printable(name, 40) + with_solver + ": a codec"};
  }
  if (solver == "diffusion" || config.contains("diffusion_unet")) {
    return {ModelKind::other,
            {},
            "xp.cfg is that of a diffusion decoder" + with_solver + std::string(kNoExport)};
  }
  if (solver == "watermark" || config.contains("audioseal")) {
    return {ModelKind::other,
            {},
            "xp.cfg is that of a watermark model" + with_solver + std::string(kNoExport)};
  }
  if (config.contains("transformer_lm") || contains(kLanguageModelSolvers, solver)) {
    return {ModelKind::language_model,
            {},
            "xp.cfg is that of a language model" + with_solver + " but has no lm_model"};
  }
  if (config.contains("seanet") || config.contains("encodec") || solver == "compression") {
    return {ModelKind::codec,
            {},
            "xp.cfg is that of a codec" + with_solver + " but has no compression_model"};
  }
  return {ModelKind::unnamed, {}, "xp.cfg names no model (neither lm_model nor compression_model)"};
}

Section::Section(Config config, std::string base, std::string overriding)
    : config_(std::move(config)), base_(std::move(base)), overriding_(std::move(overriding)) {}

std::string Section::path(std::string_view key) const {
  if (!overriding_.empty()) {
    const std::string special = overriding_ + "." + std::string(key);
    if (config_.contains(special)) return special;
  }
  return base_.empty() ? std::string(key) : base_ + "." + std::string(key);
}

bool Section::has(std::string_view key) const { return config_.contains(path(key)); }

std::int64_t Section::integer(std::string_view key, Range range) const {
  const std::string where = path(key);
  return checked(where, config_.require_int(where), range);
}

std::int64_t Section::integer_or(std::string_view key, std::int64_t fallback, Range range) const {
  const std::string where = path(key);
  return checked(where, config_.get_int(where).value_or(fallback), range);
}

std::vector<std::int64_t> Section::integers(std::string_view key, std::size_t max_items,
                                            Range range) const {
  const std::string where = path(key);
  const std::vector<std::int64_t> items = config_.require_int_list(where);
  if (items.empty() || items.size() > max_items) {
    throw bad_value(where + " has " + std::to_string(items.size()) + " items, expected 1 to " +
                    std::to_string(max_items));
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    checked(where + "[" + std::to_string(i) + "]", items[i], range);
  }
  return items;
}

bool Section::flag_or(std::string_view key, bool fallback) const {
  return config_.get_bool(path(key)).value_or(fallback);
}

std::optional<double> Section::real(std::string_view key) const {
  return config_.get_real(path(key));
}

std::string Section::text_or(std::string_view key, std::string fallback) const {
  return config_.get_string(path(key)).value_or(std::move(fallback));
}

std::string Section::choice(std::string_view key, std::span<const std::string_view> choices) const {
  const std::string where = path(key);
  return checked(where, config_.require_string(where), choices);
}

std::string Section::choice_or(std::string_view key, std::string fallback,
                               std::span<const std::string_view> choices) const {
  return checked(path(key), text_or(key, std::move(fallback)), choices);
}

void require_key(const Config& config, std::string_view key, std::string_view needed_by) {
  if (config.contains(key)) return;
  throw Error(
      ErrorKind::input, "config.missing",
      "xp.cfg has no '" + std::string(key) + "', which " + std::string(needed_by) + " needs",
      "the model cannot be built without it: add the key, with the value used in training");
}

Error bad_value(std::string message, std::string hint) {
  return Error(ErrorKind::input, "config.value", "xp.cfg: " + std::move(message), std::move(hint));
}

std::vector<std::string> unknown_keys(const Config& config, const std::string& section,
                                      std::span<const std::string_view> known) {
  std::vector<std::string> unknown;
  for (const std::string& key : config.keys(section).value_or(std::vector<std::string>())) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      unknown.push_back(section + "." + key);
    }
  }
  return unknown;
}

}  // namespace craftbundle::audiocraft
