#include "craftbundle/audiocraft_rules/facts.h"

#include <utility>

#include "craftbundle/detail/base/text.h"

namespace craftbundle::audiocraft {

FitFact fact(std::string_view name, FactValue value, std::string origin) {
  return {std::string(name), std::move(value), std::move(origin)};
}

std::vector<FitFact> provided_facts(const CodecFigures& figures, const std::string& origin) {
  std::vector<FitFact> facts;
  if (figures.codebooks) facts.push_back(fact(kCodebooks, *figures.codebooks, origin));
  if (figures.cardinality) facts.push_back(fact(kCardinality, *figures.cardinality, origin));
  facts.push_back(fact(kSampleRate, figures.sample_rate, origin));
  facts.push_back(fact(kFrameRate, figures.frame_rate, origin));
  facts.push_back(fact(kChannels, figures.channels, origin));
  facts.push_back(fact(kLatentDimension, figures.latent_dimension, origin));
  facts.push_back(fact(kRenormalize, std::string(figures.renormalize ? "yes" : "no"), origin));
  facts.push_back(fact(kCodecClass, std::string(figures.codec_class), origin));
  return facts;
}

void add_summary(const CodecFigures& figures, std::vector<SummaryItem>& summary) {
  summary.push_back({"sample rate", hertz_text(static_cast<double>(figures.sample_rate))});
  summary.push_back({"frame rate", hertz_text(figures.frame_rate)});
  if (figures.codebooks) {
    std::string text = std::to_string(*figures.codebooks);
    if (figures.cardinality) text += " of " + std::to_string(*figures.cardinality) + " entries";
    summary.push_back({"codebooks", text});
  }
  summary.push_back({"channels", std::to_string(figures.channels)});
  if (figures.renormalize) {
    summary.push_back({"renormalize", "yes: the volume of the input is taken out and put back"});
  }
}

CodecProperties codec_properties(const CodecFigures& figures) {
  CodecProperties properties;
  properties.sample_rate = figures.sample_rate;
  properties.channels = figures.channels;
  properties.codebooks = figures.codebooks.value_or(0);
  properties.cardinality = figures.cardinality.value_or(0);
  properties.latent_dimension = figures.latent_dimension;
  properties.frame_rate = figures.frame_rate;
  return properties;
}

std::vector<LoaderAnswer> loader_answers(const std::string& since, const std::string& how,
                                         const std::vector<std::string>& unknown_keys,
                                         bool needs_network) {
  LoaderAnswer audiocraft{"AudioCraft " + since + " and later", unknown_keys.empty(), needs_network,
                          how};
  if (!unknown_keys.empty()) {
    audiocraft.words = "it stops at " + list_text(unknown_keys) + " of xp.cfg";
  }
  return {
      std::move(audiocraft),
      {"transformers", false, false, "it has files of its own (model.safetensors, config.json)"}};
}

void refuse_loading(std::vector<LoaderAnswer>& loaders, std::string why) {
  if (loaders.empty()) return;
  loaders.front().loads = false;
  loaders.front().needs_network = false;
  loaders.front().words = std::move(why);
}

std::string hertz_text(double hertz) {
  return hertz >= 1000 ? to_string(FactValue(hertz / 1000)) + " kHz"
                       : to_string(FactValue(hertz)) + " Hz";
}

void append(std::vector<std::string>& to, const std::vector<std::string>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace craftbundle::audiocraft
