#include "encodec/pretrained.h"

#include <algorithm>
#include <array>

#include "craftbundle/detail/base/text.h"

namespace craftbundle::encodec {
namespace {

// Figures as the published configurations state them; `codebooks` are those of the largest
// bandwidth, which AudioCraft uses unless a language model asks for fewer.
constexpr std::array<Pretrained, 4> kPretrained = {{
    {"facebook/encodec_32khz",
     {4, 2048, 32'000, 50.0, 1, 128, false, audiocraft::kHuggingFaceClass}},
    {"facebook/encodec_24khz",
     {32, 1024, 24'000, 75.0, 1, 128, false, audiocraft::kHuggingFaceClass}},
    {"facebook/encodec_48khz",
     {16, 1024, 48'000, 150.0, 2, 128, true, audiocraft::kHuggingFaceClass}},
    // Random weights, for tests of AudioCraft.
    {"debug_compression_model", {4, 400, 32'000, 25.0, 1, 32, false, audiocraft::kEncodecClass}},
}};

// Published models of other families. A reference to them fails only when a bundle is loaded.
struct OtherFamily {
  std::string_view prefix;
  std::string_view what;
  std::string_view instead;
};
constexpr std::array<OtherFamily, 9> kOtherFamilies = {{
    {"facebook/musicgen", "a MusicGen language model",
     "its codec is facebook/encodec_32khz: give that name"},
    {"facebook/audiogen", "an AudioGen language model",
     "its codec is published inside its bundle only: give the compression_state_dict.bin from "
     "there"},
    {"facebook/magnet", "a MAGNeT language model",
     "its codec is facebook/encodec_32khz: give that name"},
    {"facebook/audio-magnet", "a MAGNeT language model",
     "its codec is published inside its bundle only: give the compression_state_dict.bin from "
     "there"},
    {"facebook/jasco", "a JASCO model", "its codec is facebook/encodec_32khz: give that name"},
    {"facebook/multiband-diffusion", "a diffusion decoder, not a codec",
     "it decodes the tokens of facebook/encodec_24khz or facebook/encodec_32khz"},
    {"facebook/audioseal", "a watermark model", "give the name of a codec"},
    {"descript/dac", "a DAC of the transformers library, which AudioCraft cannot load",
     "AudioCraft loads dac_44khz and dac_24khz"},
    {"dac_", "a DAC, not an EnCodec", "AudioCraft loads dac_44khz and dac_24khz"},
}};

bool is_identifier(std::string_view part) {
  if (part.empty() || part.size() > 96) return false;
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  return part.front() != '.' && part.front() != '-' &&
         std::all_of(part.begin(), part.end(), allowed);
}

// "owner/name", as Hugging Face writes it.
bool is_hub_id(std::string_view name) {
  const std::size_t slash = name.find('/');
  return slash != std::string_view::npos && is_identifier(name.substr(0, slash)) &&
         is_identifier(name.substr(slash + 1));
}

}  // namespace

const Pretrained* find_pretrained(std::string_view name) {
  const auto found = std::find_if(kPretrained.begin(), kPretrained.end(),
                                  [&](const Pretrained& known) { return known.name == name; });
  return found == kPretrained.end() ? nullptr : &*found;
}

std::vector<std::string> pretrained_names() {
  std::vector<std::string> names;
  for (const Pretrained& known : kPretrained) names.emplace_back(known.name);
  return names;
}

NameVerdict judge_name(const std::string& name) {
  if (find_pretrained(name)) return {100, name + " is a pretrained codec of AudioCraft", {}};
  for (const OtherFamily& family : kOtherFamilies) {
    if (!std::string_view(name).starts_with(family.prefix)) continue;
    return {0, quoted(name) + " names " + std::string(family.what), std::string(family.instead)};
  }
  const std::vector<std::string> known = pretrained_names();
  const std::optional<std::string> near = nearest(name, known);
  const std::string suggestion =
      near ? "did you mean " + *near + "?" : "known names are " + list_text(known);
  // Everything that facebook publishes as a codec is in the list.
  if (is_hub_id(name) && !name.starts_with("facebook/")) {
    return {
        30, quoted(name) + " may be an EnCodec on Hugging Face, which cannot be checked here", {}};
  }
  return {0, quoted(name) + " is no codec that AudioCraft can load", suggestion};
}

}  // namespace craftbundle::encodec
