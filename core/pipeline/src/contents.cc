#include "craftbundle/detail/pipeline/contents.h"

#include <sys/stat.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <ctime>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/container.h"
#include "craftbundle/detail/io/sha256.h"
#include "craftbundle/detail/plugin/source_directory.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

std::int64_t nanoseconds(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

constexpr std::string_view kZip = "zip:";

// Up to this size all of a file is read, whatever is asked for: it takes no time.
constexpr std::uint64_t kWorthReading = 16 << 20;

std::string state_id(const FileState& state) {
  std::string text;
  for (const std::int64_t number : {static_cast<std::int64_t>(state.size), state.modified_ns,
                                    state.changed_ns, static_cast<std::int64_t>(state.inode)}) {
    text += std::to_string(number) + ' ';
  }
  return "state:" + sha256_of_text(text);
}

FileState look_at(const Path& path) {
  if (std::optional<FileState> state = file_state(path)) return *std::move(state);
  throw system_error(errno, path_text(path));
}

// A file that was just changed may change again within the resolution of its times, so that they
// tell nothing.
bool is_settled(const FileState& state) {
  constexpr std::int64_t kResolution = 50'000'000;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::int64_t age = nanoseconds(now) - state.changed_ns;
  return age > kResolution || age < -kResolution;
}

}  // namespace

std::optional<FileState> file_state(const Path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  FileState state;
  state.path = path.string();
  state.size = static_cast<std::uint64_t>(status.st_size);
  state.modified_ns = nanoseconds(status.st_mtim);
  state.changed_ns = nanoseconds(status.st_ctim);
  state.inode = status.st_ino;
  return state;
}

std::string Contents::id(const Path& path, const std::vector<Path>& without) {
  boost::system::error_code failure;
  if (fs::is_directory(path, failure)) return tree_id(path, without);
  return file_id(path);
}

std::string Contents::source_id(const Path& path, const std::vector<Path>& without) {
  boost::system::error_code failure;
  if (!fs::is_directory(path, failure)) return file_id(path);
  const SourceDirectory directory(path);
  std::string names;
  for (const std::string& name : directory.files()) {
    if (std::ranges::count(without, path / name) == 0) names += name + '\0';
  }
  return "names:" + sha256_of_text(names);
}

std::string Contents::opened_id(const InputFile& file) {
  const std::string id = file_id(file.path());
  if (!file.is_same_file(file.path())) return "replaced";
  file.check_unchanged();
  return id;
}

std::string Contents::written_id(const Path& path) {
  boost::system::error_code failure;
  if (fs::is_directory(path, failure)) return tree_id(path, {});
  FileState state = look_at(path);
  state.id = read_id(state);
  remember(state);
  return state.id;
}

bool Contents::still_is(const Path& path, const std::string& id) {
  boost::system::error_code failure;
  if (fs::is_directory(path, failure)) return tree_id(path, {}) == id;
  FileState state = look_at(path);
  if (const std::optional<std::string> known = known_id(state)) return *known == id;
  state.id = read_id(state);
  if (state.id != id) return false;
  if (id.starts_with(kZip) && check_ == ContentCheck::crc) {
    // The directory of the archive is what it was; that says nothing of the bytes.
    try {
      const InputFile file(path);
      check_records(file, cancellation_, progress(file));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::input) throw;
      return false;
    }
  }
  if (is_settled(state)) remember(state);
  return true;
}

std::string Contents::file_id(const Path& path) {
  FileState state = look_at(path);
  if (std::optional<std::string> known = known_id(state)) return *std::move(known);
  state.id = read_id(state);
  if (is_settled(state)) remember(state);
  return state.id;
}

std::optional<std::string> Contents::known_id(const FileState& state) const {
  const std::lock_guard lock(mutex_);
  const auto known = known_.find(state.path);
  if (known == known_.end() || !known->second.same_file(state)) return std::nullopt;
  return known->second.id;
}

std::string Contents::read_id(const FileState& state) const {
  const InputFile file(Path(state.path));
  std::optional<std::string> digest = contents_digest(file);
  std::string id;
  if (digest) {
    id = std::string(kZip) + *digest;
  } else if (check_ == ContentCheck::structure && state.size > kWorthReading && is_settled(state)) {
    id = state_id(state);
  } else {
    id = "sha256:" + sha256_of_file(file, cancellation_, progress(file));
  }
  file.check_unchanged();
  return id;
}

std::function<void(std::uint64_t)> Contents::progress(const InputFile& file) const {
  return [this, name = "reading " + file.path().filename().string(),
          size = file.size()](std::uint64_t done) {
    sink_->progress({name, done, size});
  };
}

void Contents::remember(const FileState& state) {
  const std::lock_guard lock(mutex_);
  known_[state.path] = state;
}

std::string Contents::tree_id(const Path& path, const std::vector<Path>& without) {
  std::vector<Path> files;
  boost::system::error_code failure;
  fs::recursive_directory_iterator entry(path, failure);
  if (failure) throw system_error(failure.value(), path_text(path));
  while (entry != fs::recursive_directory_iterator()) {
    cancellation_.check();
    boost::system::error_code ignored;
    const Path& at = entry->path();
    if (std::find(without.begin(), without.end(), at) != without.end()) {
      entry.disable_recursion_pending();
    } else if (fs::is_regular_file(at, ignored)) {
      files.push_back(at);
    }
    entry.increment(failure);
    if (failure) throw system_error(failure.value(), path_text(path));
  }
  std::sort(files.begin(), files.end());
  std::string text;
  for (const Path& file : files) {
    text += file.lexically_relative(path).string() + '\0' + file_id(file) + '\n';
  }
  return "tree:" + sha256_of_text(text);
}

std::vector<FileState> Contents::states(const Path& path) const {
  const std::string name = path.string();
  const std::lock_guard lock(mutex_);
  std::vector<FileState> result;
  if (const auto found = known_.find(name); found != known_.end()) result.push_back(found->second);
  for (auto at = known_.lower_bound(name + "/");
       at != known_.end() && at->first.starts_with(name + "/"); ++at) {
    result.push_back(at->second);
  }
  return result;
}

}  // namespace craftbundle
