// YAML text to a configuration tree.
#pragma once

#include <string_view>

#include "bundlecraft/omegaconf/node.h"

namespace bundlecraft::omegaconf {

// See Config::from_yaml.
ConfigNode read_yaml(std::string_view text);

}  // namespace bundlecraft::omegaconf
