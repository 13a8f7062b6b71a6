// The files of examples/plugin, which CMake puts into the program.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

namespace craftbundle::app {

// Name and content of each.
std::vector<std::pair<std::string_view, std::string_view>> example_plugin();

}  // namespace craftbundle::app
