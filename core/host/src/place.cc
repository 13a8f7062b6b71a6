#include "place.h"

#include <dlfcn.h>

#include <boost/filesystem/operations.hpp>
#include <cstdlib>

namespace craftbundle {
namespace {

Path directory_of(const Path& file) {
  boost::system::error_code failure;
  const Path real = boost::filesystem::canonical(file, failure);
  return (failure ? file : real).parent_path();
}

}  // namespace

Path own_directory() {
  Dl_info info{};
  ::dladdr(reinterpret_cast<const void*>(&own_directory), &info);
  return directory_of(info.dli_fname);
}

Path program_directory() { return directory_of("/proc/self/exe"); }

Path installed_plugin_directory() { return own_directory() / CRAFTBUNDLE_PLUGINS_FROM_LIBRARY; }

std::optional<Path> wheel_plugin_directory() {
#ifdef CRAFTBUNDLE_WHEEL_PLUGINS_FROM_LIBRARY
  return own_directory() / CRAFTBUNDLE_WHEEL_PLUGINS_FROM_LIBRARY;
#else
  return std::nullopt;
#endif
}

Path scanner_program() {
  const Path installed = own_directory() / CRAFTBUNDLE_SCANNER_FROM_LIBRARY;
  boost::system::error_code ignored;
  if (boost::filesystem::exists(installed, ignored)) return installed.lexically_normal();
  // The build tree has one 'lib', whatever the system calls its own.
  return (own_directory() / "../libexec/craftbundle/craftbundle-scan").lexically_normal();
}

std::optional<std::string> environment(const char* name) {
  const char* const value = ::secure_getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

}  // namespace craftbundle
