// card: a model card for a bundle, made from its manifest.
#include <algorithm>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/bundle.h"
#include "craftbundle/detail/bundle/read.h"
#include "craftbundle/detail/omegaconf/config.h"
#include "craftbundle/detail/pipeline/place.h"
#include "kinds.h"

namespace craftbundle {
namespace {

constexpr std::string_view kAll = "all";

// `text` with a backslash in front of each of these characters.
std::string with_backslashes(std::string_view text, std::string_view characters) {
  std::string result;
  for (const char c : printable(text, 1000)) {
    if (characters.find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

// Text as it is, in a table cell too.
std::string escaped(std::string_view text) { return with_backslashes(text, "\\`*_{}[]<>#|~"); }

// A YAML text in quotes.
std::string yaml_text(std::string_view text) {
  return "\"" + with_backslashes(text, "\"\\") + "\"";
}

// What a reader gives that refuses values of other types.
template <typename Read>
auto value_of(Read&& read) -> decltype(read()) {
  try {
    return read();
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string row(const std::vector<std::string>& cells) {
  std::string text = "|";
  for (const std::string& cell : cells) text += " " + cell + " |";
  return text + "\n";
}

std::string table(const std::vector<std::string>& header,
                  const std::vector<std::vector<std::string>>& rows) {
  std::string text = row(header) + "|";
  for (std::size_t i = 0; i < header.size(); ++i) text += "---|";
  text += "\n";
  for (const std::vector<std::string>& cells : rows) text += row(cells);
  return text + "\n";
}

struct Card {
  std::string title;
  std::string description;
  std::vector<std::pair<std::string, std::vector<std::string>>> metadata;  // one value or several
  std::vector<std::string> config;                                         // keys, or "all"
};

class CardStage final : public Stage {
 public:
  CardStage(StageInput input, Path to, Card card)
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
    std::vector<KeyPart> key = {{"title", card_.title}, {"description", card_.description}};
    for (const auto& [name, values] : card_.metadata) {
      key.push_back({"metadata " + name, join(values, ", ")});
    }
    for (const std::string& name : card_.config) key.push_back({"config " + name, name});
    return key;
  }
  Forecast forecast(const Host& /*host*/) const override { return {}; }

  StageResult run(StageRun& run) const override {
    const std::optional<Manifest> manifest = read_manifest(input_.path);
    if (!manifest) {
      throw Error(ErrorKind::input, "card.manifest",
                  path_text(input_.path) + " has no " + std::string(kManifestFile) +
                      ", of which the card is made",
                  "make the bundle with a bundle stage");
    }
    StageResult result;
    result.bytes = publish_text(text(*manifest, run.host), to_, run);
    return result;
  }

 private:
  std::string text(const Manifest& manifest, const Host& host) const {
    return front_matter() + "# " + escaped(card_.title) + "\n\n" +
           (card_.description.empty() ? std::string() : card_.description + "\n\n") +
           components(manifest) + usage(manifest) + files(manifest) + configurations(host) +
           checks(manifest) + "Made with " + escaped(manifest.producer) + ".\n";
  }

  std::string front_matter() const {
    if (card_.metadata.empty()) return {};
    std::string text = "---\n";
    for (const auto& [name, values] : card_.metadata) {
      text += name + ":";
      if (values.size() == 1) text += " " + yaml_text(values.front());
      text += "\n";
      if (values.size() == 1) continue;
      for (const std::string& value : values) text += "- " + yaml_text(value) + "\n";
    }
    return text + "---\n\n";
  }

  static std::string components(const Manifest& manifest) {
    std::string text = "## Components\n\n";
    for (const ManifestComponent& component : manifest.components) {
      std::vector<std::vector<std::string>> rows;
      for (const SummaryItem& item : component.summary) {
        rows.push_back({escaped(item.name), escaped(item.value)});
      }
      rows.push_back({"made from", escaped(component.source)});
      rows.push_back({"exporter", escaped(component.exporter) + " " +
                                      escaped(component.exporter_version) + ", revision " +
                                      std::to_string(component.exporter_revision)});
      text += table({"**" + escaped(component.role) + "**", ""}, rows);
    }
    return text;
  }

  std::string usage(const Manifest& manifest) const {
    for (const ManifestComponent& component : manifest.components) {
      if (component.load_with.empty()) continue;
      return "## Usage\n\n```python\n" + loading_code(component.load_with, input_.path.filename()) +
             "\n```\n\n";
    }
    return {};
  }

  static std::string files(const Manifest& manifest) {
    std::vector<std::vector<std::string>> rows;
    for (const ManifestFile& file : manifest.files) {
      rows.push_back({"`" + printable(file.name) + "`", human_bytes(file.size),
                      "`" + printable(file.sha256) + "`"});
    }
    return "## Files\n\n" + table({"file", "size", "SHA-256"}, rows);
  }

  std::string configurations(const Host& host) const {
    if (card_.config.empty()) return {};
    const bool all = card_.config.size() == 1 && card_.config.front() == kAll;
    std::string text = "## Training\n\n";
    std::vector<std::vector<std::string>> rows;
    for (const PreparedComponent& prepared : components_of(input_.path, host)) {
      const Component& component = prepared.component;
      if (component.model() == nullptr) continue;
      const Config& config = component.model()->config;
      if (all) {
        text += "<details><summary>Configuration of " + escaped(component.role) +
                "</summary>\n\n```yaml\n" + config.text() + "```\n\n</details>\n\n";
        continue;
      }
      for (const std::string& key : card_.config) {
        if (const std::optional<std::string> value = value_text(config, key)) {
          rows.push_back({escaped(component.role), "`" + printable(key) + "`", escaped(*value)});
        }
      }
    }
    return all ? text : text + table({"component", "key", "value"}, rows);
  }

  static std::optional<std::string> value_text(const Config& config, const std::string& key) {
    if (!config.contains(key)) return std::nullopt;
    if (auto value = value_of([&] { return config.get_string(key); })) return value;
    if (const auto value = value_of([&] { return config.get_bool(key); })) {
      return *value ? "true" : "false";
    }
    if (const auto value = value_of([&] { return config.get_int(key); })) {
      return std::to_string(*value);
    }
    if (const auto value = value_of([&] { return config.get_real(key); })) {
      return number_text(*value);
    }
    if (const auto value = value_of([&] { return config.get_int_list(key); })) {
      return shape_text(*value);
    }
    return std::nullopt;
  }

  static std::string checks(const Manifest& manifest) {
    std::string text = "## Checked\n\n";
    for (const ManifestComponent& component : manifest.components) {
      for (const std::string& check : component.checks) {
        text += "- " + escaped(component.role) + ": " + escaped(check) + "\n";
      }
    }
    for (const FitCheck& check : manifest.fit) {
      if (check.outcome == FitCheck::Outcome::agrees) {
        text += "- fits: " + escaped(to_string(check)) + "\n";
      }
    }
    for (const ManifestComponent& component : manifest.components) {
      for (const std::string& warning : component.warnings) {
        text += "- **note** " + escaped(component.role) + ": " + escaped(warning) + "\n";
      }
    }
    return text + "\n";
  }

  StageInput input_;
  Path to_;
  Card card_;
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
         "Values for model hubs, like license and tags; texts or lists.",
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
    Card card;
    card.title = fields.text("title", inputs.front().path.filename().string());
    card.description = fields.text("description");
    card.config = fields.texts("config");
    if (const YamlNode* metadata = fields.find("metadata")) {
      for (const YamlNode::Entry& entry : metadata->entries) {
        std::vector<std::string> values;
        if (entry.value.type == YamlNode::Type::text) values.push_back(entry.value.text);
        for (const YamlNode& item : entry.value.items) values.push_back(item.text);
        const bool sound =
            entry.value.type != YamlNode::Type::map &&
            std::all_of(entry.value.items.begin(), entry.value.items.end(),
                        [](const YamlNode& item) { return item.type == YamlNode::Type::text; });
        if (!sound) {
          fields.problem(
              entry.value, "script.type",
              quoted(entry.key.text) + " in 'metadata' is neither text nor a list of it");
          continue;
        }
        card.metadata.emplace_back(entry.key.text, std::move(values));
      }
    }
    const Path to = fields.path("to").value_or(inputs.front().path / "README.md");
    return std::make_unique<CardStage>(std::move(inputs.front()), to, std::move(card));
  }
};

}  // namespace

std::unique_ptr<const StageReader> make_card_kind() { return std::make_unique<CardKind>(); }

}  // namespace craftbundle
