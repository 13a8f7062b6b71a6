#include "language_model.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "craftbundle/audiocraft_rules/config.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "encodec.h"
#include "generated.h"
#include "json_fields.h"
#include "language_model/spec.h"
#include "language_model/transformer.h"
#include "names.h"
#include "text_encoder.h"

namespace craftbundle::transformers {
namespace {

using audiocraft::Section;
using language_model::Transformer;

// transformers' tables of positions; longer ones are possible, and nobody writes them.
constexpr std::int64_t kPositions = 2048;
constexpr std::int64_t kMostStreams = 256;
constexpr double kLongestSegment = 86'400;  // seconds
constexpr const char* kDecoder = "decoder.model.decoder.";
constexpr const char* kWindow = "condition_provider.conditioners.self_wav.chroma.spec.window";
constexpr const char* kRetrain = "only a model trained otherwise could be expressed";
constexpr const char* kOtherLayout = "--layout audiocraft or safetensors takes it as it is";

std::string text_of(bool value) { return value ? "true" : "false"; }
std::string text_of(std::int64_t value) { return std::to_string(value); }

// The settings of the language model that decide what is computed, each as transformers has it.
void check_transformer(const Config& config, const Transformer& transformer, Problems& problems) {
  const Section section(config, "transformer_lm");
  const auto flag = [&](const char* key, bool found, bool expected) {
    if (found != expected) {
      problems.differs(std::string("transformer_lm.") + key, text_of(found), text_of(expected),
                       kRetrain);
    }
  };
  const auto word = [&](const char* key, const std::string& fallback, const char* expected) {
    const std::string found = section.text_or(key, fallback);
    if (found != expected) {
      problems.differs(section.path(key), found, expected, kRetrain);
    }
  };
  flag("norm_first", transformer.norm_first, true);
  flag("bias_ff", transformer.bias_feed_forward, false);
  flag("bias_attn", transformer.bias_attention, false);
  flag("bias_proj", section.flag_or("bias_proj", true), false);
  flag("causal", section.flag_or("causal", false), true);
  flag("qk_layer_norm", transformer.qk_norm, false);
  flag("qk_layer_norm_cross", transformer.cross_attention && transformer.qk_norm_cross, false);
  word("activation", "relu", "gelu");
  word("norm", "layer_norm", "layer_norm");
  word("positional_embedding", "sin", "sin");
  if (const auto past = config.get_int("transformer_lm.past_context")) {
    problems.differs("transformer_lm.past_context", text_of(*past), "null", kRetrain);
  }
  const auto real = [&](const char* key, double expected) {
    const double found = section.real(key).value_or(expected);
    if (found != expected) {
      problems.differs(section.path(key), float_text(found), float_text(expected), kRetrain);
    }
  };
  real("positional_scale", 1.0);
  real("max_period", 10'000.0);
  real("layer_norm_eps", 1e-5);
}

// Of codebook k of a codec, in the order of the streams.
std::vector<std::int64_t> delays_of(std::int64_t streams, std::int64_t channels) {
  std::vector<std::int64_t> delays;
  for (std::int64_t i = 0; i < streams; ++i) delays.push_back(i / channels);
  return delays;
}

void check_pattern(const Config& config, std::int64_t streams, std::int64_t channels,
                   Problems& problems) {
  const std::string pattern =
      config.get_string("codebooks_pattern.modeling")
          .value_or(config.get_string("transformer_lm.q_modeling").value_or(""));
  if (pattern != "delay") {
    problems.differs("codebooks_pattern.modeling", pattern, "delay", kOtherLayout);
    return;
  }
  const std::vector<std::int64_t> expected = delays_of(streams, channels);
  const auto delays = config.get_int_list("codebooks_pattern.delay.delays");
  // Without a list AudioCraft counts up, whatever the channels.
  const std::vector<std::int64_t> found = delays.value_or(delays_of(streams, 1));
  if (found != expected) {
    problems.differs("codebooks_pattern.delay.delays", shape_text(found), shape_text(expected),
                     kOtherLayout);
  }
  for (const char* key : {"flatten_first", "empty_initial"}) {
    const std::string path = std::string("codebooks_pattern.delay.") + key;
    const std::int64_t value = config.get_int(path).value_or(0);
    if (value != 0) problems.differs(path, text_of(value), "0", kOtherLayout);
  }
}

std::vector<std::string> list_at(const Config& config, const char* key) {
  return config.get_string_list(key).value_or(std::vector<std::string>());
}

// Which of the two models it is: conditioned by text alone, or by a melody too.
bool check_conditions(const Config& config, Problems& problems) {
  std::vector<std::string> kinds;
  bool melody = false;
  bool text = false;
  for (const std::string& name : config.keys("conditioners").value_or(std::vector<std::string>())) {
    if (name == "args") continue;
    const std::string kind = config.get_string("conditioners." + name + ".model").value_or("");
    text = text || (name == "description" && kind == "t5");
    melody = melody || (name == "self_wav" && kind == "chroma_stem");
    kinds.push_back(name + " (" + kind + ")");
  }
  const std::size_t expected = melody ? 2 : 1;
  if (!text || kinds.size() != expected) {
    problems.differs("conditioners", kinds.empty() ? "empty" : join(kinds, ", "),
                     "description (t5), with or without self_wav (chroma_stem)", kOtherLayout);
    return melody;
  }
  const auto check = [&](const char* key, const std::vector<std::string>& wanted) {
    const std::string path = std::string("fuser.") + key;
    const std::vector<std::string> found = list_at(config, path.c_str());
    if (found == wanted) return;
    problems.differs(path, found.empty() ? "empty" : join(found, ", "),
                     wanted.empty() ? "empty" : join(wanted, ", "), kOtherLayout);
  };
  check("sum", {});
  check("input_interpolate", {});
  check("cross", melody ? std::vector<std::string>{} : std::vector<std::string>{"description"});
  check("prepend",
        melody ? std::vector<std::string>{"self_wav", "description"} : std::vector<std::string>{});
  if (!melody && config.get_bool("fuser.cross_attention_pos_emb").value_or(false)) {
    problems.differs("fuser.cross_attention_pos_emb", "true", "false", kOtherLayout);
  }
  return melody;
}

NameTable table_of(const Transformer& transformer, bool melody, std::int64_t window) {
  NameTable table;
  const std::string layer = "transformer.layers.<n>.";
  const std::string there = std::string(kDecoder) + "layers.<n>.";
  const auto attention = [&](const std::string& ours, const std::string& theirs) {
    const std::string name = layer + ours + (transformer.custom ? "." : ".mha.");
    table.split(name + "in_proj_weight",
                {there + theirs + ".q_proj.weight", there + theirs + ".k_proj.weight",
                 there + theirs + ".v_proj.weight"});
    table.rename(name + "out_proj.weight", there + theirs + ".out_proj.weight");
  };
  table.rename("emb.<n>.weight", std::string(kDecoder) + "embed_tokens.<n>.weight");
  attention("self_attn", "self_attn");
  table.rename(layer + "linear1.weight", there + "fc1.weight");
  table.rename(layer + "linear2.weight", there + "fc2.weight");
  table.rename(layer + "norm1.<word>", there + "self_attn_layer_norm.<word>");
  table.rename(layer + "norm2.<word>", there + "final_layer_norm.<word>");
  if (!melody) {
    attention("cross_attention", "encoder_attn");
    table.rename(layer + "norm_cross.<word>", there + "encoder_attn_layer_norm.<word>");
  }
  table.rename("out_norm.<word>", std::string(kDecoder) + "layer_norm.<word>");
  table.rename("linears.<n>.weight", "decoder.lm_heads.<n>.weight");
  table.rename("condition_provider.conditioners.description.output_proj.<word>",
               "enc_to_dec_proj.<word>");
  if (melody) {
    table.rename("condition_provider.conditioners.self_wav.output_proj.<word>",
                 "audio_enc_to_dec_proj.<word>");
    table.ours_only(kWindow, hann_window(window));
  }
  table.theirs_only(std::string(kDecoder) + "embed_positions.weights",
                    sinusoidal_positions(kPositions, transformer.dim));
  return table;
}

// AudioCraft takes the tensors of torch's attention with the name of their module and without.
std::string with_module_of_torch(std::string name) {
  constexpr std::string_view kModule = "mha.";
  for (const std::string_view attention : {".self_attn.", ".cross_attention."}) {
    const std::size_t at = name.find(attention);
    if (!name.starts_with("transformer.") || at == std::string::npos) continue;
    const std::size_t rest = at + attention.size();
    if (name.compare(rest, kModule.size(), kModule) != 0) name.insert(rest, kModule);
  }
  return name;
}

NamedTensor* find(std::vector<NamedTensor>& tensors, const std::string& name) {
  const auto found = std::ranges::find(tensors, name, &NamedTensor::name);
  return found == tensors.end() ? nullptr : &*found;
}

// Multiplies the rows of a layer's weight with the layer scale behind it.
void fold_layer_scales(const Transformer& transformer, std::vector<NamedTensor>& tensors) {
  const std::string out = transformer.custom ? ".out_proj.weight" : ".mha.out_proj.weight";
  const std::pair<const char*, std::string> kScales[] = {
      {"layer_scale_1", "self_attn" + out},
      {"layer_scale_2", "linear2.weight"},
      {"layer_scale_cross", "cross_attention" + out}};
  for (std::int64_t i = 0; i < transformer.layers; ++i) {
    const std::string layer = "transformer.layers." + std::to_string(i) + ".";
    for (const auto& [scale, weight] : kScales) {
      const NamedTensor* factors = find(tensors, layer + scale + ".scale");
      NamedTensor* scaled = find(tensors, layer + weight);
      if (factors == nullptr || scaled == nullptr) continue;
      scaled->tensor = ComputedTensor{
          scaled->dtype(), scale_rows(elements_of(*scaled), elements_of(*factors)), scaled->name};
    }
  }
  std::erase_if(tensors, [](const NamedTensor& named) {
    return named.name.find(".layer_scale_") != std::string::npos && named.name.ends_with(".scale");
  });
}

// Writes each head of keys and values as often as it is used.
void repeat_heads(const Transformer& transformer, std::vector<NamedTensor>& tensors) {
  const std::int64_t width = transformer.dim / transformer.heads;
  const std::int64_t heads = transformer.heads / transformer.kv_repeat;
  for (std::int64_t i = 0; i < transformer.layers; ++i) {
    NamedTensor* projection =
        find(tensors, "transformer.layers." + std::to_string(i) + ".self_attn.in_proj_weight");
    if (projection == nullptr) continue;
    const TensorContent all = projection->tensor;
    std::vector<TensorContent> parts = {row_range(all, 0, transformer.dim)};
    for (std::int64_t head = 0; head < 2 * heads; ++head) {
      const TensorContent rows = row_range(all, transformer.dim + head * width, width);
      parts.insert(parts.end(), static_cast<std::size_t>(transformer.kv_repeat), rows);
    }
    projection->tensor = concatenate(parts);
  }
}

std::int64_t integer_of(const Config& config, const char* key, std::int64_t fallback) {
  return config.get_int(key).value_or(fallback);
}

void check_melody(const Config& config, LanguageModelPart& part, Problems& problems) {
  const std::string chroma = "conditioners.self_wav.chroma_stem.";
  part.chroma = config.require_int(chroma + "n_chroma");
  const std::int64_t radix = config.require_int(chroma + "radix2_exp");
  part.window = std::int64_t{1} << std::clamp<std::int64_t>(radix, 4, 24);
  const std::int64_t given = integer_of(config, (chroma + "winlen").c_str(), part.window);
  if (given != part.window) {
    problems.differs(chroma + "winlen", text_of(given), text_of(part.window), kOtherLayout);
  }
  if (part.segment_duration != std::floor(part.segment_duration)) {
    problems.differs("dataset.segment_duration", float_text(part.segment_duration),
                     "whole seconds, as transformers cuts melodies by them",
                     "only a model trained on segments of whole seconds could be expressed");
  }
}

}  // namespace

LanguageModelPart language_model_part(const Model& model, Problems& problems) {
  LanguageModelPart part;
  const Config& config = model.config;
  const std::string kind = config.get_string("lm_model").value_or("");
  if (kind != "transformer_lm") {
    problems.differs("lm_model", kind, "transformer_lm",
                     "transformers has no class for this model; --layout audiocraft or safetensors "
                     "takes it as it is");
    return part;
  }
  const Section section(config, "transformer_lm");
  const Transformer transformer =
      language_model::read_transformer(section, !list_at(config, "fuser.cross").empty());
  check_transformer(config, transformer, problems);
  const bool stereo = config.get_bool("interleave_stereo_codebooks.use").value_or(false);
  if (stereo && config.get_bool("interleave_stereo_codebooks.per_timestep").value_or(false)) {
    problems.differs("interleave_stereo_codebooks.per_timestep", "true", "false", kOtherLayout);
  }
  const std::int64_t channels = stereo ? 2 : 1;
  const std::int64_t streams = config.require_int("transformer_lm.n_q");
  check_pattern(config, streams, channels, problems);
  part.melody = check_conditions(config, problems);
  part.codebooks = streams / channels;
  part.width = transformer.dim;
  part.text_encoder = config.get_string("conditioners.description.t5.name").value_or("");
  part.segment_duration = config.require_real("dataset.segment_duration");
  part.guidance = config.require_real("classifier_free_guidance.inference_coef");
  part.sample_rate = integer_of(config, "sample_rate", 32'000);
  if (!(part.segment_duration > 0 && part.segment_duration <= kLongestSegment)) {
    problems.differs("dataset.segment_duration", float_text(part.segment_duration),
                     "more than 0 seconds and at most a day", kOtherLayout);
  }
  if (part.melody) check_melody(config, part, problems);
  if (!problems.empty()) return part;

  const std::int64_t card = config.require_int("transformer_lm.card");
  const double dropout = section.real("dropout").value_or(0.0);
  part.config = {{"model_type", part.melody ? "musicgen_melody_decoder" : "musicgen_decoder"},
                 {"vocab_size", card},
                 {"max_position_embeddings", kPositions},
                 {"num_hidden_layers", transformer.layers},
                 {"ffn_dim", transformer.feed_forward},
                 {"num_attention_heads", transformer.heads},
                 {"hidden_size", transformer.dim},
                 {"num_codebooks", streams},
                 {"audio_channels", channels},
                 {"activation_function", "gelu"},
                 {"dropout", dropout},
                 {"attention_dropout", section.real("attention_dropout").value_or(dropout)},
                 {"activation_dropout", 0.0},
                 {"layerdrop", 0.0},
                 {"initializer_factor", 0.02},
                 {"scale_embedding", false},
                 {"use_cache", true},
                 {"tie_word_embeddings", false},
                 {"pad_token_id", card},
                 {"bos_token_id", card},
                 // Training with labels asks for it here, not in generation_config.json.
                 {"decoder_start_token_id", card},
                 {"eos_token_id", nullptr}};

  std::vector<NamedTensor> tensors;
  for (NamedTensor named : model.tensors) {
    if (!transformer.custom) named.name = with_module_of_torch(std::move(named.name));
    if (named.name.starts_with(kTrainedText)) {
      part.text_tensors.push_back({named.name.substr(kTrainedText.size()), named.tensor});
    } else {
      tensors.push_back(named);
    }
  }
  part.reversible = !transformer.layer_scale && transformer.kv_repeat == 1;
  if (transformer.layer_scale) fold_layer_scales(transformer, tensors);
  if (transformer.kv_repeat > 1) repeat_heads(transformer, tensors);
  part.tensors = table_of(transformer, part.melody, part.window).to_theirs(tensors);
  return part;
}

Json language_model_config(const LanguageModelPart& lm, const Json& codec, const Json& text) {
  Json config = {
      {"model_type", lm.melody ? "musicgen_melody" : "musicgen"},
      {"architectures",
       {lm.melody ? "MusicgenMelodyForConditionalGeneration" : "MusicgenForConditionalGeneration"}},
      {"is_encoder_decoder", !lm.melody},
      {"initializer_factor", 0.02},
      {"decoder", lm.config},
      {"audio_encoder", codec},
      {"text_encoder", text}};
  if (lm.melody) {
    config["num_chroma"] = lm.chroma;
    const double samples = static_cast<double>(lm.sample_rate) * lm.segment_duration;
    config["chroma_length"] =
        1 + static_cast<std::int64_t>(std::floor(samples / static_cast<double>(lm.window / 4)));
  }
  return config;
}

Json generation_config(const LanguageModelPart& lm, std::int64_t frame_rate) {
  const Json& card = lm.config.at("vocab_size");
  return {{"_from_model_config", true},
          {"decoder_start_token_id", card},
          {"pad_token_id", card},
          {"bos_token_id", card},
          {"do_sample", true},
          {"guidance_scale", lm.guidance},
          {"max_length",
           static_cast<std::int64_t>(lm.segment_duration * static_cast<double>(frame_rate))}};
}

Json language_model_preprocessor(const LanguageModelPart& lm, const Json& codec) {
  if (!lm.melody) {
    Json config = encodec_preprocessor(codec);
    config["processor_class"] = "MusicgenProcessor";
    config["feature_size"] = lm.config.at("audio_channels");
    config["padding_side"] = "left";
    return config;
  }
  const auto seconds = static_cast<std::int64_t>(lm.segment_duration);
  return {{"feature_extractor_type", "MusicgenMelodyFeatureExtractor"},
          {"processor_class", "MusicgenMelodyProcessor"},
          {"feature_size", lm.chroma},
          {"num_chroma", lm.chroma},
          {"n_fft", lm.window},
          {"hop_length", lm.window / 4},
          {"chunk_length", seconds},
          {"n_samples", seconds * lm.sample_rate},
          {"sampling_rate", lm.sample_rate},
          {"padding_side", "right"},
          {"padding_value", 0.0},
          {"return_attention_mask", false},
          // Of Demucs' sources: other and vocals.
          {"stem_indices", {3, 2}}};
}

bool is_of_language_model(std::string_view name) {
  return name.starts_with("decoder.") || name.starts_with("enc_to_dec_proj.") ||
         name.starts_with("audio_enc_to_dec_proj.");
}

Model language_model(const Json& json, const SideFiles& side, std::vector<NamedTensor> tensors) {
  const Fields whole(json, "model");
  const bool melody = whole.text("model_type", "") == "musicgen_melody";
  for (const char* key : {"decoder", "audio_encoder", "text_encoder"}) {
    if (whole.has(key)) continue;
    throw Error(
        ErrorKind::input, "layout.config",
        "is a folder of transformers, but its config.json has no " + craftbundle::quoted(key) +
            ", from which the model is built",
        "get config.json again from where the model was made; transformers writes it whole");
  }
  const Fields decoder(whole.object("decoder"), "decoder");
  const Json& codec_json = whole.object("audio_encoder");
  const Fields codec(codec_json, "audio codec");
  const Fields generation(side.generation, "generation configuration");
  const Fields preprocessor(side.preprocessor, "feature extractor");
  const auto number = [](std::int64_t value) { return std::to_string(value); };

  const std::int64_t width = decoder.integer("hidden_size", 1024);
  const std::int64_t feed_forward = decoder.integer("ffn_dim", 4096);
  const std::int64_t streams = decoder.integer("num_codebooks", 4);
  const std::int64_t channels = decoder.integer("audio_channels", 1);
  if (streams < 1 || streams > kMostStreams) {
    throw decoder.refuse("num_codebooks", number(streams), "1 to " + number(kMostStreams));
  }
  if (channels < 1 || channels > 2 || streams % channels != 0) {
    throw decoder.refuse("audio_channels", number(channels), "1 or 2, which divides num_codebooks");
  }
  decoder.word("activation_function", "gelu", {"gelu"});
  if (decoder.flag("scale_embedding", false)) {
    throw decoder.refuse("scale_embedding", "true", "false, as AudioCraft scales none");
  }
  const std::int64_t rate = codec.integer("sampling_rate", 24'000);
  const std::int64_t frames = encodec_frame_rate(codec_json);
  const std::int64_t window = preprocessor.integer("n_fft", 16'384);
  const bool audiogen = !melody && rate == 16'000;
  double seconds =
      static_cast<double>(generation.integer("max_length", (audiogen ? 10 : 30) * frames)) /
      static_cast<double>(std::max<std::int64_t>(frames, 1));
  if (melody) seconds = static_cast<double>(preprocessor.integer("chunk_length", 30));
  const std::string duration = seconds == std::floor(seconds)
                                   ? number(static_cast<std::int64_t>(seconds))
                                   : float_text(seconds);
  const auto list = [&](const std::vector<std::int64_t>& numbers, const std::string& indent) {
    std::string text;
    for (const std::int64_t one : numbers) text += "\n" + indent + "- " + number(one);
    return text;
  };
  const double scale =
      static_cast<double>(feed_forward) / static_cast<double>(std::max<std::int64_t>(width, 1));
  const std::int64_t used = streams / channels;
  const std::int64_t has = encodec_codebooks(codec_json);

  std::string text = "device: cpu\ndtype: float32\n";
  text += std::string("solver: ") + (audiogen ? "audiogen" : "musicgen") + "\n";
  text += "sample_rate: " + number(rate) + "\nchannels: " + number(channels) + "\n";
  text += "compression_model_n_q: " + (used < has ? number(used) : std::string("null")) + "\n";
  text += "dataset:\n  segment_duration: " + duration + "\n";
  text += "classifier_free_guidance:\n  training_dropout: 0.1\n  inference_coef: " +
          float_text(generation.real("guidance_scale", 3.0)) + "\n";
  text += melody ? "attribute_dropout:\n  args:\n    active_on_eval: false\n  text: {}\n"
                   "  wav:\n    self_wav: 0.5\n"
                 : "attribute_dropout: {}\n";
  text +=
      "fuser:\n  cross_attention_pos_emb: false\n  cross_attention_pos_emb_scale: 1\n  sum: []\n";
  text += melody ? "  prepend:\n  - self_wav\n  - description\n  cross: []\n"
                 : "  prepend: []\n  cross:\n  - description\n";
  text += "  input_interpolate: []\nconditioners:\n";
  if (melody) {
    text +=
        "  self_wav:\n    model: chroma_stem\n    chroma_stem:\n      sample_rate: "
        "${sample_rate}\n";
    text += "      n_chroma: " + number(whole.integer("num_chroma", 12)) + "\n";
    text += "      radix2_exp: " +
            number(static_cast<std::int64_t>(
                std::log2(static_cast<double>(std::max<std::int64_t>(window, 2))))) +
            "\n";
    text +=
        "      argmax: true\n      match_len_on_eval: false\n      eval_wavs: null\n"
        "      n_eval_wavs: 100\n      cache_path: null\n";
  }
  text += "  description:\n    model: t5\n    t5:\n      name: " +
          text_encoder_name(whole.object("text_encoder")) +
          "\n      finetune: false\n      word_dropout: 0.0\n      normalize_text: false\n";
  text += std::string("interleave_stereo_codebooks:\n  use: ") + text_of(channels == 2) +
          "\n  per_timestep: false\n";
  text += "lm_model: transformer_lm\ncodebooks_pattern:\n  modeling: delay\n  delay:\n    delays:" +
          list(delays_of(streams, channels), "    ") +
          "\n    flatten_first: 0\n    empty_initial: 0\n";
  text += "transformer_lm:\n  dim: " + number(width) + "\n";
  text += "  num_heads: " + number(decoder.integer("num_attention_heads", 16)) + "\n";
  text += "  num_layers: " + number(decoder.integer("num_hidden_layers", 24)) + "\n";
  text +=
      "  hidden_scale: " +
      (scale == std::floor(scale) ? number(static_cast<std::int64_t>(scale)) : float_text(scale)) +
      "\n";
  text += "  n_q: " + number(streams) + "\n  card: " + number(decoder.integer("vocab_size", 2048)) +
          "\n";
  text += "  dropout: " + float_text(decoder.real("dropout", 0.1)) + "\n  emb_lr: null\n";
  text +=
      "  activation: gelu\n  norm_first: true\n  bias_ff: false\n  bias_attn: false\n"
      "  bias_proj: false\n  past_context: null\n  causal: true\n  custom: false\n"
      "  memory_efficient: true\n  attention_as_float32: false\n  layer_scale: null\n"
      "  positional_embedding: sin\n  xpos: false\n  checkpointing: none\n"
      "  weight_init: gaussian\n  depthwise_init: current\n  zero_bias_init: true\n"
      "  norm: layer_norm\n  cross_attention: false\n  qk_layer_norm: false\n"
      "  qk_layer_norm_cross: false\n";
  text += "  attention_dropout: " + float_text(decoder.real("attention_dropout", 0.0)) + "\n";
  text += "  kv_repeat: 1\n  two_step_cfg: false\n";

  Model model;
  model.family = "language_model";
  model.config = Config::from_yaml(std::move(text));
  const Transformer transformer =
      language_model::read_transformer(Section(model.config, "transformer_lm"), !melody);
  model.tensors = table_of(transformer, melody, window).to_ours(tensors);
  const language_model::Spec spec =
      language_model::read_spec(model.config, audiocraft::model_name(model.config));
  order_by(spec.expected.names(), model.tensors);
  return model;
}

std::vector<TensorAlias> language_model_aliases(const Model& model) {
  Problems problems;
  const Config& config = model.config;
  if (config.get_string("lm_model").value_or("") != "transformer_lm") return {};
  const Transformer transformer = language_model::read_transformer(
      Section(config, "transformer_lm"), !list_at(config, "fuser.cross").empty());
  if (transformer.kv_repeat != 1 || transformer.layer_scale) return {};
  const bool melody = check_conditions(config, problems);
  if (!problems.empty()) return {};
  return table_of(transformer, melody, 0).aliases(model.tensors);
}

}  // namespace craftbundle::transformers
