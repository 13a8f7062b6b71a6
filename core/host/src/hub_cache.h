// Models that the tools of a model hub have fetched to this machine. Nothing here asks the network.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "craftbundle/detail/io/path.h"

namespace craftbundle {

// Whether a hub could have a model of this name: "ORG/NAME", or "NAME" as the first ones were
// called. Such a name leads nowhere when it is part of a path.
bool is_model_name(std::string_view name);

// Where the tools of the hub keep what they fetch, there or not: HF_HUB_CACHE,
// HUGGINGFACE_HUB_CACHE, hub in HF_HOME, huggingface/hub in XDG_CACHE_HOME or else in ~/.cache.
// nullopt when not even the home directory is known.
std::optional<Path> hub_cache();

// The revision that `cache` has of a model: the one that 'main' stands for, else the newest, and
// only one with a file in it. nullopt when there is none.
std::optional<Path> find_snapshot(const Path& cache, const std::string& name);

}  // namespace craftbundle
