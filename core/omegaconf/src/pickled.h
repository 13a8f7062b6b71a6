// Pickled OmegaConf objects to a configuration tree.
#pragma once

#include <optional>

#include "craftbundle/detail/checkpoint/object.h"
#include "craftbundle/detail/omegaconf/node.h"

namespace craftbundle::omegaconf {

// See Config::is_config.
bool is_omegaconf(Object object);

// See Config::from_object.
ConfigNode read_pickled(Object object, std::optional<Object> whole);

}  // namespace craftbundle::omegaconf
