#include "stage_names.h"

#include <algorithm>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/pipeline/graph.h"

namespace craftbundle {
namespace {

// "lm-${size}" as "lm-*": what all stages of a matrix match.
std::string pattern_of(const StageName& stage) {
  std::string pattern;
  std::size_t depth = 0;
  for (std::size_t i = 0; i < stage.group.size(); ++i) {
    const bool opens = stage.group.substr(i).starts_with("${");
    if (opens && depth == 0) pattern += '*';
    if (opens) ++depth;
    if (depth == 0) pattern += stage.group[i];
    if (depth > 0 && stage.group[i] == '}') --depth;
  }
  return stage.base == stage.name ? pattern : pattern + "@*";
}

bool is_of_matrix(const StageName& stage) {
  return stage.base != stage.name || stage.group != stage.name;
}

// Whether `longer` is `text` and a further part.
bool continues(std::string_view longer, std::string_view text) {
  constexpr std::string_view kSeparators = "-_.@+=";
  return !text.empty() && longer.size() > text.size() && longer.starts_with(text) &&
         kSeparators.find(longer[text.size()]) != std::string_view::npos;
}

}  // namespace

std::vector<std::size_t> stages_named(std::span<const StageName> stages, std::string_view text) {
  std::vector<std::size_t> found;
  const bool pattern = is_stage_pattern(text);
  for (std::size_t i = 0; i < stages.size(); ++i) {
    if (stages[i].name == text) return {i};
    if (stages[i].base == text || stages[i].group == text ||
        (pattern && matches_pattern(text, stages[i].name))) {
      found.push_back(i);
    }
  }
  return found;
}

std::string suggest_stage(std::span<const StageName> stages, std::string_view text, bool several) {
  std::vector<std::string> candidates;
  std::string beginning;
  for (const StageName& stage : stages) {
    candidates.emplace_back(stage.name);
    if (!is_of_matrix(stage)) continue;
    const std::string pattern = pattern_of(stage);
    if (several) candidates.push_back(pattern);
    // Where one is needed, a stage of the same matrix usually means the one with its own values.
    if (beginning.empty() && continues(pattern, text)) {
      beginning = several
                      ? pattern
                      : std::string(is_of_matrix(stage) && stage.base == stage.name ? stage.group
                                                                                    : stage.name);
    }
  }
  if (!beginning.empty()) return "did you mean " + quoted(beginning) + "?";
  return did_you_mean(text, candidates);
}

}  // namespace craftbundle
