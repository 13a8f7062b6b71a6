// Reading a folder.
#pragma once

#include <string>
#include <vector>

#include "craftbundle/detail/plugin/layout.h"

namespace craftbundle::transformers {

// The names, in the order of preference, of what holds the tensors of a folder.
const std::vector<std::string>& weight_files();

std::vector<RoleSource> read_folder(const Path& directory, const std::vector<std::string>& roles,
                                    LayoutContext& context);

}  // namespace craftbundle::transformers
