// What people write who know the files of other tools: how it is written here, as hints. Each is
// empty for what is nothing of the kind.
#pragma once

#include <string>
#include <string_view>

namespace craftbundle {

// "matrix.size", "env.HOME", "HOME": for a variable that does not exist.
std::string hint_for_variable(std::string_view name);

// "cmd", "deps", "run": for a key of a stage that no kind of stage has.
std::string hint_for_stage_key(std::string_view key);

// "jobs", "env", "retries": for a key of a script.
std::string hint_for_script_key(std::string_view key);

// For text that holds "${{ matrix.size }}".
std::string hint_for_double_braces(std::string_view text);

}  // namespace craftbundle
