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

FileState look_at(const Path& path) {
  if (std::optional<FileState> state = file_state(path)) return *std::move(state);
  throw system_error(errno, path_text(path));
}

}  // namespace

std::string state_text(const FileState& state) {
  std::string text;
  for (const std::int64_t number : {static_cast<std::int64_t>(state.size), state.modified_ns,
                                    state.changed_ns, static_cast<std::int64_t>(state.inode)}) {
    text += std::to_string(number) + ' ';
  }
  return text;
}

bool is_settled(const FileState& state) {
  constexpr std::int64_t kResolution = 50'000'000;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::int64_t age = nanoseconds(now) - state.changed_ns;
  return age > kResolution || age < -kResolution;
}

std::optional<FileState> file_state(const Path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  FileState state;
  state.path = path.string();
  state.size = static_cast<std::uint64_t>(status.st_size);
  state.modified_ns = nanoseconds(status.st_mtim);
  state.changed_ns = nanoseconds(status.st_ctim);
  state.inode = status.st_ino;
  state.device = status.st_dev;
  return state;
}

Contents::Contents(const std::vector<FileState>& known, const Cancellation& cancellation,
                   ContentCheck check, const std::vector<FileState>& looked_up)
    : cancellation_(cancellation), check_(check) {
  for (const FileState& state : known) known_.emplace(state.path, state);
  for (const FileState& state : looked_up) looked_up_.emplace(state.path, state);
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
  std::optional<std::string> known = known_id(state);
  if (!known) known = id_among(looked_up_, state);
  if (known) return *std::move(known);
  state.id = read_id(state);
  if (is_settled(state)) remember(state);
  return state.id;
}

std::optional<std::string> Contents::known_id(const FileState& state) {
  {
    const std::lock_guard lock(mutex_);
    const auto seen = seen_.find(state.path);
    if (seen != seen_.end() && seen->second.same_file(state)) return seen->second.id;
  }
  return id_among(known_, state);
}

std::optional<std::string> Contents::id_among(const States& states, const FileState& state) {
  const auto [begin, end] = states.equal_range(state.path);
  const auto known =
      std::find_if(begin, end, [&](const auto& entry) { return entry.second.same_file(state); });
  if (known == end) return std::nullopt;
  FileState found = state;
  found.id = known->second.id;
  remember(found);
  return found.id;
}

std::string Contents::read_id(const FileState& state) const {
  const InputFile file(Path(state.path));
  std::optional<std::string> digest = contents_digest(file);
  std::string id;
  if (digest) {
    id = std::string(kZip) + *digest;
  } else if (check_ == ContentCheck::structure && state.size > kWorthReading && is_settled(state)) {
    id = std::string(kStateId) + sha256_of_text(state_text(state));
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
  seen_[state.path] = state;
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
  if (const auto found = seen_.find(name); found != seen_.end()) result.push_back(found->second);
  for (auto at = seen_.lower_bound(name + "/");
       at != seen_.end() && at->first.starts_with(name + "/"); ++at) {
    result.push_back(at->second);
  }
  return result;
}

std::vector<FileState> Contents::states() const {
  const std::lock_guard lock(mutex_);
  std::vector<FileState> result;
  for (const auto& [path, state] : seen_) result.push_back(state);
  return result;
}

}  // namespace craftbundle
