// Python packages that a plugin needs beside it.
#pragma once

#include "craftbundle/detail/io/path.h"

namespace craftbundle {

// A plugin that a wheel brings may be compiled for one version of another package: then a file
// <plugin>.requires beside <plugin>.so has a line for each, "torch==2.13.*". What is installed is
// told by the directories <package>-<version>.dist-info beside that of the plugin; nothing is
// loaded.
//
// Throws Error(plugin): "plugin.requirement" when another version is there or none;
// "plugin.requires" when the file is none of such lines; as TrustedFile. REQUIRES: `library` is
// canonical.
void check_requirements(const Path& library);

}  // namespace craftbundle
