// OmegaConf's interpolations in text that belongs to a tree:
// "${xps}/${runs.${size}}/checkpoint.th".
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/omegaconf/node.h"

namespace CRAFTBUNDLE_API craftbundle {

// Answers calls like ${oc.env:HOME,/root}: name "oc.env", arguments {"HOME", "/root"}, interpolated
// and without the blanks around them. Throws Error for a name it does not know.
using Resolver =
    std::function<std::string(const std::string& name, const std::vector<std::string>& arguments)>;

bool has_interpolation(std::string_view text);

// What `text` stands for as a value directly below `root`, a mapping: a copy with every
// interpolation resolved, also those inside of a container that "${key}" refers to. "\${" is the
// text "${". Throws Error(input, "config.interpolation") for references that are malformed, lead
// nowhere, in circles or too far, and whatever `resolver` throws.
ConfigNode interpolate(const ConfigNode& root, std::string_view text, const Resolver& resolver);

}  // namespace craftbundle
