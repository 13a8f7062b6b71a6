#include "target.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <cerrno>

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"
#include "craftbundle/bundle/layout.h"
#include "craftbundle/bundle/manifest.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

[[noreturn]] void refuse(std::string_view code, std::string message, std::string hint = {}) {
  throw Error(ErrorKind::usage, code, std::move(message), std::move(hint));
}

// The status of `path` itself, links not followed. Throws when it cannot be told.
fs::file_type type_of(const Path& path) {
  boost::system::error_code error;
  const fs::file_type type = fs::symlink_status(path, error).type();
  if (type == fs::status_error) throw system_error(error.value(), quoted_path(path));
  return type;
}

Path resolved(const Path& path) {
  boost::system::error_code error;
  Path result = fs::weakly_canonical(path, error);
  if (error) throw system_error(error.value(), quoted_path(path));
  return result;
}

bool lies_in(const Path& file, const Path& directory) {
  const auto [in_directory, in_file] =
      std::mismatch(directory.begin(), directory.end(), file.begin(), file.end());
  return in_directory == directory.end();
}

void refuse_link(const Place& place) {
  boost::system::error_code ignored;
  const Path behind = fs::read_symlink(place.path(), ignored);
  refuse("target.link",
         quoted_path(place.given) + " is a symbolic link to " + quoted_path(behind) +
             ", which would be replaced",
         "name the place itself");
}

void refuse_source(const Place& place, const InputFile& source) {
  refuse("target.is_source",
         quoted_path(place.given) + " would replace the source " + quoted_path(source.path()),
         "write to another place");
}

// Why the directory is no bundle of ours, or empty when it is one: every entry must be a file that
// the manifest or the layout names or that is `known`, so that replacing it loses nothing else.
std::string foreign_reason(const Path& directory, const std::vector<Path>& entries,
                           std::vector<std::string> known) {
  known.emplace_back(kManifestFile);
  for (const Layout::File& file : audiocraft_layout().files) known.push_back(file.file);
  try {
    if (const auto manifest = read_manifest(directory)) {
      for (const ManifestComponent& component : manifest->components)
        known.push_back(component.file);
    }
  } catch (const Error& error) {
    return "its manifest cannot be read: " + error.message();
  }
  for (const Path& entry : entries) {
    const std::string name = entry.filename().string();
    const bool expected = std::find(known.begin(), known.end(), name) != known.end();
    if (!expected || type_of(entry) != fs::regular_file) return "it holds " + quoted(name);
  }
  return {};
}

std::vector<Path> entries_of(const Place& place) {
  boost::system::error_code error;
  fs::directory_iterator entry(place.path(), error);
  std::vector<Path> entries;
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    entries.push_back(entry->path());
  }
  if (error) throw system_error(error.value(), quoted_path(place.given));
  std::sort(entries.begin(), entries.end());
  return entries;
}

}  // namespace

std::string quoted_path(const Path& path) { return "'" + path_text(path) + "'"; }

Place place_of(const Path& target) {
  const std::string given = target.string();
  if (given.empty()) refuse("target.empty", "the target is empty", "name a file or directory");
  const std::size_t last = given.find_last_not_of('/');
  if (last == std::string::npos) refuse("target.root", "the target is the root directory");

  boost::system::error_code error;
  Path path = fs::absolute(Path(given.substr(0, last + 1)), fs::current_path(error));
  if (error) throw system_error(error.value(), "current directory");
  // A directory named by its relation to another has its own name only once it is resolved.
  if (path.filename() == "." || path.filename() == "..") path = resolved(path);
  if (path == path.root_path()) refuse("target.root", "the target is the root directory");

  Place place{resolved(path.parent_path()), path.filename().string(), given};
  if (place.name.size() > kLongestTargetName) {
    refuse("target.name", quoted(place.name) + " has " + std::to_string(place.name.size()) +
                              " bytes, a name can have " + std::to_string(kLongestTargetName));
  }
  return place;
}

ParentDirectories::ParentDirectories(const Place& place, Durability durability) {
  std::vector<Path> missing;
  Path directory = place.parent;
  while (type_of(directory) == fs::file_not_found) {
    missing.push_back(directory);
    directory = directory.parent_path();
  }
  boost::system::error_code ignored;
  if (!fs::is_directory(directory, ignored)) {
    refuse("target.parent", quoted_path(place.given) + " cannot be created: " +
                                quoted_path(directory) + " is no directory");
  }
  try {
    for (auto path = missing.rbegin(); path != missing.rend(); ++path) create(*path, durability);
  } catch (...) {
    remove();
    throw;
  }
}

ParentDirectories::~ParentDirectories() { remove(); }

void ParentDirectories::remove() {
  // Fails, as it should, for a directory that somebody else has put something into.
  for (auto path = created_.rbegin(); path != created_.rend(); ++path) ::rmdir(path->c_str());
}

void ParentDirectories::create(const Path& directory, Durability durability) {
  if (::mkdir(directory.c_str(), 0777) == 0) {
    created_.push_back(directory);
    if (durability == Durability::sync) sync_directory(directory.parent_path());
  } else if (errno != EEXIST) {
    throw system_error(errno, "cannot create " + quoted_path(directory));
  }
}

void check_file_target(const Place& place, const SourceFiles& sources, bool force) {
  const fs::file_type type = type_of(place.path());
  if (type == fs::file_not_found) return;
  for (const InputFile* source : sources) {
    if (source->is_same_file(place.path())) refuse_source(place, *source);
  }
  if (type == fs::symlink_file) refuse_link(place);
  if (type == fs::directory_file) {
    refuse("target.directory", quoted_path(place.given) + " is a directory",
           "name a file in it, for example " +
               quoted_path(Path(place.given) / audiocraft_layout().files.front().file));
  }
  if (type != fs::regular_file) {
    refuse("target.not_a_file", quoted_path(place.given) + " is no regular file");
  }
  if (!force) {
    refuse("target.exists", quoted_path(place.given) + " already exists",
           "pass --force to replace it");
  }
}

DirectoryTarget check_directory_target(const Place& place, const SourceFiles& sources, bool force,
                                       const std::vector<std::string>& disposable) {
  const Path path = place.path();
  const fs::file_type type = type_of(path);
  if (type == fs::file_not_found) return DirectoryTarget::free;
  for (const InputFile* source : sources) {
    if (source->is_same_file(path)) refuse_source(place, *source);
  }
  if (type == fs::symlink_file) refuse_link(place);
  if (type != fs::directory_file) {
    refuse("target.file", quoted_path(place.given) + " is a file, a bundle is a directory",
           "choose another name");
  }
  const std::vector<Path> entries = entries_of(place);
  for (const InputFile* source : sources) {
    const bool inside = lies_in(resolved(source->path()), path);
    const bool linked = std::any_of(entries.begin(), entries.end(),
                                    [&](const Path& entry) { return source->is_same_file(entry); });
    if (inside || linked) refuse_source(place, *source);
  }
  if (entries.empty()) return DirectoryTarget::free;
  if (const std::string reason = foreign_reason(path, entries, disposable); !reason.empty()) {
    refuse("target.foreign", quoted_path(place.given) + " is not only a bundle: " + reason,
           "choose another directory, or move what is there away");
  }
  if (!force) {
    refuse("target.exists", quoted_path(place.given) + " already holds a bundle",
           "pass --force to replace it");
  }
  return DirectoryTarget::bundle;
}

}  // namespace craftbundle
