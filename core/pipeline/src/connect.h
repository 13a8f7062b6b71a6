// The order of the stages of a run script.
#pragma once

#include <string>
#include <vector>

#include "craftbundle/detail/pipeline/workflow.h"

namespace craftbundle {

// Leaves out what needs stages that are left out, adds the needs that come from paths, and puts
// every stage after what it needs. What is wrong goes to `problems`.
void connect(Workflow& workflow, ScriptProblems& problems);

// `path`: names of the stages, the first one at the end again.
ScriptProblem circle_problem(const YamlNode& where, const std::vector<std::string>& path);

}  // namespace craftbundle
