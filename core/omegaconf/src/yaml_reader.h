// YAML text to a configuration tree.
#pragma once

#include <string_view>

#include "craftbundle/detail/omegaconf/node.h"

namespace craftbundle::omegaconf {

// See Config::from_yaml.
ConfigNode read_yaml(std::string_view text);

}  // namespace craftbundle::omegaconf
