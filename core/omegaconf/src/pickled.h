// Pickled OmegaConf objects to a configuration tree.
#pragma once

#include <optional>

#include "bundlecraft/checkpoint/object.h"
#include "bundlecraft/omegaconf/node.h"

namespace bundlecraft::omegaconf {

// See Config::from_object.
ConfigNode read_pickled(Object object, std::optional<Object> whole);

}  // namespace bundlecraft::omegaconf
