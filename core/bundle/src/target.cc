#include "target.h"

#include <algorithm>
#include <boost/filesystem.hpp>

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"
#include "craftbundle/bundle/layout.h"
#include "craftbundle/bundle/manifest.h"

namespace craftbundle {
namespace {

// Why the directory is not only a bundle, or empty when it is one: every entry must be a file of
// the bundle, so that replacing it loses nothing else.
std::string foreign_reason(const Path& directory, const std::vector<std::string>& contents,
                           const std::vector<std::string>& disposable) {
  try {
    read_manifest(directory);
  } catch (const Error& error) {
    return "its manifest cannot be read: " + error.message();
  }
  const std::vector<std::string> files = files_of_bundle(directory, disposable);
  for (const std::string& name : contents) {
    const bool expected = std::ranges::any_of(files, [&](const std::string& file) {
      return name.ends_with('/') ? file.starts_with(name) : file == name;
    });
    boost::system::error_code ignored;
    const auto type = boost::filesystem::symlink_status(directory / name, ignored).type();
    if (!expected || (!name.ends_with('/') && type != boost::filesystem::regular_file)) {
      return "it holds " + quoted(name.substr(0, name.find_last_not_of('/') + 1));
    }
  }
  return {};
}

}  // namespace

std::vector<std::string> files_of_bundle(const Path& directory,
                                         const std::vector<std::string>& disposable) {
  std::vector<std::string> files = disposable;
  for (const Layout::File& file : audiocraft_layout().files) files.push_back(file.file);
  try {
    if (const auto manifest = read_manifest(directory)) {
      for (const ManifestComponent& component : manifest->components)
        files.push_back(component.file);
    }
  } catch (const Error&) {
    // Then it names nothing.
  }
  files.emplace_back(kManifestFile);
  return files;
}

bool check_bundle_target(const Place& place, const SourceFiles& sources, bool force,
                         const std::vector<std::string>& disposable) {
  const std::vector<std::string> contents = check_directory_target(place, sources, "a bundle");
  if (contents.empty()) return false;
  if (const std::string reason = foreign_reason(place.path(), contents, disposable);
      !reason.empty()) {
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
