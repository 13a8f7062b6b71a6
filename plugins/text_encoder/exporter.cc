#include "text_encoder/exporter.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "craftbundle/audiocraft_rules/facts.h"
#include "craftbundle/audiocraft_rules/package.h"
#include "craftbundle/audiocraft_rules/state.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/layout_json.h"
#include "text_encoder/spec.h"

namespace craftbundle::text_encoder {
namespace {

constexpr std::string_view kFamily = "t5";
constexpr std::string_view kTypeKey = "model_type";
constexpr std::string_view kVocabulary = "tokenizer.json";
constexpr std::string_view kPieces = "spiece.model";
constexpr std::string_view kTokenizerConfig = "tokenizer_config.json";

const ModelFile* find_file(const Model& model, std::string_view name) {
  const auto found = std::ranges::find(model.files, name, &ModelFile::name);
  return found == model.files.end() ? nullptr : &*found;
}

// transformers 4 builds the tokenizer from its pieces when this key is there.
bool needs_pieces(const Model& model) {
  const ModelFile* file = find_file(model, kTokenizerConfig);
  if (file == nullptr) return false;
  const std::vector<const InputFile*> sources = file->content->sources();
  if (sources.size() != 1) return false;
  const layout_json::Json json = with_context(std::string(kTokenizerConfig), [&] {
    return layout_json::parse(text_of(*sources.front(), kMaxReadTextBytes));
  });
  return json.is_object() && json.contains("add_prefix_space");
}

void check_tokenizer(const Model& model, Component& component) {
  std::vector<std::string> there;
  for (const std::string_view name : {kVocabulary, kPieces}) {
    if (find_file(model, name) != nullptr) there.emplace_back(name);
  }
  if (there.empty()) {
    throw Error(ErrorKind::input, "text_encoder.tokenizer",
                "there is no tokenizer: neither " + std::string(kVocabulary) + " nor " +
                    std::string(kPieces) + " lies beside the weights",
                "put these files of the same T5 beside them; a tokenizer cannot be made again");
  }
  component.checks.push_back("the tokenizer is there (" + join(there, ", ") + ")");
  if (find_file(model, kPieces) == nullptr && needs_pieces(model)) {
    component.warnings.push_back(
        std::string(kPieces) +
        " is not there, without which transformers 4 makes no tokenizer of "
        "a tokenizer_config.json that has add_prefix_space");
  }
}

void describe_model(const Settings& settings, Component& component) {
  component.provides = {
      audiocraft::fact(audiocraft::kTextWidth, settings.d_model, "d_model in config.json")};
  component.summary = {{"family", "T5 (encoder)"},
                       {"transformer", std::to_string(settings.num_layers) + " layers, width " +
                                           std::to_string(settings.d_model) + ", " +
                                           std::to_string(settings.num_heads) + " heads"},
                       {"feed forward", "width " + std::to_string(settings.d_ff) + ", " +
                                            settings.feed_forward_proj},
                       {"vocabulary", std::to_string(settings.vocab_size) + " entries"}};
}

Component prepare_model(const Model& model) {
  Component component;
  component.role = kTextEncoderRole;
  const Spec spec =
      with_context(std::string("config.json"), [&] { return read_spec(model.config); });
  const audiocraft::State state{
      model.origin.empty() ? "the model" : model.origin, model.tensors, {}};
  component.checks = check_state(state, spec.expected, "config.json");
  describe_model(spec.settings, component);
  check_tokenizer(model, component);
  component.content = model;
  return component;
}

}  // namespace

ExporterInfo T5Exporter::info() const {
  using Kind = AcceptedSource::Kind;
  return {{std::string(kFamily),
           "Encoder of a T5, which makes vectors of text for language models",
           1,
           {}},
          std::string(kTextEncoderRole),
          {{Kind::model,
            "T5 in a folder of transformers, or of a bundle",
            // What AudioCraft calls t5-small and so on.
            {"google-t5/t5-small", "google-t5/t5-base", "google-t5/t5-large", "google-t5/t5-3b",
             "google-t5/t5-11b"}}}};
}

Probe T5Exporter::probe(const Source& source) const {
  if (source.kind() != AcceptedSource::Kind::model) return {0, "is no model that a layout read"};
  if (source.model().family == kFamily) return {100, "the model is a T5"};
  try {
    const auto type = source.model().config.get_string(kTypeKey);
    if (type == kFamily) return {100, "model_type is t5"};
    return {0, type ? "model_type is " + quoted(*type, 60) + ", not t5"
                    : std::string("the configuration has no model_type")};
  } catch (const Error& error) {
    return {0, error.message()};
  }
}

Component T5Exporter::prepare(const ExportRequest& request, ExportContext& /*context*/) const {
  if (request.source.kind() != AcceptedSource::Kind::model) {
    throw Error(ErrorKind::input, "package.layout",
                craftbundle::quoted(request.source.given()) + " is no model that a layout read",
                "give the folder of the text encoder");
  }
  return audiocraft::naming_source(request, [&] { return prepare_model(request.source.model()); });
}

}  // namespace craftbundle::text_encoder
