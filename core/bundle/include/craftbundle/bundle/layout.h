// How components lie in a bundle directory.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace craftbundle {

// A named arrangement of component files. Roles without an entry are stored as "<role>.bin".
struct Layout {
  struct File {
    std::string role;
    std::string file;
  };
  std::string name;
  std::vector<File> files;

  std::string file_for(std::string_view role) const;
  std::optional<std::string> role_of(std::string_view file) const;
};

// The layout that AudioCraft's loaders read (audiocraft/models/loaders.py): state_dict.bin and
// compression_state_dict.bin.
const Layout& audiocraft_layout();

}  // namespace craftbundle
