#include "card.h"

#include "craftbundle/detail/base/text.h"
#include "craftbundle/layout_json.h"
#include "notes.h"

namespace craftbundle::transformers {
namespace {

const char* what_it_is(const Component& component) {
  if (component.role == kLanguageModelRole) return "language model";
  return component.role == kTextEncoderRole ? "text encoder" : "audio codec";
}

// Markdown takes some characters for its own.
std::string plain(const std::string& text) {
  std::string result;
  for (const char c : printable(text, 200)) {
    if (std::string_view("\\`*_{}[]<>#|").find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

}  // namespace

std::string card_text(const std::vector<Component>& components, const CardFacts& facts,
                      const std::string& use) {
  std::string text = "---\nlibrary_name: transformers\n";
  if (facts.generates) text += "pipeline_tag: text-to-audio\n";
  // A word in quotes is YAML whatever it holds.
  if (!facts.license.empty()) text += "license: " + layout_json::Json(facts.license).dump() + "\n";
  text += "---\n\n# " + facts.model_class + "\n\n";
  text += "Made from models of AudioCraft by Craftbundle.\n\n";
  for (const Component& component : components) {
    text += std::string("* ") + what_it_is(component) + ":";
    bool first = true;
    for (const SummaryItem& item : component.summary) {
      text += std::string(first ? " " : ", ") + plain(item.name) + " " + plain(item.value);
      first = false;
    }
    text += "\n";
  }
  std::string code = use;
  const std::size_t place = code.find("{bundle}");
  if (place != std::string::npos) code.replace(place, 8, ".");
  text += "\n```python\n" + code + "\n```\n";
  if (facts.generates) {
    text += "\nAudioCraft samples with `top_k=250`, transformers with 50 unless told otherwise.\n";
  }
  if (facts.melody) text += "\n" + std::string(kMelodyNote) + ".\n";
  return text;
}

}  // namespace craftbundle::transformers
