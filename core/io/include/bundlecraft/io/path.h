// The path type of Bundlecraft's interfaces (Boost.Filesystem, which Boost.DLL speaks too).
#pragma once

#include <boost/filesystem/path.hpp>

namespace bundlecraft {

using Path = boost::filesystem::path;

}  // namespace bundlecraft
