// Directories that hold no model that could be read, by what other programs have left in them.
#pragma once

#include <optional>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/io/path.h"

namespace CRAFTBUNDLE_API craftbundle {

// What `directory` is and what to do about it, as Error(input, "source.no_checkpoint"): pieces of a
// distributed checkpoint, an unpacked one, an adapter, the cache of a hub. nullopt when it is
// nothing that is known, or cannot be read.
std::optional<Error> unusable_directory(const Path& directory);

}  // namespace craftbundle
