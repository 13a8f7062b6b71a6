// A directory that is exported.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/io/path.h"

namespace CRAFTBUNDLE_API craftbundle {

// The regular files of a directory, by their names. Links are followed and names count, not what
// they link to: the cache of a model hub has links to files that are named by their hashes. Hidden
// files and directories in it are left out.
//
// Thread: all functions may be called concurrently.
class SourceDirectory {
 public:
  // Lists `path`, and what happens there afterwards changes nothing. Throws Error(system).
  explicit SourceDirectory(Path path);
  SourceDirectory(const SourceDirectory&) = delete;
  SourceDirectory& operator=(const SourceDirectory&) = delete;

  const Path& path() const { return path_; }
  const std::vector<std::string>& files() const { return files_; }  // sorted
  bool has(std::string_view name) const;

  // All of a small file of it, for Exporter::probe(), which has no context. It is read once,
  // whoever asks. Throws as HostContext::read_text().
  std::string text(const std::string& name) const;
  // The files that text() has read.
  std::vector<std::shared_ptr<const InputFile>> read() const;

 private:
  struct Text {
    std::shared_ptr<const InputFile> file;
    std::string text;
  };
  Path path_;
  std::vector<std::string> files_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, Text> texts_;
};

}  // namespace craftbundle
