#include "foreign_hints.h"

#include <algorithm>
#include <array>
#include <utility>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/pipeline/workflow.h"

namespace craftbundle {
namespace {

using Hint = std::pair<std::string_view, std::string_view>;

// Of DVC, GitHub's and GitLab's workflows, and Snakemake.
constexpr std::array kStageKeys = {
    Hint{"cmd", "a program is 'command: [PROGRAM, WORD, ...]', or a text with 'shell: true'"},
    Hint{"script", "a program is 'command: [PROGRAM, WORD, ...]', or a text with 'shell: true'"},
    Hint{"shell", "a program is 'command: TEXT' with 'shell: true'"},
    Hint{"run", "a program is 'command: [PROGRAM, WORD, ...]', or a text with 'shell: true'"},
    Hint{"steps", "each step is a stage of its own: 'command: [PROGRAM, WORD, ...]'"},
    Hint{"uses", "a stage has a kind, like 'export', 'bundle' or 'command'"},
    Hint{"deps", "what a command reads is in 'inputs'"},
    Hint{"outs", "what a command makes is in 'outputs'"},
    Hint{"input", "what a command reads is in 'inputs'"},
    Hint{"output", "what a command makes is in 'outputs'"},
    Hint{"params", "variables are in 'vars' of the script and used as ${name}"},
    Hint{"foreach", "a stage for each value has 'matrix: {item: [VALUES]}' and uses ${item}"},
    Hint{"do", "a stage for each value has 'matrix: {item: [VALUES]}' and uses ${item}"},
    Hint{"strategy", "'matrix' stands in the stage itself"},
    Hint{"if", "a condition is 'when'"},
    Hint{"continue-on-error", "that is 'allow_failure: true'"},
    Hint{"timeout-minutes", "that is 'timeout: 10m'"},
    Hint{"wdir", "the directory of a command is 'cwd'"},
    Hint{"working-directory", "the directory of a command is 'cwd'"},
    Hint{"desc", "that is 'description'"},
    Hint{"depends_on", "that is 'needs'"},
};
constexpr std::array kScriptKeys = {
    Hint{"jobs", "what is done is in 'stages'"},
    Hint{"steps", "what is done is in 'stages'"},
    Hint{"rules", "what is done is in 'stages'"},
    Hint{"tasks", "what is done is in 'stages'"},
    Hint{"env", "variables of the script are in 'vars', those of a command in its 'env'"},
    Hint{"variables", "variables are in 'vars'"},
    Hint{"params", "variables are in 'vars'"},
    Hint{"imports", "other scripts are in 'include'"},
    Hint{"name", "a script is called by its file"},
    Hint{"on", "a script is run with 'craftbundle run'"},
};

template <typename Hints>
std::string look_up(const Hints& hints, std::string_view key) {
  const auto found = std::ranges::find(hints, key, &Hint::first);
  return found == hints.end() ? std::string() : std::string(found->second);
}

bool is_environment_name(std::string_view name) {
  constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  return name.size() > 1 && name.find_first_not_of(kAllowed) == std::string_view::npos;
}

}  // namespace

std::string hint_for_variable(std::string_view name) {
  for (const std::string_view prefix : {"oc.env.", "env.", "secrets."}) {
    if (name.starts_with(prefix)) {
      return "a variable of the environment is ${oc.env:" + printable(name.substr(prefix.size())) +
             "}";
    }
  }
  for (const std::string_view prefix : {"matrix.", "vars.", "params.", "inputs."}) {
    if (name.starts_with(prefix)) {
      return "variables and axes are named alone: ${" + printable(name.substr(prefix.size())) + "}";
    }
  }
  if (is_environment_name(name)) {
    return "a variable of the environment is ${oc.env:" + std::string(name) + "}";
  }
  return {};
}

std::string hint_for_stage_key(std::string_view key) { return look_up(kStageKeys, key); }

std::string hint_for_script_key(std::string_view key) {
  if (std::string hint = look_up(kScriptKeys, key); !hint.empty()) return hint;
  const auto& common = common_stage_keys();
  if (std::ranges::count(common, key, &StageKey::name) == 0) return {};
  return "it belongs into a stage: 'stages: {NAME: {..., " + std::string(key) + ": ...}}'";
}

std::string hint_for_double_braces(std::string_view text) {
  const std::size_t begin = text.find("${{");
  if (begin == std::string_view::npos) return {};
  std::string_view name = text.substr(begin + 3);
  name = name.substr(0, name.find("}}"));
  name.remove_prefix(std::min(name.find_first_not_of(' '), name.size()));
  name = name.substr(0, name.find_last_not_of(' ') + 1);
  if (std::string hint = hint_for_variable(name); !hint.empty()) return hint;
  return "a variable is written with one brace: ${" + printable(name) + "}";
}

}  // namespace craftbundle
