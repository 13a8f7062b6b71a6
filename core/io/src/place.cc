#include "craftbundle/detail/io/place.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <cerrno>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"

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

}  // namespace

std::string quoted_path(const Path& path) { return "'" + path_text(path) + "'"; }

Place place_of(const Path& target) {
  const std::string given = target.string();
  if (given.empty()) refuse("target.empty", "the target is empty", "name a file or directory");
  const std::size_t last = given.find_last_not_of('/');
  if (last == std::string::npos) refuse("target.root", "the target is the root directory");

  Path path = absolute_path(given.substr(0, last + 1));
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
  boost::system::error_code failure;
  const fs::file_status status = fs::status(directory, failure);
  if (status.type() == fs::status_error) {
    throw system_error(failure.value(), path_text(directory));
  }
  if (!fs::is_directory(status)) {
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

void check_file_target(const Place& place, const SourceFiles& sources, bool force,
                       const std::string& example) {
  const fs::file_type type = type_of(place.path());
  if (type == fs::file_not_found) return;
  for (const InputFile* source : sources) {
    if (source->is_same_file(place.path())) refuse_source(place, *source);
  }
  if (type == fs::symlink_file) refuse_link(place);
  if (type == fs::directory_file) {
    refuse("target.directory", quoted_path(place.given) + " is a directory",
           "name a file in it, for example " + quoted_path(Path(place.given) / example));
  }
  if (type != fs::regular_file) {
    refuse("target.not_a_file", quoted_path(place.given) + " is no regular file");
  }
  if (!force) {
    refuse("target.exists", quoted_path(place.given) + " already exists",
           "pass --force to replace it");
  }
}

std::vector<std::string> check_directory_target(const Place& place, const SourceFiles& sources,
                                                std::string_view what) {
  const Path path = place.path();
  const fs::file_type type = type_of(path);
  if (type == fs::file_not_found) return {};
  for (const InputFile* source : sources) {
    if (source->is_same_file(path)) refuse_source(place, *source);
  }
  if (type == fs::symlink_file) refuse_link(place);
  if (type != fs::directory_file) {
    refuse("target.file",
           quoted_path(place.given) + " is a file, " + std::string(what) + " is a directory",
           "choose another name");
  }
  std::vector<std::string> contents = contents_of(path);
  for (const InputFile* source : sources) {
    const bool inside = lies_in(resolved(source->path()), path);
    const bool linked = std::any_of(contents.begin(), contents.end(), [&](const auto& name) {
      return source->is_same_file(path / name);
    });
    if (inside || linked) refuse_source(place, *source);
  }
  return contents;
}

std::vector<std::string> contents_of(const Path& directory) {
  boost::system::error_code error;
  fs::recursive_directory_iterator entry(directory, error);
  std::vector<std::string> names;
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const bool is_directory = type_of(entry->path()) == fs::directory_file;
    names.push_back(entry->path().lexically_relative(directory).string() +
                    (is_directory ? "/" : ""));
  }
  if (error) throw system_error(error.value(), quoted_path(directory));
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace craftbundle
