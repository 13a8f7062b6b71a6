// Where something is to be published, and whether it may be.
#pragma once

#include <string>
#include <vector>

#include "craftbundle/io/input_file.h"
#include "craftbundle/io/output_file.h"
#include "craftbundle/io/path.h"

namespace craftbundle {

// Hidden names beside a target are ".<name>.craftbundle-XXXXXXXX"; this is what they leave of the
// 255 bytes a name can have.
inline constexpr std::size_t kLongestTargetName = 255 - 22;

// path_text() in quotes.
std::string quoted_path(const Path& path);

// A name in a directory that may not exist yet.
struct Place {
  Path parent;       // absolute, links resolved
  std::string name;  // one path element
  Path given;        // as the user wrote it, for messages

  Path path() const { return parent / name; }
};

// Throws Error(usage) for what names no place: "target.empty", "target.root", "target.name".
Place place_of(const Path& target);

// Creates the missing directories of a path and removes them again unless keep() is called.
class ParentDirectories {
 public:
  // Throws Error(usage, "target.parent") when an ancestor is no directory, system when one cannot
  // be created.
  ParentDirectories(const Place& place, Durability durability);
  ParentDirectories(const ParentDirectories&) = delete;
  ParentDirectories& operator=(const ParentDirectories&) = delete;
  ~ParentDirectories();

  void keep() { created_.clear(); }

 private:
  void create(const Path& directory, Durability durability);
  void remove();
  std::vector<Path> created_;  // outermost first
};

using SourceFiles = std::vector<const InputFile*>;

// Throws Error(usage) unless a file may be published at `place`: "target.is_source", "target.link",
// "target.directory", "target.not_a_file", "target.exists" (never with `force`).
void check_file_target(const Place& place, const SourceFiles& sources, bool force);

enum class DirectoryTarget {
  free,    // nothing there, or an empty directory
  bundle,  // a bundle that may be replaced
};

// What lies at the place of a bundle. Throws Error(usage) unless a bundle may be published there:
// "target.is_source", "target.link", "target.file", "target.foreign", "target.exists" (never with
// `force`). `disposable` names further files that may go with a bundle.
DirectoryTarget check_directory_target(const Place& place, const SourceFiles& sources, bool force,
                                       const std::vector<std::string>& disposable = {});

}  // namespace craftbundle
