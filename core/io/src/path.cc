#include "craftbundle/detail/io/path.h"

#include <boost/filesystem/operations.hpp>

#include "craftbundle/detail/base/error.h"

namespace craftbundle {

Path absolute_path(const Path& path) {
  if (path.is_absolute()) return path;
  boost::system::error_code failure;
  const Path here = boost::filesystem::current_path(failure);
  if (failure) throw system_error(failure.value(), "the current directory");
  return path.empty() ? here : here / path;
}

bool is_relative_name(std::string_view name) {
  if (name.find('\0') != std::string_view::npos) return false;
  while (true) {
    const std::size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

}  // namespace craftbundle
