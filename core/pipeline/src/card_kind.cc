// card: a model card for a bundle, made from its manifest.
#include <boost/filesystem/operations.hpp>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/pipeline/card.h"
#include "craftbundle/detail/pipeline/place.h"
#include "kinds.h"

namespace craftbundle {
namespace {

// Everything that decides how `node` is written.
std::string text_of(const YamlNode& node) {
  std::string text = node.plain ? "p" : "q";
  text += std::to_string(node.text.size()) + ":" + node.text;
  for (const YamlNode& item : node.items) text += "-" + text_of(item);
  for (const YamlNode::Entry& entry : node.entries) {
    text += "," + text_of(entry.key) + "=" + text_of(entry.value);
  }
  return text;
}

class CardStage final : public Stage {
 public:
  CardStage(StageInput input, Path to, CardOptions card)
      : input_(std::move(input)), to_(std::move(to)), card_(std::move(card)) {
    // Of the bundle, not of other files beside it (the card itself is one).
    input_.whole = false;
  }

  std::vector<StageInput> inputs() const override { return {input_}; }
  std::vector<StageOutput> outputs() const override { return {{"file", to_}}; }
  std::string what() const override {
    return "model card of " + printable(input_.path.filename().string());
  }
  std::vector<KeyPart> key() const override {
    std::vector<KeyPart> key = {
        {"form of the card", "2"}, {"title", card_.title}, {"description", card_.description}};
    for (const YamlNode::Entry& entry : card_.metadata.entries) {
      key.push_back({"metadata " + entry.key.text, text_of(entry.value)});
    }
    for (const std::string& name : card_.config) key.push_back({"config " + name, name});
    return key;
  }
  bool keeps_foreign() const override { return true; }
  Forecast forecast(const Host& /*host*/) const override { return {}; }

  StageResult run(StageRun& run) const override {
    std::string text = make_card(input_.path, card_, run.host);
    StageRun own = run;
    boost::system::error_code ignored;
    if (boost::filesystem::exists(to_, ignored)) {
      const InputFile there(to_);
      if (auto updated = update_card(there.read_text(0, there.size()), text)) {
        text = *std::move(updated);
        own.replace = true;
      } else if (!run.replace) {
        StageResult result;
        result.kept = true;
        result.warnings.push_back(path_text(to_.filename()) +
                                  " was written or changed by hand and stays as it is");
        return result;
      }
    }
    StageResult result;
    result.bytes = publish_text(text, to_, own);
    return result;
  }

 private:
  StageInput input_;
  Path to_;
  CardOptions card_;
};

class CardKind final : public StageReader {
 public:
  std::string name() const override { return "card"; }
  std::string summary() const override { return "Writes a model card (README.md) for a bundle"; }
  std::vector<StageKey> keys() const override {
    using Type = StageKey::Type;
    return {
        {"card", Type::text, true, "Bundle stage or directory.", {}},
        {"to", Type::text, false, "File to write, instead of README.md in the bundle.", {}},
        {"title", Type::text, false, "Title, instead of the name of the bundle's directory.", {}},
        {"description", Type::text, false, "Text in Markdown below the title.", {}},
        {"metadata",
         Type::map,
         false,
         "Front matter for model hubs, like license and tags, written as it stands here.",
         {}},
        {"config",
         Type::text_or_list,
         false,
         "Keys of the training's configuration to show, or all of it: all. None by default, since "
         "configurations hold private paths.",
         {}},
    };
  }

  std::unique_ptr<Stage> read(StageFields& fields) const override {
    std::vector<StageInput> inputs = fields.inputs(*fields.find("card"));
    if (inputs.size() != 1) return nullptr;
    CardOptions card;
    card.title = fields.text("title");
    card.description = fields.text("description");
    card.config = fields.texts("config");
    if (const YamlNode* metadata = fields.find("metadata")) card.metadata = *metadata;
    const Path to = fields.path("to").value_or(inputs.front().path / "README.md");
    return std::make_unique<CardStage>(std::move(inputs.front()), to, std::move(card));
  }
};

}  // namespace

std::unique_ptr<const StageReader> make_card_kind() { return std::make_unique<CardKind>(); }

}  // namespace craftbundle
