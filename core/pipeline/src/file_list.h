// The files that copies, archives and checksums are made of.
#pragma once

#include <string>
#include <vector>

#include "craftbundle/detail/pipeline/stage.h"

namespace craftbundle {

struct ListedFile {
  Path path;
  std::string name;  // below the directory it was found in, which is part of it; '/' between
  std::uint64_t size = 0;
};

// The regular files of an input, sorted by name, those at or below `without` left out. A file is
// listed by its file name, a directory's files as "DIRECTORY/...". Throws Error(input,
// "stage.special") for links, sockets and devices, Error(system) for what cannot be read.
std::vector<ListedFile> list_files(const Path& input, const std::vector<Path>& without = {});

}  // namespace craftbundle
