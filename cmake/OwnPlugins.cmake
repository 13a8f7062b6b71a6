# The names of the plugins that are part of the installation, for core/host: others are called in a
# process of their own. `codecs` comes later where it is a package of its own.
get_property(own_plugins GLOBAL PROPERTY CRAFTBUNDLE_OWN_PLUGINS)
list(APPEND own_plugins codecs)
list(REMOVE_DUPLICATES own_plugins)
list(LENGTH own_plugins count)
list(TRANSFORM own_plugins REPLACE "(.+)" "\"\\1\"")
list(JOIN own_plugins ", " names)
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/generated/own_plugins.h" @ONLY CONTENT
"#pragma once
#include <array>
#include <string_view>
namespace craftbundle {
inline constexpr std::array<std::string_view, @count@> kOwnPlugins = {@names@};
}  // namespace craftbundle
")
