// Whether a bundle may be published at a place, and what goes with the one it replaces.
#pragma once

#include <string>
#include <vector>

#include "craftbundle/detail/io/place.h"

namespace craftbundle {

// The files of the bundle in `directory`, whether they are there or not: those that its manifest,
// if it can be read, or the layout names, and `known` ones. The manifest comes last, so that
// what is left when their removal is cut off can be told too.
std::vector<std::string> files_of_bundle(const Path& directory,
                                         const std::vector<std::string>& known);

// Whether a bundle lies at `place`, which may be replaced; false: nothing, or an empty directory.
// Throws Error(usage) unless a bundle may be published there: as check_directory_target(),
// "target.foreign", "target.exists" (never with `force`).
bool check_bundle_target(const Place& place, const SourceFiles& sources, bool force,
                         const std::vector<std::string>& known);

}  // namespace craftbundle
