// Where this library, its programs and its plugins lie. Found at run time, so that an installation
// can be moved; the build tree has the same shape.
#pragma once

#include <optional>
#include <string>

#include "craftbundle/detail/io/path.h"

namespace craftbundle {

// Directory of libcraftbundle.so (or of the program it is linked into).
Path own_directory();

// Directory of the running program.
Path program_directory();

// <prefix>/lib/craftbundle/plugins, seen from this library.
Path installed_plugin_directory();

// What the wheel craftbundle-codecs installs beside the wheel that this library is part of;
// nullopt: it is part of none.
std::optional<Path> wheel_plugin_directory();

// craftbundle-scan.
Path scanner_program();

// Environment variable, unless empty, or the program runs with more rights than its user (setuid
// and the like): then the environment is not to be trusted.
std::optional<std::string> environment(const char* name);

}  // namespace craftbundle
