// Where something is to be published, and whether it may be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/io/output_file.h"
#include "craftbundle/detail/io/path.h"

namespace CRAFTBUNDLE_API craftbundle {

// Hidden names beside a target are ".<name>.craftbundle-kept-XXXXXXXX" at most; this is what they
// leave of the 255 bytes a name can have.
inline constexpr std::size_t kLongestTargetName = 255 - 27;

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
// "target.directory" (whose hint names `example`, a file in it), "target.not_a_file",
// "target.exists" (never with `force`).
void check_file_target(const Place& place, const SourceFiles& sources, bool force,
                       const std::string& example);

// What lies at the place of a directory that is to be published: everything in it, as
// contents_of(); nothing when the place is free. `what` is published there: "a bundle". Throws
// Error(usage) for what is no directory, and when it holds a source: "target.is_source",
// "target.link", "target.file".
std::vector<std::string> check_directory_target(const Place& place, const SourceFiles& sources,
                                                std::string_view what);

// Names of everything in a directory, at any depth, relative to it and sorted; links are not
// followed. The name of a directory ends in '/'. Throws system.
std::vector<std::string> contents_of(const Path& directory);

}  // namespace craftbundle
