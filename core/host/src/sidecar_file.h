// Sidecars as files, and as claims that the library must keep.
#pragma once

#include <optional>

#include "craftbundle/detail/host/sidecar.h"

namespace craftbundle {

// The sidecar of `library`; nullopt when there is none. Throws Error(plugin): "plugin.sidecar",
// "plugin.permissions", "plugin.unreadable". REQUIRES: `library` is canonical.
std::optional<PluginInfo> read_sidecar(const Path& library);

// Throws Error(plugin, "plugin.sidecar_mismatch") with the first difference.
void check_same(const Path& library, const PluginInfo& described, const PluginInfo& loaded);

}  // namespace craftbundle
