// What a shell puts into paths, in text that no shell has seen: --output=~/x, values of a script.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// `path` with the home directory in place of a "~" or "~name" that is its first part: $HOME, or
// what the system has for that user. Unchanged when there is none, or no such user.
std::string expand_home(std::string_view path);

// The name in the first "$NAME" of `path` that reads like a variable of the environment (capital
// letters, digits and underscores); nullopt when there is none. Nobody replaces it.
std::optional<std::string> shell_variable(std::string_view path);

}  // namespace craftbundle
