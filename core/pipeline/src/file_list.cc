#include "file_list.h"

#include <algorithm>
#include <boost/filesystem.hpp>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

void add_file(const Path& path, const std::string& name, std::vector<ListedFile>& files) {
  boost::system::error_code failure;
  const fs::file_status status = fs::symlink_status(path, failure);
  if (status.type() != fs::regular_file) {
    throw Error(ErrorKind::input, "stage.special",
                path_text(path) + " is no regular file, and only these are taken",
                "leave it out, or put a file in its place");
  }
  const std::uint64_t size = fs::file_size(path, failure);
  if (failure) throw system_error(failure.value(), path_text(path));
  files.push_back({path, name, size});
}

}  // namespace

std::vector<ListedFile> list_files(const Path& input, const std::vector<Path>& without) {
  std::vector<ListedFile> files;
  boost::system::error_code failure;
  const std::string name = input.filename().string();
  if (!fs::is_directory(input, failure)) {
    if (!fs::exists(input, failure)) throw system_error(ENOENT, path_text(input));
    const Path real = fs::canonical(input, failure);
    if (failure) throw system_error(failure.value(), path_text(input));
    add_file(real, name, files);
    return files;
  }
  fs::recursive_directory_iterator entry(input, failure);
  while (!failure && entry != fs::recursive_directory_iterator()) {
    boost::system::error_code ignored;
    const Path& path = entry->path();
    if (std::find(without.begin(), without.end(), path) != without.end()) {
      entry.disable_recursion_pending();
    } else if (!fs::is_directory(entry->symlink_status(ignored))) {
      add_file(path, name + "/" + path.lexically_relative(input).string(), files);
    }
    entry.increment(failure);
  }
  if (failure) throw system_error(failure.value(), path_text(input));
  std::sort(files.begin(), files.end(),
            [](const ListedFile& a, const ListedFile& b) { return a.name < b.name; });
  return files;
}

}  // namespace craftbundle
