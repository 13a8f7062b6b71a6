#include "write.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "card.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "dac.h"
#include "encodec.h"
#include "language_model.h"
#include "names.h"
#include "notes.h"
#include "problems.h"
#include "stash.h"
#include "text_encoder.h"

namespace craftbundle::transformers {
namespace {

// Releases from this one on read the folder; the number decides how they read some of its values.
constexpr const char* kTransformers = "4.44.0";

const Component* find(const std::vector<Component>& components, std::string_view role) {
  const auto found = std::ranges::find(components, role, &Component::role);
  return found == components.end() ? nullptr : &*found;
}

// The model of a component, or why there is none.
const Model* model_of(const Component& component, Problems& problems) {
  if (const Model* model = component.model()) return model;
  const std::string& name = std::get<Reference>(component.content).name;
  problems.add("the " + component.role + " component is only a name, " + craftbundle::quoted(name) +
                   ", and no weights",
               "give its weights: a training checkpoint, an exported file, or a folder of "
               "transformers; --embed takes them from the local cache of the hub");
  return nullptr;
}

BundleFile json_file(const std::string& name, const Json& json, std::vector<std::string> roles) {
  return {name, std::move(roles), text_file(json.dump(2) + "\n")};
}

// The one type of all weights: that of each, or the widest. Half precision comes in two kinds, and
// only float32 holds both.
DType common_type(const std::vector<NamedTensor>& tensors) {
  std::optional<DType> common;
  for (const NamedTensor& named : tensors) {
    const DType dtype = named.dtype();
    if (!is_floating(dtype)) continue;
    if (!common) common = dtype;
    if (*common == dtype) continue;
    common = *common == DType::float64 || dtype == DType::float64 ? DType::float64 : DType::float32;
  }
  return common.value_or(DType::float32);
}

// Counters of a codec's codebooks: their sums do not fit half precision, and nothing computes with
// them.
bool is_counter(std::string_view name) {
  return name.ends_with(".codebook.cluster_size") || name.ends_with(".codebook.embed_avg") ||
         name.ends_with(".codebook.inited");
}

// Casts to one type, which is returned.
DType unify(std::vector<NamedTensor>& tensors) {
  std::vector<NamedTensor> weights;
  std::ranges::copy_if(tensors, std::back_inserter(weights),
                       [](const NamedTensor& named) { return !is_counter(named.name); });
  const DType common = common_type(weights);
  const bool is_half = item_size(common) < 4;
  for (NamedTensor& named : tensors) {
    if (!is_floating(named.dtype()) || (is_half && is_counter(named.name))) continue;
    named.tensor = cast(named.tensor, common);
  }
  return common;
}

void refuse_twice(const std::vector<NamedTensor>& tensors) {
  std::vector<std::string_view> names;
  for (const NamedTensor& named : tensors) names.push_back(named.name);
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  if (twice == names.end()) return;
  throw Error(ErrorKind::mismatch, "layout.tensors",
              "two tensors would have the name " + craftbundle::quoted(*twice),
              "take one of the two forms of these weights out of the source");
}

void add_weights(const std::vector<NamedTensor>& tensors, const std::vector<std::string>& roles,
                 const WriteChoices& choices, std::vector<BundleFile>& files) {
  refuse_twice(tensors);
  const ShardPlan plan = plan_shards(tensors, choices.shard_bytes, "model");
  for (const ShardPlan::Shard& shard : plan.shards) {
    // transformers asks for the format, and nothing else is understood by all releases.
    files.push_back({shard.file, roles, safetensors_file(shard.tensors, {{"format", "pt"}})});
  }
  if (!plan.index_file.empty()) files.push_back({plan.index_file, roles, text_file(plan.index)});
}

void add_stash(const Stash& stash, std::vector<BundleFile>& files) {
  if (!stash.empty()) files.push_back({kStashFile, {}, stash.file()});
}

Json with_origin(Json config, DType dtype) {
  config["torch_dtype"] = std::string(name(dtype));
  config["transformers_version"] = kTransformers;
  return config;
}

std::vector<BundleFile> plan_codec(const Component& component, const WriteChoices& choices) {
  Problems problems;
  const Model* model = model_of(component, problems);
  problems.refuse_any();
  const bool is_dac = model->family == "dac";
  Part part = is_dac ? dac_part(*model, problems) : encodec_part(*model, std::nullopt, problems);
  problems.refuse_any();
  const std::string model_class = is_dac ? "DacModel" : "EncodecModel";
  part.config["architectures"] = {model_class};
  const DType dtype = unify(part.tensors);
  const std::vector<std::string> roles = {component.role};
  const std::string use =
      "from transformers import AutoModel; model = AutoModel.from_pretrained('{bundle}')";
  std::vector<BundleFile> files;
  files.push_back(json_file("config.json", with_origin(part.config, dtype), roles));
  files.back().use = use;
  files.push_back(
      json_file("preprocessor_config.json",
                is_dac ? dac_preprocessor(part.config) : encodec_preprocessor(part.config), roles));
  add_weights(part.tensors, roles, choices, files);
  Stash stash;
  if (part.reversible) stash.add(component.role, *model, {});
  add_stash(stash, files);
  files.push_back(
      {"README.md",
       {},
       text_file(card_text({component}, {model_class, choices.license, false, false}, use))});
  return files;
}

void add_tokenizer(const Model& text, std::vector<BundleFile>& files) {
  for (const ModelFile& file : text.files) {
    files.push_back({file.name, {std::string(kTextEncoderRole)}, file.content});
  }
}

std::vector<BundleFile> plan_text_encoder(const Component& component, const WriteChoices& choices) {
  Problems problems;
  const Model* model = model_of(component, problems);
  problems.refuse_any();
  Part part = text_part(*model);
  const DType dtype = unify(part.tensors);
  const std::vector<std::string> roles = {component.role};
  std::vector<BundleFile> files;
  files.push_back(json_file("config.json", with_origin(part.config, dtype), roles));
  files.back().use =
      "from transformers import T5EncoderModel; model = T5EncoderModel.from_pretrained('{bundle}')";
  add_weights(part.tensors, roles, choices, files);
  add_tokenizer(*model, files);
  return files;
}

// What the language model needs of the two beside it.
void check_company(const LanguageModelPart& lm, const Component* codec, const Component* text,
                   Problems& problems) {
  if (codec == nullptr) {
    problems.add("there is no codec, and transformers keeps it in the same model",
                 "give it with --compression");
  } else if (const Model* model = model_of(*codec, problems);
             model != nullptr && model->family != "encodec") {
    problems.add("the codec is a model of " + craftbundle::quoted(model->family) +
                     ", and MusicGen of transformers generates with EnCodec only",
                 "--layout audiocraft takes any codec");
  }
  if (text == nullptr) {
    const std::string name = lm.text_encoder.empty() ? "t5-base" : lm.text_encoder;
    problems.add("there is no text encoder, and transformers keeps it in the same model",
                 "give it with --text-encoder " + name);
    return;
  }
  const Model* model = model_of(*text, problems);
  if (model == nullptr) return;
  const std::int64_t width = model->config.get_int("d_model").value_or(0);
  if (width == lm.width) {
    problems.add("transformer_lm.dim is " + std::to_string(width) +
                     ", the width of the text encoder too: transformers then builds no "
                     "enc_to_dec_proj, which the model has",
                 "--layout audiocraft or safetensors takes it as it is");
  }
}

// Tensors of ours that have no place there, and are not what would be made again.
std::vector<NamedTensor> unplaced(const Model& model) {
  std::vector<NamedTensor> tensors;
  std::ranges::copy_if(model.tensors, std::back_inserter(tensors), [](const NamedTensor& named) {
    return named.name.ends_with(".chroma.spec.window");
  });
  return tensors;
}

std::vector<BundleFile> plan_language_model(const std::vector<Component>& components,
                                            const WriteChoices& choices) {
  const Component& language = *find(components, kLanguageModelRole);
  const Component* codec = find(components, kCompressionRole);
  const Component* text = find(components, kTextEncoderRole);
  Problems problems;
  const Model* model = model_of(language, problems);
  problems.refuse_any();
  LanguageModelPart lm = language_model_part(*model, problems);
  check_company(lm, codec, text, problems);
  Part codec_part;
  const Model* codec_model = codec == nullptr ? nullptr : codec->model();
  if (codec_model != nullptr && codec_model->family == "encodec") {
    Problems of_codec;
    codec_part = encodec_part(*codec_model, lm.codebooks, of_codec);
    problems.append(of_codec);
  }
  problems.refuse_any();

  Part text_encoder = text_part(*text->model());
  if (!lm.text_tensors.empty()) text_encoder.tensors = lm.text_tensors;
  std::vector<NamedTensor> tensors = lm.tensors;
  for (NamedTensor& named : prefixed("audio_encoder.", codec_part.tensors)) {
    tensors.push_back(std::move(named));
  }
  for (NamedTensor& named : prefixed("text_encoder.", text_encoder.tensors)) {
    tensors.push_back(std::move(named));
  }
  const DType dtype = unify(tensors);
  const Json config = language_model_config(lm, codec_part.config, text_encoder.config);
  const std::string model_class = config.at("architectures").at(0).get<std::string>();
  const std::string use = "from transformers import " + model_class + "; model = " + model_class +
                          ".from_pretrained('{bundle}')";

  const std::string lm_role(kLanguageModelRole);
  const std::string codec_role(kCompressionRole);
  const std::vector<std::string> roles = {lm_role, codec_role, std::string(kTextEncoderRole)};
  std::vector<BundleFile> files;
  files.push_back(json_file("config.json", with_origin(config, dtype), roles));
  files.back().use = use;
  if (lm.melody) files.back().warnings = {std::string(kMelodyNote)};
  Json generation = generation_config(lm, encodec_frame_rate(codec_part.config));
  generation["transformers_version"] = kTransformers;
  files.push_back(json_file("generation_config.json", generation, {lm_role}));
  files.push_back(json_file("preprocessor_config.json",
                            language_model_preprocessor(lm, codec_part.config), {lm_role}));
  add_weights(tensors, roles, choices, files);
  add_tokenizer(*text->model(), files);
  Stash stash;
  if (lm.reversible) stash.add(lm_role, *model, unplaced(*model));
  if (codec_part.reversible) stash.add(codec_role, *codec_model, {});
  add_stash(stash, files);
  files.push_back(
      {"README.md",
       {},
       text_file(card_text(components, {model_class, choices.license, lm.melody, true}, use))});
  return files;
}

}  // namespace

std::vector<BundleFile> plan_folder(const std::vector<Component>& components,
                                    const WriteChoices& choices) {
  if (find(components, kLanguageModelRole) != nullptr) {
    return plan_language_model(components, choices);
  }
  if (components.size() > 1) {
    throw Error(
        ErrorKind::mismatch, "layout.role",
        "a folder of transformers holds one model, and without a language model these are " +
            std::to_string(components.size()),
        "write each with 'craftbundle export --layout transformers'");
  }
  const Component& only = components.front();
  return only.role == kTextEncoderRole ? plan_text_encoder(only, choices)
                                       : plan_codec(only, choices);
}

}  // namespace craftbundle::transformers
