#include "stage_fields.h"

#include <algorithm>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/shell_text.h"
#include "craftbundle/detail/plugin/layout.h"
#include "foreign_hints.h"

namespace craftbundle {

void note_shell_variable(StageFields& fields, const YamlNode& where, const std::string& path) {
  const std::optional<std::string> variable = shell_variable(path);
  if (!variable) return;
  fields.problem(
      where, "script.variable",
      quoted("$" + *variable) + " in " + quoted(path) + " is for a shell, which does not see it",
      "write ${oc.env:" + *variable + "}");
}

WrittenFields::WrittenFields(StageText text, const StageReader& kind, OtherStages others)
    : text_(text), others_(std::move(others)) {
  const std::vector<StageKey> own = kind.keys();
  check_names(own, kind);
  for (const std::vector<StageKey>* keys : {&own, &common_stage_keys()}) {
    for (const StageKey& key : *keys) {
      // These are read elsewhere, and with other rules.
      if (key.name != "matrix" && key.name != "when" && key.name != "needs") read(key);
    }
  }
}

void WrittenFields::check_names(const std::vector<StageKey>& own, const StageReader& kind) {
  std::vector<std::string> known;
  for (const StageKey& key : own) known.push_back(key.name);
  for (const StageKey& key : common_stage_keys()) known.push_back(key.name);
  // What a mistyped key may be: one that the stage does not have yet.
  std::vector<std::string> unused = known;
  std::erase_if(unused, [&](const std::string& key) { return text_.body.find(key) != nullptr; });
  for (const YamlNode::Entry& entry : text_.body.entries) {
    const std::string& name = entry.key.text;
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    problem(entry.key, "script.key",
            "unknown key " + quoted(name) + ", a stage of the kind " + quoted(own.front().name) +
                " has " + list_text(known, 32),
            hint_for(name, unused, kind));
  }
}

std::string WrittenFields::hint_for(const std::string& name, const std::vector<std::string>& unused,
                                    const StageReader& kind) {
  if (std::string hint = kind.hint_for(name); !hint.empty()) return hint;
  if (std::string hint = did_you_mean(name, unused); !hint.empty()) return hint;
  return hint_for_stage_key(name);
}

void WrittenFields::read(const StageKey& key) {
  const YamlNode* written = text_.body.find(key.name);
  if (written == nullptr) {
    if (!key.required) return;
    problem(text_.where, "script.missing",
            "stage " + quoted(stage()) + " lacks the key " + quoted(key.name),
            key.name + ": " + key.doc);
    return;
  }
  try {
    const auto place = values_.emplace(key.name, text_.variables.resolve(*written)).first;
    check_type(key, place->second);
  } catch (const Error&) {
    note_unresolved(*written);
  }
}

// Each value within `node` that cannot be resolved, at its own place.
void WrittenFields::note_unresolved(const YamlNode& node) {
  for (const YamlNode& item : node.items) note_unresolved(item);
  for (const YamlNode::Entry& entry : node.entries) {
    note_unresolved(entry.key);
    note_unresolved(entry.value);
  }
  if (node.type != YamlNode::Type::text) return;
  try {
    text_.variables.resolve(node);
  } catch (const Error& error) {
    problems_.push_back(make_problem(node, error));
  }
}

const YamlNode* WrittenFields::find(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

namespace {

bool is_choice(const StageKey& key, const std::string& value) {
  const std::vector<std::string> parts = key.may_join ? layouts_in(value) : std::vector{value};
  return std::ranges::all_of(
      parts, [&](const std::string& part) { return std::ranges::count(key.choices, part) != 0; });
}

}  // namespace

void WrittenFields::check_type(const StageKey& key, const YamlNode& node) {
  using Type = YamlNode::Type;
  bool sound = true;
  std::string expected;
  switch (key.type) {
    case StageKey::Type::text:
    case StageKey::Type::boolean:
      sound = node.type == Type::text;
      expected = "text";
      break;
    case StageKey::Type::list:
      sound = node.type == Type::list;
      expected = "a list";
      break;
    case StageKey::Type::map:
      sound = node.type == Type::map;
      expected = "a map";
      break;
    case StageKey::Type::text_or_list:
      sound = node.type != Type::map;
      expected = "text or a list";
      break;
    case StageKey::Type::text_or_map:
      sound = node.type != Type::list;
      expected = "text or a map";
      break;
    case StageKey::Type::any:
      break;
  }
  if (!sound) {
    problem(
        node, "script.type",
        quoted(key.name) + " is " + std::string(to_string(node.type)) + ", expected " + expected,
        {});
    // Whoever reads the key gets what it would be if it were not there.
    values_.erase(key.name);
  } else if (!key.choices.empty() && node.type == Type::text && !is_choice(key, node.text)) {
    problem(node, "script.value",
            quoted(key.name) + " is " + quoted(node.text) + ", expected one of " +
                list_text(key.choices),
            did_you_mean(node.text, key.choices));
  }
}

std::string WrittenFields::text(std::string_view key, std::string otherwise) {
  const YamlNode* node = find(key);
  return node == nullptr ? otherwise : node->text;
}

bool WrittenFields::is_text(const YamlNode& node, const std::string& what) {
  if (node.type == YamlNode::Type::text) return true;
  problem(node, "script.type",
          what + " is " + std::string(to_string(node.type)) + ", expected text", {});
  return false;
}

bool WrittenFields::flag(std::string_view key, bool otherwise) {
  const YamlNode* node = find(key);
  if (node == nullptr) return otherwise;
  if (node->text == "true" || node->text == "yes") return true;
  if (node->text == "false" || node->text == "no") return false;
  problem(*node, "script.value",
          quoted(key) + " is " + quoted(node->text) + ", expected true or false", {});
  return otherwise;
}

std::vector<std::string> WrittenFields::texts(std::string_view key) {
  const YamlNode* node = find(key);
  if (node == nullptr) return {};
  if (node->type == YamlNode::Type::text) return {node->text};
  std::vector<std::string> result;
  for (const YamlNode& item : node->items) {
    if (is_text(item, "an item of " + quoted(key))) result.push_back(item.text);
  }
  return result;
}

std::vector<OptionValue> WrittenFields::pairs(std::string_view key) {
  const YamlNode* node = find(key);
  std::vector<OptionValue> result;
  if (node == nullptr) return result;
  for (const YamlNode::Entry& entry : node->entries) {
    if (is_text(entry.value, quoted(entry.key.text) + " in " + quoted(key))) {
      result.push_back({entry.key.text, entry.value.text});
    }
  }
  return result;
}

std::optional<Path> WrittenFields::path(std::string_view key) {
  const YamlNode* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (node->text.empty()) {
    problem(*node, "script.value", quoted(key) + " is empty, expected a path", {});
    return std::nullopt;
  }
  note_shell_variable(*this, *node, node->text);
  return path_of(node->text);
}

Path WrittenFields::path_of(const std::string& text) const {
  const Path given = expand_home(text);
  Path path = given.is_absolute() ? given : text_.directory / given;
  path = path.lexically_normal();
  // "a/b/" ends in an element of its own.
  if (path.filename() == "." || path.filename().empty()) path = path.parent_path();
  return path;
}

std::vector<StageInput> WrittenFields::inputs(const YamlNode& node) {
  std::vector<StageInput> result;
  if (node.type == YamlNode::Type::text) return inputs_of_text(node);
  if (node.type == YamlNode::Type::map) {
    problem(node, "script.type", "found a map, expected stages or paths", {});
    return result;
  }
  for (const YamlNode& item : node.items) {
    for (StageInput& input : inputs(item)) result.push_back(std::move(input));
  }
  return result;
}

std::vector<StageInput> WrittenFields::inputs_of_text(const YamlNode& node) {
  std::vector<StageInput> result;
  if (node.text.empty()) {
    problem(node, "script.value", "found an empty text, expected a stage or a path", {});
    return result;
  }
  if (const std::optional<std::vector<UsedStage>> used = others_.named(node.text)) {
    for (const UsedStage& other : *used) {
      const std::vector<StageOutput> outputs = other.stage->outputs();
      if (outputs.empty()) {
        problem(node, "script.output",
                "stage " + quoted(other.name) + " leaves no file that could be used",
                "give it a place with 'to'");
        continue;
      }
      result.push_back({other.name, outputs.front().path, other.name});
    }
  } else if (is_stage_pattern(node.text)) {
    problem(node, "script.stage", "no stage matches " + quoted(node.text),
            others_.suggest(node.text));
  } else {
    note_shell_variable(*this, node, node.text);
    result.push_back({node.text, path_of(node.text), {}});
  }
  return result;
}

const std::vector<StageKey>& common_stage_keys() {
  using Type = StageKey::Type;
  static const std::vector<StageKey> keys = {
      {"matrix",
       Type::text_or_map,
       false,
       "Lists of values by axis; the stage is made once for each combination of them. Or the name "
       "of "
       "a stage, as written, whose matrix is taken over.",
       {}},
      {"when", Type::text, false, "The stage is left out unless this condition holds.", {}},
      {"needs",
       Type::text_or_list,
       false,
       "Stages that must be finished before; names or patterns like check-*.",
       {}},
      {"retries", Type::text, false, "How often the stage is tried again when it fails.", {}},
      {"timeout", Type::text, false, "The longest time one attempt may take, like 90s or 10m.", {}},
      {"allow_failure", Type::boolean, false, "Whether the run goes on when the stage fails.", {}},
      {"description", Type::text, false, "For people.", {}},
      {"slurm", Type::map, false, "Options of sbatch for --emit slurm, like mem: 4G.", {}},
  };
  return keys;
}

}  // namespace craftbundle
