// Matrices of a run script: lists of values a stage is made for.
#pragma once

#include <string>
#include <vector>

#include "craftbundle/detail/pipeline/script.h"

namespace craftbundle {

// The value an axis of a matrix has for one stage.
struct AxisValue {
  std::string axis;
  YamlNode value;
};
using Combination = std::vector<AxisValue>;

// The combinations that `matrix` (interpolated) stands for; hardly more than `limit` of them. What
// is wrong with it goes to `problems`. An axis that is {glob: PATTERN} has what the '*' of the
// pattern stands for among the files there are, which is looked for from `directory` on.
std::vector<Combination> combine(const YamlNode& matrix, const Path& directory, std::size_t limit,
                                 ScriptProblems& problems);

}  // namespace craftbundle
