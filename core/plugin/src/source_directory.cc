#include "craftbundle/detail/plugin/source_directory.h"

#include <algorithm>
#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/plugin/context.h"

namespace craftbundle {

namespace fs = boost::filesystem;

SourceDirectory::SourceDirectory(Path path) : path_(std::move(path)) {
  boost::system::error_code failure;
  fs::directory_iterator entry(path_, failure);
  while (!failure && entry != fs::directory_iterator()) {
    const std::string name = entry->path().filename().string();
    // A link that leads nowhere is no file.
    boost::system::error_code ignored;
    if (!name.starts_with('.') && fs::is_regular_file(entry->path(), ignored)) {
      files_.push_back(name);
    }
    entry.increment(failure);
  }
  if (failure) throw system_error(failure.value(), path_text(path_));
  std::ranges::sort(files_);
}

bool SourceDirectory::has(std::string_view name) const {
  return std::ranges::binary_search(files_, name);
}

std::string SourceDirectory::text(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  Text& text = texts_[name];
  if (!text.file) {
    const auto file = std::make_shared<const InputFile>(path_ / name);
    text.text = text_of(*file, kMaxReadTextBytes);
    text.file = file;
  }
  return text.text;
}

std::vector<std::shared_ptr<const InputFile>> SourceDirectory::read() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const InputFile>> files;
  for (const auto& [name, text] : texts_) {
    if (text.file) files.push_back(text.file);
  }
  return files;
}

}  // namespace craftbundle
