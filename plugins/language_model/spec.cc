#include "language_model/spec.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "craftbundle/audiocraft_rules/facts.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "language_model/conditioners.h"
#include "language_model/transformer.h"

namespace craftbundle::language_model {
namespace {

using audiocraft::bad_value;
using audiocraft::fact;
using audiocraft::Range;
using audiocraft::require_key;
using audiocraft::Section;

constexpr Range kCodebookRange = {1, 256};
constexpr Range kCardinalityRange = {1, 1 << 24};
constexpr Range kSampleRateRange = {1, 1'000'000};
constexpr Range kFrameRateRange = {1, 1'000'000};
constexpr Range kChannelRange = {1, 64};
constexpr Range kFeatureRange = {0, 65'536};
constexpr std::size_t kMaxDelays = 256;
constexpr std::int64_t kDelayLimit = 1 << 20;

constexpr std::string_view kTokenModel = "transformer_lm";
constexpr std::string_view kMaskedModel = "transformer_lm_magnet";
constexpr std::string_view kFlowModel = "flow_matching";
constexpr std::array<std::string_view, 5> kPatterns = {"parallel", "delay", "unroll",
                                                       "coarse_first", "musiclm"};

// Arguments that AudioCraft's classes take: any other key under transformer_lm stops it from
// building the model.
constexpr std::array<std::string_view, 32> kTransformerKeys = {"dim",
                                                               "num_heads",
                                                               "num_layers",
                                                               "hidden_scale",
                                                               "n_q",
                                                               "card",
                                                               "dropout",
                                                               "activation",
                                                               "norm_first",
                                                               "bias_ff",
                                                               "bias_attn",
                                                               "bias_proj",
                                                               "past_context",
                                                               "causal",
                                                               "custom",
                                                               "memory_efficient",
                                                               "attention_as_float32",
                                                               "layer_scale",
                                                               "positional_embedding",
                                                               "max_period",
                                                               "positional_scale",
                                                               "xpos",
                                                               "checkpointing",
                                                               "weight_init",
                                                               "depthwise_init",
                                                               "zero_bias_init",
                                                               "norm",
                                                               "cross_attention",
                                                               "qk_layer_norm",
                                                               "qk_layer_norm_cross",
                                                               "attention_dropout",
                                                               "kv_repeat"};
constexpr std::array<std::string_view, 3> kCommonKeys = {"lr", "weight_decay", "layer_norm_eps"};
constexpr std::array<std::string_view, 3> kTokenKeys = {"emb_lr", "two_step_cfg", "q_modeling"};
constexpr std::array<std::string_view, 4> kMaskedKeys = {
    "subcodes_context", "compression_model_framerate", "segment_duration", "span_len"};
constexpr std::array<std::string_view, 7> kFlowKeys = {
    "flow_dim",           "chords_dim",       "drums_dim",      "melody_dim",
    "time_embedding_dim", "skip_connections", "layer_dropout_p"};

enum class Kind { token, masked, flow };

Kind kind_of(const std::string& lm_model) {
  if (lm_model == kTokenModel) return Kind::token;
  return lm_model == kMaskedModel ? Kind::masked : Kind::flow;
}

// From AudioCraft's CHANGELOG.
std::string first_release(Kind kind, const Conditioners& conditioners, bool stereo) {
  if (kind == Kind::flow || conditioners.has("style")) return "1.4";
  if (kind == Kind::masked) return "1.3";
  return stereo ? "1.2" : "1.0";
}

std::string family_name(Kind kind, const Config& config, const Conditioners& conditioners,
                        bool stereo) {
  const std::string solver = config.get_string("solver").value_or(std::string());
  std::string name = kind == Kind::flow     ? "JASCO"
                     : kind == Kind::masked ? "MAGNeT"
                     : solver == "audiogen" ? "AudioGen"
                                            : "MusicGen";
  std::vector<std::string> variants;
  if (solver == "audio_magnet") variants.emplace_back("sounds");
  if (stereo) variants.emplace_back("stereo");
  if (conditioners.has("chroma_stem")) variants.emplace_back("melody");
  if (conditioners.has("style")) variants.emplace_back("style");
  if (conditioners.has("chords_emb")) variants.emplace_back("chords");
  if (conditioners.has("drum_latents")) variants.emplace_back("drums");
  if (conditioners.has("melody")) variants.emplace_back("melody");
  for (std::size_t i = 0; i < variants.size(); ++i) {
    name += (i == 0 ? " (" : ", ") + variants[i];
  }
  return variants.empty() ? name : name + ")";
}

void require_sections(const Config& config, Kind kind) {
  for (const char* key : {"transformer_lm", "attribute_dropout", "conditioners", "fuser",
                          "classifier_free_guidance.training_dropout",
                          "classifier_free_guidance.inference_coef", "dataset.segment_duration"}) {
    require_key(config, key, "AudioCraft's loader");
  }
  if (kind != Kind::flow) require_key(config, "codebooks_pattern.modeling", "AudioCraft's loader");
  if (kind == Kind::masked) {
    require_key(config, "masking.span_len", "AudioCraft's loader of MAGNeT models");
    require_key(config, "transformer_lm.causal", "AudioCraft's loader of MAGNeT models");
  }
  if (kind == Kind::flow) {
    require_key(config, "compression_model_framerate", "AudioCraft's loader of JASCO models");
    for (const char* key : {"compression_model_latent_mean", "compression_model_latent_std"}) {
      require_key(config, key, "generating with JASCO models");
    }
  }
}

void warn_of_unknown_keys(const Config& config, Kind kind, Spec& spec) {
  std::vector<std::string_view> known(kTransformerKeys.begin(), kTransformerKeys.end());
  known.insert(known.end(), kCommonKeys.begin(), kCommonKeys.end());
  if (kind != Kind::flow) known.insert(known.end(), kTokenKeys.begin(), kTokenKeys.end());
  if (kind == Kind::masked) known.insert(known.end(), kMaskedKeys.begin(), kMaskedKeys.end());
  if (kind == Kind::flow) known.insert(known.end(), kFlowKeys.begin(), kFlowKeys.end());
  const std::vector<std::string> unknown =
      audiocraft::unknown_keys(config, "transformer_lm", known);
  if (unknown.empty()) return;
  spec.unknown_keys = unknown;
  spec.warnings.push_back("AudioCraft 1.4 does not know " + list_text(unknown) +
                          " and stops at it when it builds the model");
}

// A list of one number for each of `count` codebooks, ascending, as the patterns assert it.
void check_pattern_list(const Config& config, const std::string& key, std::int64_t count) {
  const auto list = config.get_int_list(key);
  if (!list) return;
  if (static_cast<std::int64_t>(list->size()) != count || list->size() > kMaxDelays) {
    throw bad_value(key + " has " + std::to_string(list->size()) + " items, expected " +
                    std::to_string(count) + " for transformer_lm.n_q");
  }
  const bool in_range = std::all_of(list->begin(), list->end(), [](std::int64_t delay) {
    return delay >= 0 && delay <= kDelayLimit;
  });
  if (!in_range || !std::is_sorted(list->begin(), list->end())) {
    throw bad_value(key + " is " + shape_text(*list) + ", expected ascending numbers from 0");
  }
}

void check_pattern(const Config& config, std::int64_t codebooks) {
  const Section section(config, "codebooks_pattern");
  // Before there were patterns, transformer_lm.q_modeling said the same.
  const bool old = !config.get_string("codebooks_pattern.modeling");
  const std::string pattern =
      old ? Section(config, "transformer_lm").choice("q_modeling", kPatterns)
          : section.choice("modeling", kPatterns);
  if (old) return;
  if (pattern == "delay") check_pattern_list(config, "codebooks_pattern.delay.delays", codebooks);
  if (pattern == "unroll") {
    check_pattern_list(config, "codebooks_pattern.unroll.flattening", codebooks);
    check_pattern_list(config, "codebooks_pattern.unroll.delays", codebooks);
  }
  if (pattern == "coarse_first") {
    check_pattern_list(config, "codebooks_pattern.coarse_first.delays", codebooks - 1);
  }
}

// How the streams of the language model come about from those of the codec.
struct Interleaving {
  bool stereo = false;
  bool per_timestep = false;

  // Streams for each codebook of the codec.
  std::int64_t factor() const { return stereo && !per_timestep ? 2 : 1; }
};

Interleaving read_interleaving(const Config& config) {
  const Section section(config, "interleave_stereo_codebooks");
  Interleaving result;
  result.stereo = section.flag_or("use", false);
  result.per_timestep = section.flag_or("per_timestep", false);
  return result;
}

std::string half_text(std::int64_t streams_per_codebook) {
  return streams_per_codebook == 2 ? "half of " : "";
}

std::string stereo_text(const Interleaving& interleaving) {
  return interleaving.factor() == 2 ? ", as interleave_stereo_codebooks uses the codec twice" : "";
}

void require_codebooks(const Config& config, const Interleaving& interleaving, std::int64_t streams,
                       Spec& spec) {
  if (streams % interleaving.factor() != 0) {
    throw bad_value("transformer_lm.n_q is " + std::to_string(streams) +
                    ", which interleave_stereo_codebooks cannot divide between two channels");
  }
  const std::int64_t codebooks = streams / interleaving.factor();
  spec.streams_per_codebook = interleaving.factor();
  const std::optional<std::int64_t> used = config.get_int("compression_model_n_q");
  if (!used) {
    spec.requires_.push_back(fact(audiocraft::kCodebooks, codebooks,
                                  half_text(interleaving.factor()) +
                                      "transformer_lm.n_q in xp.cfg" + stereo_text(interleaving)));
    return;
  }
  if (*used != codebooks) {
    throw bad_value("compression_model_n_q is " + std::to_string(*used) + ", but " +
                    half_text(interleaving.factor()) + "transformer_lm.n_q is " +
                    std::to_string(codebooks));
  }
  // The loader makes the codec use this many of those it has.
  spec.warnings.push_back("compression_model_n_q asks the codec for " + std::to_string(codebooks) +
                          " of its codebooks: that it has as many is not checked");
}

void require_audio(const Config& config, const Interleaving& interleaving, Spec& spec) {
  if (config.get_int("sample_rate")) {
    const std::int64_t rate = config.require_int("sample_rate");
    if (rate < kSampleRateRange.min || rate > kSampleRateRange.max) {
      throw bad_value("sample_rate is " + std::to_string(rate) + ", expected " +
                      std::to_string(kSampleRateRange.min) + " to " +
                      std::to_string(kSampleRateRange.max));
    }
    spec.requires_.push_back(fact(audiocraft::kSampleRate, rate, "sample_rate in xp.cfg"));
    spec.summary.push_back({"sample rate", audiocraft::hertz_text(static_cast<double>(rate))});
  }
  if (interleaving.stereo) {
    spec.requires_.push_back(fact(audiocraft::kChannels, std::int64_t{1},
                                  "interleave_stereo_codebooks.use in xp.cfg: each channel goes "
                                  "through the codec alone"));
  } else if (const std::optional<std::int64_t> channels = config.get_int("channels")) {
    if (*channels < kChannelRange.min || *channels > kChannelRange.max) {
      throw bad_value("channels is " + std::to_string(*channels) + ", expected 1 to 64");
    }
    spec.requires_.push_back(fact(audiocraft::kChannels, *channels, "channels in xp.cfg"));
  }
}

std::string counted(std::int64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

void add_shape_summary(const Transformer& transformer, Spec& spec) {
  spec.summary.push_back({"transformer", counted(transformer.layers, "layer") + ", width " +
                                             std::to_string(transformer.dim) + ", " +
                                             counted(transformer.heads, "head")});
}

void add_conditioner_findings(const Conditioners& conditioners, Spec& spec) {
  if (!conditioners.kinds.empty()) {
    std::string text;
    for (const std::string& kind : conditioners.kinds) {
      text += (text.empty() ? "" : ", ") + printable(kind, 40);
    }
    spec.summary.push_back({"conditioners", text});
  }
  audiocraft::append(spec.warnings, conditioners.warnings);
  spec.downloads = conditioners.downloads;
  spec.stops_at = conditioners.stops_at;
}

bool fuses_by_cross_attention(const Config& config) {
  const auto fused = config.get_string_list("fuser.cross");
  return fused && !fused->empty();
}

void read_token_model(const Config& config, Kind kind, const Transformer& transformer,
                      const Interleaving& interleaving, Spec& spec) {
  const Section section(config, "transformer_lm");
  const std::int64_t streams = section.integer("n_q", kCodebookRange);
  const std::int64_t cardinality = section.integer("card", kCardinalityRange);
  check_pattern(config, streams);

  const bool bias = section.flag_or("bias_proj", true);
  for (std::int64_t i = 0; i < streams; ++i) {
    // One row more than there are codes: the special token.
    spec.expected.add("emb." + std::to_string(i) + ".weight", {cardinality + 1, transformer.dim});
  }
  add_transformer(transformer, "transformer", spec.expected);
  if (transformer.norm_first) spec.expected.add_norm("out_norm", transformer.dim);
  for (std::int64_t i = 0; i < streams; ++i) {
    spec.expected.add_linear("linears." + std::to_string(i), cardinality, transformer.dim, bias);
  }

  spec.summary.push_back(
      {"codebooks", std::to_string(streams) + " of " + std::to_string(cardinality) + " entries"});
  require_codebooks(config, interleaving, streams, spec);
  spec.requires_.push_back(
      fact(audiocraft::kCardinality, cardinality, "transformer_lm.card in xp.cfg"));
  spec.requires_.push_back(fact(audiocraft::kRenormalize, std::string("no"),
                                "AudioCraft's language models take codes without a scale"));
  if (kind == Kind::masked) {
    spec.requires_.push_back(
        fact(audiocraft::kFrameRate,
             section.integer_or("compression_model_framerate", 50, kFrameRateRange),
             "transformer_lm.compression_model_framerate in xp.cfg"));
  }
}

void read_flow_model(const Config& config, const Transformer& transformer, Spec& spec) {
  const Section section(config, "transformer_lm");
  const std::int64_t flow = section.integer_or("flow_dim", 128, kWidthRange);
  std::int64_t features = flow;
  for (const char* key : {"chords_dim", "drums_dim", "melody_dim"}) {
    features += section.integer_or(key, 0, kFeatureRange);
  }
  const std::int64_t dim = transformer.dim;
  const std::int64_t time = section.integer_or("time_embedding_dim", 128, kWidthRange);
  spec.expected.add_linear("emb", dim, features, false);
  add_transformer(transformer, "transformer", spec.expected);
  if (section.flag_or("skip_connections", false)) {
    for (std::int64_t i = 0; i < transformer.layers / 2; ++i) {
      spec.expected.add_linear("transformer.skip_projections." + std::to_string(i), dim, 2 * dim,
                               true);
    }
  }
  if (transformer.norm_first) spec.expected.add_norm("out_norm", dim);
  spec.expected.add_linear("linear", flow, dim, section.flag_or("bias_proj", true));
  spec.expected.add_linear("temb.dense.0", 4 * time, time, true);
  spec.expected.add_linear("temb.dense.1", 4 * time, 4 * time, true);
  spec.expected.add_linear("temb_proj", dim, 4 * time, true);

  const double frame_rate = config.require_real("compression_model_framerate");
  if (!(frame_rate > 0 && frame_rate <= static_cast<double>(kFrameRateRange.max))) {
    throw bad_value("compression_model_framerate is " + to_string(FactValue(frame_rate)) +
                    ", expected a number of frames per second");
  }
  spec.requires_.push_back(
      fact(audiocraft::kFrameRate, frame_rate, "compression_model_framerate in xp.cfg"));
  spec.requires_.push_back(
      fact(audiocraft::kLatentDimension, flow, "transformer_lm.flow_dim in xp.cfg"));
  spec.requires_.push_back(fact(audiocraft::kCodecClass, std::string(audiocraft::kHuggingFaceClass),
                                "JASCO reaches into the codec, which works only for a reference "
                                "to one on Hugging Face"));
  spec.warnings.emplace_back(
      "JASCO needs chord_to_index_mapping.pkl of the AudioCraft repository where it is loaded");
}

// What set_generation_params() of a class asserts by default: that the model was trained on longer
// segments than it goes forward by when it generates more.
struct Stride {
  std::string_view model;
  int seconds;
  int max_duration;  // of the published models
};
constexpr std::array<Stride, 2> kStrides = {{{"MusicGen", 18, 30}, {"AudioGen", 2, 10}}};

// The line that loads the bundle. get_pretrained() stops at models of short segments; the
// constructor takes another duration, and what get_pretrained() does beside it has to be said.
void add_loading(const Config& config, Spec& spec) {
  const std::string model = spec.family.substr(0, spec.family.find(' '));
  spec.load_with = model + ".get_pretrained('{bundle}')";
  spec.loaded_by = model + ".get_pretrained(DIR)";
  const auto stride = std::ranges::find(kStrides, model, &Stride::model);
  const std::optional<double> segment = config.get_real("dataset.segment_duration");
  if (stride == kStrides.end() || !segment || *segment > stride->seconds) return;
  const std::string duration = "max_duration=" + std::to_string(stride->max_duration);
  spec.load_with = "from audiocraft.models import " + model +
                   ", loaders; d = '{bundle}'; lm = loaders.load_lm_model(d); ";
  if (model == "MusicGen" && config.contains("conditioners.self_wav")) {
    spec.load_with +=
        "wav = lm.condition_provider.conditioners['self_wav']; wav.match_len_on_eval = True; "
        "wav._use_masking = False; ";
  }
  spec.load_with +=
      "model = " + model + "(d, loaders.load_compression_model(d), lm, " + duration + ")";
  spec.loaded_by = model + "(DIR, codec, lm, " + duration +
                   "), as get_pretrained wants more than " + std::to_string(stride->seconds) +
                   " s for dataset.segment_duration";
}

}  // namespace

bool is_known_model(const std::string& lm_model) {
  return lm_model == kTokenModel || lm_model == kMaskedModel || lm_model == kFlowModel;
}

Spec read_spec(const Config& config, const audiocraft::ModelName& name) {
  const Kind kind = kind_of(name.name);
  require_sections(config, kind);
  Spec spec;
  const Interleaving interleaving = read_interleaving(config);
  const Transformer transformer =
      read_transformer(Section(config, "transformer_lm"), fuses_by_cross_attention(config));
  const Conditioners conditioners = add_conditioners(config, transformer.dim, spec.expected);
  spec.family = family_name(kind, config, conditioners, interleaving.stereo);
  spec.summary.push_back({"family", spec.family});
  add_shape_summary(transformer, spec);
  if (kind == Kind::flow) {
    read_flow_model(config, transformer, spec);
  } else {
    read_token_model(config, kind, transformer, interleaving, spec);
  }
  require_audio(config, interleaving, spec);
  add_conditioner_findings(conditioners, spec);
  if (conditioners.text_projections.size() == 1) {
    spec.text_projection = conditioners.text_projections.front();
  }
  spec.since = first_release(kind, conditioners, interleaving.stereo);
  add_loading(config, spec);
  warn_of_unknown_keys(config, kind, spec);
  return spec;
}

std::vector<FitFact> facts_of_tensors(const audiocraft::State& state, const Spec& spec) {
  std::int64_t embeddings = 0;
  std::int64_t entries = 0;
  for (const NamedTensor& named : state.tensors) {
    if (!named.name.starts_with("emb.") || named.name == "emb.weight") continue;
    ++embeddings;
    entries = named.shape().front() - 1;
  }
  std::vector<FitFact> facts;
  for (const FitFact& required : spec.requires_) {
    if (required.name == audiocraft::kCardinality) {
      facts.push_back(fact(audiocraft::kCardinality, entries,
                           "rows of the tensors emb.*.weight, less the special token"));
    }
    if (required.name == audiocraft::kCodebooks) {
      facts.push_back(fact(audiocraft::kCodebooks, embeddings / spec.streams_per_codebook,
                           half_text(spec.streams_per_codebook) + std::to_string(embeddings) +
                               " tensors emb.*.weight"));
    }
  }
  for (const NamedTensor& named : state.tensors) {
    if (named.name != spec.text_projection) continue;
    facts.push_back(
        fact(audiocraft::kTextWidth, named.shape().back(), "columns of the tensor " + named.name));
  }
  return facts;
}

}  // namespace craftbundle::language_model
