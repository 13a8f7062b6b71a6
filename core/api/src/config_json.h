// Configurations as JSON that keeps the types of Python.
#pragma once

#include "craftbundle/detail/json/json.h"
#include "craftbundle/detail/omegaconf/config.h"

namespace craftbundle {

// The values of a configuration, with what interpolations stand for in their place; those that
// stand for nothing in it, as calls of resolvers, stay text. As c.h says of "config".
Json config_json(const Config& config);

}  // namespace craftbundle
