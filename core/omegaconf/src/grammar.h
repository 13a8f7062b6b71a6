// OmegaConf's grammar of interpolations.
#pragma once

#include <string_view>

#include "craftbundle/detail/omegaconf/node.h"

namespace craftbundle::omegaconf {

// Whether `text`, a value with "${" in it, is what OmegaConf 2.2 and 2.3 take. Resolvers need not
// exist. Nesting beyond limits::kConfigDepth is not well-formed.
bool is_well_formed(std::string_view text);

// Throws Error(input, "config.interpolation"), the key in its message, for a value that is not.
// OmegaConf looks when it makes a configuration, also when nobody ever asks for the value.
void check_interpolations(const ConfigNode& root);

}  // namespace craftbundle::omegaconf
