// craftbundle plugins new: a project to start from.
#pragma once

#include <set>
#include <string>

#include "craftbundle/detail/io/path.h"

namespace craftbundle::app {

// Writes a project for a plugin into `directory`, where nothing lies yet: the example plugin of
// this Craftbundle under the name `name`. It has an exporter, those of the parts "codec", "layout"
// and "stage" that are asked for, a CMake project and a test that holds it against the contract.
// Throws Error(usage): "plugin.name" for a name that no plugin can have, "target.exists",
// and as check_directory_target(); system when it cannot be written.
void write_plugin_project(const std::string& name, const std::set<std::string>& parts,
                          const Path& directory);

}  // namespace craftbundle::app
