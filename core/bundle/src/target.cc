#include "target.h"

#include <algorithm>
#include <boost/filesystem.hpp>
#include <functional>
#include <set>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/manifest.h"

namespace craftbundle {
namespace {

// Why the directory is not only a bundle, or empty when it is one: every entry must be a file of
// the bundle, so that replacing it loses nothing else.
std::string foreign_reason(const Path& directory, const std::vector<std::string>& contents,
                           const std::vector<std::string>& known) {
  try {
    read_manifest(directory);
  } catch (const Error& error) {
    // A disk that fails says nothing about whose directory it is.
    if (error.kind() == ErrorKind::system) throw;
    return "its manifest cannot be read: " + error.message();
  }
  const std::vector<std::string> files = files_of_bundle(directory, known);
  for (const std::string& name : contents) {
    const bool expected = std::ranges::any_of(files, [&](const std::string& file) {
      return name.ends_with('/') ? file.starts_with(name) : file == name;
    });
    boost::system::error_code failure;
    const auto type = boost::filesystem::symlink_status(directory / name, failure).type();
    if (type == boost::filesystem::status_error) {
      throw system_error(failure.value(), path_text(directory / name));
    }
    if (!expected || (!name.ends_with('/') && type != boost::filesystem::regular_file)) {
      return "it holds " + quoted(name.substr(0, name.find_last_not_of('/') + 1));
    }
  }
  return {};
}

// The directories that `files` lie in, after what lies in them.
void add_directories(std::vector<std::string>& files) {
  std::set<std::string, std::greater<>> directories;
  for (const std::string& file : files) {
    for (std::size_t slash = file.find('/'); slash != std::string::npos;
         slash = file.find('/', slash + 1)) {
      directories.insert(file.substr(0, slash + 1));
    }
  }
  files.insert(files.end(), directories.begin(), directories.end());
}

}  // namespace

std::vector<std::string> files_of_bundle(const Path& directory,
                                         const std::vector<std::string>& known) {
  std::vector<std::string> files = known;
  try {
    if (const auto manifest = read_manifest(directory)) {
      for (const ManifestFile& file : manifest->files) files.push_back(file.name);
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::system) throw;
    // Then it names nothing.
  }
  files.emplace_back(kManifestFile);
  add_directories(files);
  return files;
}

bool check_bundle_target(const Place& place, const SourceFiles& sources, bool force,
                         const std::vector<std::string>& known) {
  const std::vector<std::string> contents = check_directory_target(place, sources, "a bundle");
  if (contents.empty()) return false;
  if (const std::string reason = foreign_reason(place.path(), contents, known); !reason.empty()) {
    throw Error(ErrorKind::usage, "target.foreign",
                quoted_path(place.given) + " is not only a bundle: " + reason,
                "choose another directory, or move what is there away");
  }
  if (!force) {
    throw Error(ErrorKind::usage, "target.exists",
                quoted_path(place.given) + " already holds a bundle", "pass --force to replace it");
  }
  return true;
}

}  // namespace craftbundle
