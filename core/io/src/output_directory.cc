#include "craftbundle/detail/io/output_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <cerrno>
#include <cstdio>
#include <optional>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "naming.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

constexpr std::size_t kRandomDigits = 8;

// Files that are kept open without a name; a process may have about a thousand, and stages of a run
// share them.
constexpr std::size_t kMostUnnamed = 32;

// Between opening and locking, another writer may be done and remove the lock file.
constexpr int kLockAttempts = 1000;

std::string hidden_prefix(const Place& place) { return "." + place.name + ".craftbundle-"; }

// Where the old directory waits while it is replaced without an exchange of names.
Path aside_path(const Place& place) { return place.parent / (hidden_prefix(place) + "replaced"); }

bool is_there(const Path& path) {
  boost::system::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

// "a/", "a/b/" for "a/b/c".
std::vector<std::string> directories_of(const std::string& name) {
  std::vector<std::string> directories;
  for (std::size_t end = name.find('/'); end != std::string::npos; end = name.find('/', end + 1)) {
    directories.push_back(name.substr(0, end + 1));
  }
  return directories;
}

// Opens the directory that holds `name` below `root`. Links are not followed: they may lead away.
Descriptor open_parent(const Descriptor& root, const std::string& name) {
  constexpr int kFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  Descriptor directory(::openat(root.get(), ".", kFlags));
  std::size_t begin = 0;
  for (std::size_t end = name.find('/'); directory && end != std::string::npos;
       begin = end + 1, end = name.find('/', begin)) {
    directory =
        Descriptor(::openat(directory.get(), name.substr(begin, end - begin).c_str(), kFlags));
  }
  return directory;
}

// Removes what `names` says below `root`, then the directories that are empty by that. Returns
// whether nothing is left.
bool remove_names(const Path& root, const std::vector<std::string>& names) {
  if (::unlink(root.c_str()) == 0) return true;
  const Descriptor opened(::open(root.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  const auto remove = [&](const std::string& name, int flags) {
    const Descriptor parent = open_parent(opened, name);
    if (parent) ::unlinkat(parent.get(), name.substr(name.rfind('/') + 1).c_str(), flags);
  };
  std::set<std::string, std::greater<>> directories;  // those within others come first
  for (const std::string& name : names) {
    for (const std::string& directory : directories_of(name)) {
      directories.insert(directory.substr(0, directory.size() - 1));
    }
    if (!name.ends_with('/')) remove(name, 0);
  }
  for (const std::string& directory : directories) remove(directory, AT_REMOVEDIR);
  return ::rmdir(root.c_str()) == 0;
}

void check_name(const std::string& name) {
  bool sound = !name.empty() && name.find('\0') == std::string::npos;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = std::string_view(name).substr(begin, end - begin);
    sound = sound && !part.empty() && part != "." && part != "..";
    begin = end + 1;
  }
  if (!sound) {
    throw Error(ErrorKind::plugin, "output.name",
                quoted(name) + " is no name of a file in a directory");
  }
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

}  // namespace

// Held until the object goes.
class OutputDirectory::Lock {
 public:
  // The lock of the place. Throws "target.busy".
  explicit Lock(const Place& place) : file_(place.parent / (hidden_prefix(place) + "lock")) {
    for (int attempt = 0; attempt < kLockAttempts && !try_to_take(place); ++attempt) {
    }
  }
  // A lock on a directory: tells other writers that it is in use. Not every file system has locks;
  // without one they may take it for abandoned, and publishing fails.
  explicit Lock(Descriptor directory) : fd_(std::move(directory)) {}
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() {
    if (fd_ && !file_.empty()) ::unlink(file_.c_str());
  }

  bool is_held() const { return static_cast<bool>(fd_); }

 private:
  // False: the file was removed before it could be locked. Without a lock when there can be none.
  bool try_to_take(const Place& place) {
    Descriptor fd(::open(file_.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd && errno == ENOENT) {
      fd = Descriptor(::open(file_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
      if (!fd && errno == EEXIST) return false;
      if (fd) admit_writers(fd, place.parent);
    }
    if (!fd) return true;
    switch (lock_named(fd.get(), file_)) {
      case LockOutcome::taken:
        fd_ = std::move(fd);
        return true;
      case LockOutcome::gone:
        return false;
      case LockOutcome::impossible:
        ::unlink(file_.c_str());
        return true;
      case LockOutcome::busy:
        break;
    }
    throw Error(ErrorKind::system, "target.busy",
                quoted_path(place.given) + " is being written by another run",
                "wait for it to finish, or write to another directory");
  }

  // Whoever can open the file can keep writers off, so these are they who may write beside it.
  static void admit_writers(const Descriptor& fd, const Path& directory) {
    struct stat beside {};
    struct stat file {};
    if (::stat(directory.c_str(), &beside) != 0 || ::fstat(fd.get(), &file) != 0) return;
    mode_t mode = 0600;
    if ((beside.st_mode & S_IWGRP) != 0 && beside.st_gid == file.st_gid) mode |= 0060;
    if ((beside.st_mode & S_IWOTH) != 0) mode |= 0006;
    ::fchmod(fd.get(), mode);
  }

  Path file_;  // removed with the lock; empty: none
  Descriptor fd_;
};

OutputDirectory::OutputDirectory(const Place& place, Durability durability, Sink& sink,
                                 Removable removable)
    : place_(place),
      durability_(durability),
      sink_(sink),
      removable_(std::move(removable)),
      parents_(place, durability),
      lock_(std::make_unique<Lock>(place)) {
  if (lock_->is_held()) remove_left_overs();
}

OutputDirectory::~OutputDirectory() {
  // Closed first: FUSE and NFS keep a removed file that is open under another name in the
  // directory.
  open_.clear();
  if (!staging_.empty()) remove_names(staging_, staged_);
}

void OutputDirectory::remove_left_overs() {
  const Path aside = aside_path(place_);
  boost::system::error_code error;
  if (is_there(aside)) {
    // A directory is renamed to where nothing, or an empty directory, lies, and nowhere else.
    const bool safe =
        fs::is_directory(fs::symlink_status(aside, error)) || !is_there(place_.path());
    if (safe && ::rename(aside.c_str(), place_.path().c_str()) == 0) {
      sink_.log(LogLevel::warning,
                quoted_path(place_.given) + ": restored what an interrupted run has moved aside");
    } else {
      remove_names(aside, removable_in(aside));
    }
  }
  for (const Path& path : find_random_names(place_.parent, hidden_prefix(place_), kRandomDigits)) {
    const Descriptor abandoned = take_abandoned(path, O_RDONLY | O_DIRECTORY);
    if (abandoned && remove_names(path, removable_in(path))) {
      sink_.log(LogLevel::debug, "removed " + quoted_path(path) + ", left by a killed run");
    }
  }
}

OutputFile& OutputDirectory::create(const std::string& name, Names names) {
  check_name(name);
  const std::string key = names == Names::portable ? lower_case(name) : name;
  const std::vector<std::string> directories = directories_of(key);
  const bool within_file = std::ranges::any_of(directories, [&](const std::string& directory) {
    return taken_.contains(directory.substr(0, directory.size() - 1));
  });
  if (within_file || taken_.contains(key + "/") || !taken_.insert(key).second) {
    throw Error(ErrorKind::plugin, "output.name",
                "the name " + quoted(name) + " is taken already, if only in another case");
  }
  taken_.insert(directories.begin(), directories.end());
  open_.push_back({name, std::make_unique<OutputFile>(place_.parent, durability_)});
  return *open_.back().file;
}

void OutputDirectory::complete() {
  if (open_.size() >= kMostUnnamed) stage_files();
}

void OutputDirectory::create_staging() {
  while (true) {
    const Path path = place_.parent / (hidden_prefix(place_) + random_digits(kRandomDigits));
    if (::mkdir(path.c_str(), 0777) != 0) {
      if (errno == EEXIST) continue;
      throw system_error(errno, "cannot create a directory beside " + quoted_path(place_.given));
    }
    Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) {
      const int error = errno;
      ::rmdir(path.c_str());
      throw system_error(error, quoted_path(path));
    }
    const LockOutcome lock = lock_named(fd.get(), path);
    // In the moment before it was locked, another writer may have taken it for abandoned.
    if (lock == LockOutcome::busy || lock == LockOutcome::gone) continue;
    staging_ = path;
    staging_lock_ = std::make_unique<Lock>(std::move(fd));
    return;
  }
}

void OutputDirectory::create_parents_of(const std::string& name) {
  for (const std::string& directory : directories_of(name)) {
    if (!directories_.insert(directory).second) continue;
    if (::mkdir((staging_ / directory).c_str(), 0777) != 0) {
      throw system_error(errno, "cannot create a directory beside " + quoted_path(place_.given));
    }
  }
}

// Everything that takes time comes before the first name is given.
void OutputDirectory::stage_files() {
  for (const File& file : open_) file.file->flush_contents();
  if (staging_.empty()) create_staging();
  for (const File& file : open_) {
    staged_.push_back(file.name);
    create_parents_of(file.name);
    file.file->take_name(staging_ / file.name, false);
  }
  open_.clear();
}

void OutputDirectory::flush_staging() const {
  for (const std::string& directory : directories_) sync_directory(staging_ / directory);
  sync_directory(staging_);
}

// What may be removed of something that is no directory, or cannot be read, is nothing.
std::vector<std::string> OutputDirectory::removable_in(const Path& directory) const {
  boost::system::error_code ignored;
  if (!fs::is_directory(fs::symlink_status(directory, ignored))) return {};
  try {
    return removable_(directory);
  } catch (const Error&) {
    return {};
  }
}

void OutputDirectory::publish(bool replace) {
  stage_files();
  // Opened before anything is replaced: a directory that cannot be opened is found out in time.
  std::optional<OpenDirectory> parent;
  if (durability_ == Durability::sync) {
    flush_staging();
    parent.emplace(place_.parent);
  }
  const std::vector<std::string> removable =
      replace ? removable_in(place_.path()) : std::vector<std::string>();
  const Path old = take_place(replace);
  try {
    if (parent) parent->flush();
  } catch (...) {
    give_back_place(old);
    throw;
  }
  staging_.clear();
  parents_.keep();
  if (!old.empty()) remove_replaced(old, removable);
}

// Returns where the replaced directory lies now; empty: there was none.
Path OutputDirectory::take_place(bool replace) {
  const Path path = place_.path();
  Path old;
  if (replace) {
    if (exchange_names(staging_, path)) return staging_;
    const Path aside = aside_path(place_);
    if (!cannot_exchange(errno) || ::rename(path.c_str(), aside.c_str()) != 0) {
      throw system_error(errno, "cannot replace " + quoted_path(place_.given));
    }
    old = aside;
  }
  // The name is free. rename() replaces nothing but an empty directory.
  if (::rename(staging_.c_str(), path.c_str()) == 0) return old;
  const int error = errno;
  if (!old.empty()) ::rename(old.c_str(), path.c_str());
  if (error == ENOTEMPTY || error == EEXIST || error == ENOTDIR) {
    throw Error(ErrorKind::usage, "target.exists",
                quoted_path(place_.given) + " was created by somebody else meanwhile",
                "choose another directory, or look at what is there");
  }
  throw system_error(error, "cannot create " + quoted_path(place_.given));
}

void OutputDirectory::give_back_place(const Path& old) {
  const Path path = place_.path();
  if (old != staging_) {
    ::rename(path.c_str(), staging_.c_str());
    if (!old.empty()) ::rename(old.c_str(), path.c_str());
  } else if (!exchange_names(staging_, path)) {
    sink_.log(LogLevel::warning, "what was replaced lies at " + quoted_path(staging_));
    staging_.clear();
  }
}

void OutputDirectory::remove_replaced(Path old, const std::vector<std::string>& removable) {
  if (remove_names(old, removable)) return;
  // Under this name no later run takes it for a left-over.
  const Path kept =
      place_.parent / (hidden_prefix(place_) + "kept-" + random_digits(kRandomDigits));
  if (rename_without_replacing(old, kept)) old = kept;
  sink_.log(LogLevel::warning, "the replaced directory could not be removed: " + quoted_path(old));
}

}  // namespace craftbundle
