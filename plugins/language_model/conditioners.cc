#include "language_model/conditioners.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "craftbundle/audiocraft_rules/config.h"
#include "craftbundle/detail/base/text.h"
#include "language_model/transformer.h"

namespace craftbundle::language_model {
namespace {

using audiocraft::bad_value;
using audiocraft::ExpectedState;
using audiocraft::kAnySize;
using audiocraft::Range;
using audiocraft::Section;

constexpr Range kCountRange = {1, 1 << 24};
constexpr Range kCodebookRange = {0, 256};
constexpr Range kRadixRange = {1, 24};
constexpr std::size_t kMaxConditioners = 64;

// Width of the text encoders that AudioCraft has a size for.
struct TextEncoder {
  std::string_view name;
  std::int64_t width;
};
constexpr std::array<TextEncoder, 8> kTextEncoders = {{{"t5-small", 512},
                                                       {"t5-base", 768},
                                                       {"t5-large", 1024},
                                                       {"t5-3b", 1024},
                                                       {"t5-11b", 1024},
                                                       {"google/flan-t5-small", 512},
                                                       {"google/flan-t5-base", 768},
                                                       {"google/flan-t5-large", 1024}}};

// Sizes of the transformer in a style conditioner.
struct StyleScale {
  std::string_view name;
  std::int64_t dim;
  std::int64_t heads;
  std::int64_t layers;  // 0: no transformer
};
constexpr std::array<StyleScale, 4> kStyleScales = {
    {{"xsmall", 256, 8, 4}, {"large", 1024, 16, 24}, {"default", 512, 8, 8}, {"none", 512, 1, 0}}};
constexpr std::array<std::string_view, 4> kStyleNames = {"xsmall", "large", "default", "none"};
constexpr std::array<std::string_view, 2> kFeatureModels = {"encodec", "mert"};
constexpr std::int64_t kMertWidth = 768;

// One conditioner: its settings, the name of its module, and where findings go.
struct Context {
  const Section& settings;
  const std::string& module;  // "condition_provider.conditioners.description"
  std::int64_t dim;
  ExpectedState& expected;
  Conditioners& result;
};

void add_projection(const Context& context, std::int64_t in) {
  context.expected.add_linear(context.module + ".output_proj", context.dim, in, true);
}

// Whether `name` is one of a file system, which nobody fetches: those of a hub are NAME or
// OWNER/NAME.
bool is_path(std::string_view name) {
  return name.starts_with('/') || name.starts_with('.') || name.starts_with('~') ||
         name.find('\\') != std::string_view::npos || std::ranges::count(name, '/') > 1;
}

void add_t5(const Context& context) {
  const std::string name = context.settings.text_or("name", "");
  const auto known = std::find_if(kTextEncoders.begin(), kTextEncoders.end(),
                                  [&](const TextEncoder& encoder) { return encoder.name == name; });
  if (known == kTextEncoders.end()) {
    const std::string key = context.settings.path("name");
    context.result.stops_at =
        key + ": " + quoted(name, 60) + ", as it takes T5 by certain names only";
    context.result.warnings.push_back(
        "AudioCraft has no size for the text encoder " + quoted(name, 60) + " of " + key +
        " and stops at it: the width of its projection is not checked");
  }
  add_projection(context, known == kTextEncoders.end() ? kAnySize : known->width);
  context.result.text_projections.push_back(context.module + ".output_proj.weight");
  if (context.settings.flag_or("finetune", false)) {
    context.expected.add_unchecked({context.module + ".t5.", "the fine-tuned text encoder", true});
  }
  if (!is_path(name)) {
    context.result.downloads.push_back({printable(name, 60), std::string(kTextEncoderRole)});
  }
}

void add_lookup_table(const Context& context) {
  const std::int64_t width = context.settings.integer("dim", kWidthRange);
  add_projection(context, width);
  context.expected.add(context.module + ".embed.weight",
                       {context.settings.integer("n_bins", kCountRange), width});
}

void add_chroma(const Context& context) {
  add_projection(context, context.settings.integer("n_chroma", kWidthRange));
  const std::int64_t window = context.settings.integer_or(
      "winlen", std::int64_t{1} << context.settings.integer("radix2_exp", kRadixRange),
      kCountRange);
  context.expected.add(context.module + ".chroma.spec.window", {window});
  context.result.downloads.push_back({"htdemucs"});
}

void add_clap(const Context& context) {
  const std::int64_t width = context.settings.integer("dim", kWidthRange);
  add_projection(context, width);
  if (context.settings.flag_or("quantize", true)) {
    context.expected.add_codebooks(context.module + ".quantizer",
                                   context.settings.integer_or("n_q", 12, kCodebookRange),
                                   context.settings.integer_or("bins", 1024, kCountRange), width);
  }
  context.result.downloads.push_back({"roberta-base"});
  context.result.warnings.push_back("the CLAP weights of " + context.settings.path("checkpoint") +
                                    " must be at the same place where the bundle is loaded");
}

void add_style(const Context& context) {
  const Section& settings = context.settings;
  const std::string scale_name = settings.choice_or("transformer_scale", "default", kStyleNames);
  const StyleScale& scale =
      *std::find_if(kStyleScales.begin(), kStyleScales.end(),
                    [&](const StyleScale& candidate) { return candidate.name == scale_name; });
  add_projection(context, scale.dim);
  if (settings.choice("model_name", kFeatureModels) == "mert") {
    context.expected.add_linear(context.module + ".embed", scale.dim, kMertWidth, true);
    context.result.downloads.push_back({"m-a-p/MERT-v1-95M"});
  } else {
    const std::int64_t books = settings.integer_or("encodec_n_q", 4, kCodebookRange);
    for (std::int64_t i = 0; i < books; ++i) {
      context.expected.add(context.module + ".embed." + std::to_string(i) + ".weight",
                           {kAnySize, scale.dim});
    }
    const std::string checkpoint = settings.text_or("encodec_checkpoint", "");
    if (is_path(checkpoint) && !checkpoint.starts_with("//pretrained/")) {
      context.result.warnings.push_back("the codec of " + settings.path("encodec_checkpoint") +
                                        " must be at the same place where the bundle is loaded");
    } else {
      context.result.downloads.push_back({printable(checkpoint, 60)});
    }
  }
  Transformer transformer;
  transformer.dim = scale.dim;
  transformer.heads = scale.heads;
  transformer.layers = scale.layers;
  transformer.feed_forward = 4 * scale.dim;
  transformer.custom = true;
  transformer.bias_attention = false;
  transformer.bias_feed_forward = false;
  add_transformer(transformer, context.module + ".transformer", context.expected);
  context.expected.add_codebooks(context.module + ".rvq",
                                 settings.integer_or("n_q_out", 6, kCodebookRange),
                                 settings.integer_or("bins", 1024, kCountRange), scale.dim);
  if (settings.flag_or("batch_norm", true)) {
    const std::string norm = context.module + ".batch_norm.";
    context.expected.add(norm + "running_mean", {scale.dim});
    context.expected.add(norm + "running_var", {scale.dim});
    context.expected.add_counter(norm + "num_batches_tracked");
  }
}

void add_chords(const Context& context) {
  // One more than there are chords: the null chord.
  context.expected.add(context.module + ".emb.weight",
                       {context.settings.integer("card", kCountRange) + 1,
                        context.settings.integer("out_dim", kWidthRange)});
}

void add_drums(const Context& context) {
  const std::int64_t out = context.settings.integer("out_dim", kWidthRange);
  const std::int64_t latent =
      context.settings.integer_or("compression_model_latent_dim", 128, kWidthRange);
  context.expected.add_linear(context.module + ".output_proj", out, latent, true);
  // AudioCraft assigns the codec to the conditioner, and so saves it a second time.
  context.expected.add_unchecked(
      {context.module + ".compression_model.", "the codec that encodes drums", true});
  context.result.downloads.push_back({"htdemucs"});
}

void add_melody(const Context& context) {
  context.expected.add_linear(context.module + ".output_proj",
                              context.settings.integer("out_dim", kWidthRange),
                              context.settings.integer("card", kWidthRange), true);
}

using Adder = void (*)(const Context&);
constexpr std::array<std::pair<std::string_view, Adder>, 8> kAdders = {{{"t5", add_t5},
                                                                        {"lut", add_lookup_table},
                                                                        {"chroma_stem", add_chroma},
                                                                        {"clap", add_clap},
                                                                        {"style", add_style},
                                                                        {"chords_emb", add_chords},
                                                                        {"drum_latents", add_drums},
                                                                        {"melody", add_melody}}};

}  // namespace

bool Conditioners::has(const std::string& kind) const {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

Conditioners add_conditioners(const Config& config, std::int64_t dim, ExpectedState& expected) {
  Conditioners result;
  const auto names = config.keys("conditioners").value_or(std::vector<std::string>());
  if (names.size() > kMaxConditioners) {
    throw bad_value("conditioners has " + std::to_string(names.size()) +
                    " entries, expected at most " + std::to_string(kMaxConditioners));
  }
  for (const std::string& name : names) {
    if (name == "args") continue;  // of the provider that holds them all
    const std::string path = "conditioners." + name;
    const std::string kind = config.require_string(path + ".model");
    const std::string module = "condition_provider.conditioners." + name;
    result.kinds.push_back(kind);
    const auto adder = std::find_if(kAdders.begin(), kAdders.end(),
                                    [&](const auto& entry) { return entry.first == kind; });
    if (adder == kAdders.end()) {
      expected.add_unchecked({module + ".", "conditioner " + quoted(name, 60), false});
      result.warnings.push_back("AudioCraft 1.4 does not know the conditioner " + quoted(kind, 60) +
                                " of " + printable(path, 80) +
                                ": its tensors are taken as they are");
      continue;
    }
    audiocraft::require_key(config, path + "." + kind, path + ".model");
    const Section settings(config, path + "." + kind);
    adder->second({settings, module, dim, expected, result});
  }
  std::ranges::stable_sort(result.downloads, {}, &Fetched::name);
  const auto twice = std::ranges::unique(result.downloads, {}, &Fetched::name);
  result.downloads.erase(twice.begin(), twice.end());
  return result;
}

}  // namespace craftbundle::language_model
