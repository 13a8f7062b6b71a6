// Names of stages as people give them, in scripts and on the command line.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace craftbundle {

struct StageName {
  std::string_view name;
  std::string_view base;   // without the values of the matrix that were appended to it
  std::string_view group;  // as written: "lm-${size}"
};

// Whether `text` stands for every stage whose name it matches.
inline bool is_stage_pattern(std::string_view text) {
  return text.find('*') != std::string_view::npos && text.find('/') == std::string_view::npos;
}

// Places of the stages that `text` stands for: the one of that name, those of a matrix, by its name
// as written, or those that a pattern matches.
std::vector<std::size_t> stages_named(std::span<const StageName> stages, std::string_view text);

// What may have been meant, as a hint: the name of a stage, and where `several` may be meant that
// of a matrix or a pattern; empty when nothing is near.
std::string suggest_stage(std::span<const StageName> stages, std::string_view text, bool several);

}  // namespace craftbundle
