#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <string>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/host/host.h"
#include "place.h"

namespace craftbundle {
namespace {

constexpr const char* kPathVariable = "CRAFTBUNDLE_PLUGIN_PATH";
constexpr const char* kOwnFolder = "craftbundle/plugins";

// Two spellings of one directory compare equal when it exists.
Path canonical_or_normal(const Path& path) {
  boost::system::error_code failure;
  const Path real = boost::filesystem::canonical(path, failure);
  return failure ? path.lexically_normal() : real;
}

class Directories {
 public:
  void add(const Path& path, const std::string& origin) {
    const Path normal = canonical_or_normal(path);
    const auto known =
        std::find_if(list.begin(), list.end(),
                     [&](const SearchDirectory& directory) { return directory.path == normal; });
    if (known == list.end()) list.push_back({normal, origin});
  }
  std::vector<SearchDirectory> list;
};

void add_environment(Directories& directories, Sink& sink) {
  const std::optional<std::string> value = environment(kPathVariable);
  if (!value) return;
  for (std::size_t begin = 0; begin <= value->size();) {
    const std::size_t end = std::min(value->find(':', begin), value->size());
    const Path path = value->substr(begin, end - begin);
    begin = end + 1;
    if (path.is_absolute()) {
      directories.add(path, kPathVariable);
    } else {
      sink.log(LogLevel::warning,
               std::string(kPathVariable) + ": " +
                   (path.empty() ? "an empty element"
                                 : "the relative directory " + quoted(path.string())) +
                   " is ignored, expected absolute directories");
    }
  }
}

void add_user(Directories& directories) {
  if (const auto data = environment("XDG_DATA_HOME"); data && Path(*data).is_absolute()) {
    directories.add(Path(*data) / kOwnFolder, "user");
  } else if (const auto home = environment("HOME"); home && Path(*home).is_absolute()) {
    directories.add(Path(*home) / ".local/share" / kOwnFolder, "user");
  }
}

}  // namespace

std::vector<SearchDirectory> search_directories(const PluginSearch& search, Sink& sink) {
  Directories directories;
  for (const Path& path : search.directories) {
    directories.add(absolute_path(path), "--plugin-dir");
  }
  if (search.environment) add_environment(directories, sink);
  if (search.user) add_user(directories);
  if (search.installed) {
    if (search.program) {
      directories.add(program_directory() / ".." / "lib" / kOwnFolder, "executable");
    }
    directories.add(installed_plugin_directory(), "installed");
    if (const auto wheel = wheel_plugin_directory()) directories.add(*wheel, "installed");
  }
  return std::move(directories.list);
}

}  // namespace craftbundle
