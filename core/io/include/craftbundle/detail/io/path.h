// The path type of Craftbundle's interfaces (Boost.Filesystem, which Boost.DLL speaks too).
#pragma once

#include <boost/filesystem/path.hpp>
#include <string>
#include <string_view>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/text.h"

namespace CRAFTBUNDLE_API craftbundle {

using Path = boost::filesystem::path;

// `path` for messages: escaped, and never cut where a real path could still go on.
inline std::string path_text(const Path& path) {
  constexpr std::size_t kLongestPath = 4096;
  return printable(path.string(), kLongestPath);
}

// `path` from the root on. Boost's own absolute() throws what is no Error when the current
// directory is gone; this throws Error(system).
Path absolute_path(const Path& path);

// Whether `name` names something below the directory it is relative to: parts between '/' are no
// empty ones, "." or "..", and no byte is zero.
bool is_relative_name(std::string_view name);

}  // namespace craftbundle
