#include "craftbundle/bundle/layout.h"

namespace craftbundle {

namespace {

constexpr std::string_view kSuffix = ".bin";

}  // namespace

std::string Layout::file_for(std::string_view role) const {
  for (const File& file : files) {
    if (file.role == role) return file.file;
  }
  return std::string(role).append(kSuffix);
}

std::optional<std::string> Layout::role_of(std::string_view file) const {
  for (const File& entry : files) {
    if (entry.file == file) return entry.role;
  }
  if (!file.ends_with(kSuffix) || file.size() == kSuffix.size()) return std::nullopt;
  const std::string_view role = file.substr(0, file.size() - kSuffix.size());
  // A role with a file of its own is never stored under its plain name.
  if (file_for(role) != file) return std::nullopt;
  return std::string(role);
}

const Layout& audiocraft_layout() {
  static const Layout layout = {
      "audiocraft",
      {{"lm", "state_dict.bin"}, {"compression", "compression_state_dict.bin"}},
  };
  return layout;
}

}  // namespace craftbundle
