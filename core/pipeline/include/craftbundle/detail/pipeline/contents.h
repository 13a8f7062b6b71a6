// Identity of the contents of files and directories, whatever their times say.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/io/path.h"
#include "craftbundle/detail/pipeline/journal.h"

namespace CRAFTBUNDLE_API craftbundle {

// Begin of the id of a file that is known by its times.
inline constexpr std::string_view kStateId = "state:";

// Thread: all functions may be called concurrently.
class Contents {
 public:
  // `known` are files whose contents were looked at in earlier runs, some maybe in several states:
  // those that are still the same file are not read again. With ContentCheck::structure a large
  // file that would have to be read as a whole is known by its size, times and inode instead. Of
  // `looked_up` the ids are known as well, but nobody need have read every byte.
  Contents(const std::vector<FileState>& known, const Cancellation& cancellation,
           ContentCheck check = ContentCheck::crc, const std::vector<FileState>& looked_up = {});

  // Who is told how far reading has come, from now on. Not thread-safe.
  void tell(Sink* sink) { sink_ = sink; }

  // Of a checkpoint in a zip container "zip:..." made of its directory; of other files
  // "sha256:...", or "state:..." where only the structure is checked; of directories "tree:..." of
  // all names and contents, those at or below `without` left out. Throws Error(system).
  std::string id(const Path& path, const std::vector<Path>& without = {});

  // Of the names of the files in a directory "names:...", those at or below `without` left out; of
  // a file as id(). Throws Error(system).
  std::string source_id(const Path& path, const std::vector<Path>& without = {});

  // As id() of a file that was opened before; what no file has when another one lies there by now.
  // Throws Error(input, "io.changed") when it was written to since.
  std::string opened_id(const InputFile& file);

  // As id() of something that was written just now.
  std::string written_id(const Path& path);

  // Whether what lies at `path` has the contents `id`. Reads every byte of a file that is not the
  // known one.
  bool still_is(const Path& path, const std::string& id);

  // What is known of `path` and everything below it, as far as it was asked for.
  std::vector<FileState> states(const Path& path) const;
  // The same of all paths.
  std::vector<FileState> states() const;

 private:
  std::string file_id(const Path& path);
  std::string tree_id(const Path& path, const std::vector<Path>& without);
  std::optional<std::string> known_id(const FileState& state);
  std::string read_id(const FileState& state) const;
  std::function<void(std::uint64_t)> progress(const InputFile& file) const;
  void remember(const FileState& state);

  mutable std::mutex mutex_;
  using States = std::multimap<std::string, FileState>;  // by path
  std::optional<std::string> id_among(const States& states, const FileState& state);

  States known_;
  States looked_up_;
  std::map<std::string, FileState> seen_;  // by path; what was asked for
  const Cancellation& cancellation_;
  ContentCheck check_;
  Sink* sink_ = &Sink::none();
};

// State of the file at `path` without an id; nullopt when there is none.
std::optional<FileState> file_state(const Path& path);

// Size, times and inode in one line.
std::string state_text(const FileState& state);

// Whether the times would tell of a further change: a file that was just changed may change again
// within their resolution.
bool is_settled(const FileState& state);

}  // namespace craftbundle
