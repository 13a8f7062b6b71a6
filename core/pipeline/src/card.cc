#include "craftbundle/detail/pipeline/card.h"

#include <algorithm>
#include <regex>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/bundle.h"
#include "craftbundle/detail/bundle/read.h"
#include "craftbundle/detail/io/sha256.h"
#include "craftbundle/detail/omegaconf/config.h"

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

// Of text that YAML takes for true, false, null or a number.
bool is_typed(std::string_view text) {
  if (text == "true" || text == "false" || text == "null") return true;
  static const std::regex kNumber("-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?");
  return text.size() < 40 && std::regex_match(text.begin(), text.end(), kNumber);
}

// Text that is read as text without quotes, by readers of YAML 1.1 too.
bool is_plain_text(std::string_view text) {
  static const std::regex kWords("[A-Za-z][A-Za-z0-9_./+-]*( [A-Za-z0-9_./+-]+)*");
  static const std::regex kOther("y|n|yes|no|on|off|true|false|null", std::regex::icase);
  return text.size() < 200 && std::regex_match(text.begin(), text.end(), kWords) &&
         !std::regex_match(text.begin(), text.end(), kOther);
}

std::string yaml_scalar(const YamlNode& node) {
  if (node.plain && is_typed(node.text)) return node.text;
  if (is_plain_text(node.text)) return node.text;
  std::string text;
  for (const char c : node.text) {
    if (c == '"' || c == '\\') text += '\\';
    if (c == '\n') {
      text += "\\n";
    } else if (c == '\t') {
      text += "\\t";
    } else {
      text += c;
    }
  }
  constexpr std::size_t kLongest = 10'000;
  return "\"" + printable(text, kLongest) + "\"";
}

// `node` below a key, or an item of a list, which is `indent` deep.
std::string yaml_value(const YamlNode& node, std::size_t indent) {
  const std::string margin(indent, ' ');
  std::string text;
  switch (node.type) {
    case YamlNode::Type::text:
      return " " + yaml_scalar(node) + "\n";
    case YamlNode::Type::list:
      if (node.items.empty()) return " []\n";
      for (const YamlNode& item : node.items) {
        std::string value = yaml_value(item, indent + 2);
        // The first key of a map stands behind the dash.
        if (value.front() == '\n') value = " " + value.substr(1 + indent + 2);
        text += margin + "-" + value;
      }
      return "\n" + text;
    case YamlNode::Type::map:
      if (node.entries.empty()) return " {}\n";
      for (const YamlNode::Entry& entry : node.entries) {
        text +=
            margin + yaml_scalar(entry.key) + ":" +
            yaml_value(entry.value, entry.value.type == YamlNode::Type::list ? indent : indent + 2);
      }
      return "\n" + text;
  }
  return text;
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

std::string components(const Manifest& manifest) {
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

// The line of code that loads the bundle; empty: there is none.
std::string load_with(const Manifest& manifest) {
  for (const ManifestComponent& component : manifest.components) {
    if (!component.load_with.empty()) return component.load_with;
  }
  return {};
}

std::string usage(const Manifest& manifest, const Path& directory) {
  std::string code = load_with(manifest);
  if (code.empty()) return {};
  // A statement a line.
  for (std::size_t at = 0; (at = code.find("; ", at)) != std::string::npos;) {
    code.replace(at, 2, "\n");
  }
  std::string lines;
  for (std::size_t at = 0; at <= code.size();) {
    const std::size_t end = std::min(code.find('\n', at), code.size());
    lines += loading_code(code.substr(at, end - at), directory.filename()) + "\n";
    at = end + 1;
  }
  return "## Usage\n\nIn the directory that holds `" + printable(directory.filename().string()) +
         "`:\n\n```python\n" + lines + "```\n\n";
}

std::string files(const Manifest& manifest) {
  std::vector<std::vector<std::string>> rows;
  for (const ManifestFile& file : manifest.files) {
    rows.push_back(
        {"`" + printable(file.name) + "`", human_bytes(file.size), "`" + digest_text(file) + "`"});
  }
  return "## Files\n\n" + table({"file", "size", "SHA-256"}, rows);
}

std::optional<std::string> value_text(const Config& config, const std::string& key) {
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

std::string configurations(const Path& directory, const CardOptions& options, const Host& host) {
  if (options.config.empty()) return {};
  const bool all = options.config.size() == 1 && options.config.front() == kAll;
  std::string text = "## Training\n\n";
  std::vector<std::vector<std::string>> rows;
  for (const PreparedComponent& prepared : components_of(directory, host)) {
    const Component& component = prepared.component;
    if (component.model() == nullptr) continue;
    const Config& config = component.model()->config;
    if (all) {
      text += "<details><summary>Configuration of " + escaped(component.role) +
              "</summary>\n\n```yaml\n" + config.text() + "```\n\n</details>\n\n";
      continue;
    }
    for (const std::string& key : options.config) {
      if (const std::optional<std::string> value = value_text(config, key)) {
        rows.push_back({escaped(component.role), "`" + printable(key) + "`", escaped(*value)});
      }
    }
  }
  return all ? text : text + table({"component", "key", "value"}, rows);
}

std::string checks(const Manifest& manifest) {
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

// Front matter ---------------------------------------------------------------------------------

YamlNode text_node(std::string text) {
  YamlNode node;
  node.text = std::move(text);
  return node;
}

YamlNode list_node(const std::vector<std::string>& texts) {
  YamlNode node;
  node.type = YamlNode::Type::list;
  for (const std::string& text : texts) node.items.push_back(text_node(text));
  return node;
}

// The package that the first import of `code` names.
std::string library_of(const std::string& code) {
  static const std::regex kImport("(?:from|import) ([A-Za-z_][A-Za-z0-9_]*)");
  std::smatch match;
  const bool found =
      std::regex_search(code, match, kImport, std::regex_constants::match_continuous);
  return found ? match[1].str() : std::string();
}

// "Some Family" as hubs write tags: "some-family".
std::string tag_of(const std::string& family) {
  std::string tag;
  for (const char c : family) {
    const bool is_word = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (is_word) tag += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (!is_word && !tag.empty() && tag.back() != '-') tag += '-';
  }
  while (tag.ends_with('-')) tag.pop_back();
  return tag;
}

bool is_hub_name(const std::string& name) {
  static const std::regex kName("[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*");
  return name.size() < 200 && std::regex_match(name, kName);
}

const ManifestComponent* component_of(const Manifest& manifest, std::string_view role) {
  const auto found = std::ranges::find(manifest.components, role, &ManifestComponent::role);
  return found == manifest.components.end() ? nullptr : &*found;
}

std::vector<YamlNode::Entry> defaults(const Manifest& manifest) {
  std::vector<YamlNode::Entry> entries;
  const auto add = [&](const char* key, YamlNode value) {
    entries.push_back({text_node(key), std::move(value)});
  };
  if (const std::string library = library_of(load_with(manifest)); !library.empty()) {
    add("library_name", text_node(library));
  }
  const ManifestComponent* model = component_of(manifest, kLanguageModelRole);
  const bool is_codec = component_of(manifest, kCompressionRole) != nullptr;
  if (model != nullptr || is_codec) {
    add("pipeline_tag", text_node(model != nullptr ? "text-to-audio" : "audio-to-audio"));
  }
  std::vector<std::string> tags;
  for (const ManifestComponent& component : manifest.components) {
    for (const SummaryItem& item : component.summary) {
      std::string tag = item.name == "family" ? tag_of(item.value) : std::string();
      if (!tag.empty() && std::ranges::count(tags, tag) == 0) tags.push_back(std::move(tag));
    }
  }
  if (!tags.empty()) add("tags", list_node(tags));
  if (model != nullptr && is_hub_name(model->source)) {
    add("base_model", text_node(model->source));
  }
  return entries;
}

std::string front_matter(const Manifest& manifest, const YamlNode& given) {
  YamlNode all;
  all.type = YamlNode::Type::map;
  for (const YamlNode::Entry& entry : given.entries) {
    const bool is_empty = entry.value.type == YamlNode::Type::text && entry.value.text.empty();
    if (!is_empty) all.entries.push_back(entry);
  }
  for (YamlNode::Entry& entry : defaults(manifest)) {
    if (given.find(entry.key.text) == nullptr) all.entries.push_back(std::move(entry));
  }
  return all.entries.empty() ? std::string() : yaml_value(all, 0).substr(1);
}

// Marks ----------------------------------------------------------------------------------------

// How the parts that are rewritten begin and end. Behind the beginning stands a digest of the part,
// by which it is known that nobody has changed it.
struct Mark {
  std::string_view begin;
  std::string_view after;  // the digest
  std::string_view end;
};
constexpr Mark kFrontMark = {"# craftbundle: begin ", "\n", "# craftbundle: end\n"};
constexpr Mark kBodyMark = {"<!-- craftbundle: begin ",
                            ": what stands between these marks is written by a program -->\n",
                            "<!-- craftbundle: end -->\n"};

std::string digest_of(std::string_view text) { return sha256_of_text(text).substr(0, 16); }

std::string marked(const Mark& mark, const std::string& text) {
  return std::string(mark.begin) + digest_of(text) + std::string(mark.after) + text +
         std::string(mark.end);
}

// A marked part of a card, marks included.
struct Part {
  std::size_t begin = 0;
  std::size_t size = 0;
  bool is_untouched = false;
};

std::optional<Part> find_part(const Mark& mark, std::string_view card) {
  const std::size_t begin = card.find(mark.begin);
  if (begin == std::string_view::npos) return std::nullopt;
  const std::size_t end = card.find(mark.end, begin);
  const std::size_t line = card.find('\n', begin);
  if (end == std::string_view::npos || line == std::string_view::npos || line > end) {
    return std::nullopt;
  }
  const std::string_view text = card.substr(line + 1, end - line - 1);
  const std::string_view digest = card.substr(begin + mark.begin.size());
  return Part{begin, end + mark.end.size() - begin, digest.starts_with(digest_of(text))};
}

}  // namespace

std::string make_card(const Path& directory, const CardOptions& options, const Host& host) {
  const std::optional<Manifest> manifest = read_manifest(directory);
  if (!manifest) {
    throw Error(ErrorKind::input, "card.manifest",
                path_text(directory) + " has no " + std::string(kManifestFile) +
                    ", of which the card is made",
                "give the directory of a bundle that this program wrote");
  }
  const Path place = absolute_path(directory).lexically_normal();
  const std::string title = options.title.empty() ? place.filename().string() : options.title;
  const std::string front = front_matter(*manifest, options.metadata);
  return (front.empty() ? std::string() : "---\n" + marked(kFrontMark, front) + "---\n\n") +
         marked(kBodyMark,
                "# " + escaped(title) + "\n\n" +
                    (options.description.empty() ? std::string() : options.description + "\n\n") +
                    components(*manifest) + usage(*manifest, place) + files(*manifest) +
                    configurations(place, options, host) + checks(*manifest) + "Made with " +
                    escaped(manifest->producer) + ".\n");
}

std::optional<std::string> update_card(const std::string& there, const std::string& card) {
  const std::optional<Part> old_body = find_part(kBodyMark, there);
  const std::optional<Part> new_body = find_part(kBodyMark, card);
  if (!old_body || !old_body->is_untouched || !new_body) return std::nullopt;
  std::string updated = there;
  updated.replace(old_body->begin, old_body->size, card, new_body->begin, new_body->size);
  const std::optional<Part> old_front = find_part(kFrontMark, updated);
  const std::optional<Part> new_front = find_part(kFrontMark, card);
  if (old_front && old_front->is_untouched && new_front) {
    updated.replace(old_front->begin, old_front->size, card, new_front->begin, new_front->size);
  }
  return updated;
}

}  // namespace craftbundle
