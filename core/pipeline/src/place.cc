#include "craftbundle/pipeline/place.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/filesystem.hpp>
#include <cerrno>
#include <functional>

#include "craftbundle/base/error.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

// The directory in which the files of `target` are gathered. Its name follows from the target's, so
// that what a killed run left there is found and removed; its lock tells that from the work of
// another run.
class StagingDirectory {
 public:
  explicit StagingDirectory(const Path& target) : path_(hidden(target, "new")) {
    while (!take()) {
    }
    try {
      for (const auto& entry : fs::directory_iterator(path_)) fs::remove_all(entry.path());
      put_back(target);
    } catch (const fs::filesystem_error& error) {
      ::close(lock_);
      throw system_error(error.code().value(), path_text(path_));
    }
  }
  StagingDirectory(const StagingDirectory&) = delete;
  StagingDirectory& operator=(const StagingDirectory&) = delete;
  ~StagingDirectory() {
    boost::system::error_code ignored;
    if (!published_) fs::remove_all(path_, ignored);
    ::close(lock_);
  }

  const Path& path() const { return path_; }

  void publish(const Path& target, bool replace) {
    boost::system::error_code failure;
    if (fs::exists(fs::symlink_status(target, failure))) {
      if (!replace) {
        throw Error(ErrorKind::usage, "target.exists", path_text(target) + " is there already",
                    "pass --force to replace it");
      }
      const Path old = hidden(target, "old");
      move(target, old);
      try {
        move(path_, target);
      } catch (const Error&) {
        fs::rename(old, target, failure);
        throw;
      }
      fs::remove_all(old, failure);
    } else {
      move(path_, target);
    }
    published_ = true;
  }

 private:
  // A name of any length gives a short one.
  static Path hidden(const Path& target, const std::string& what) {
    const std::size_t hash = std::hash<std::string>()(target.filename().string());
    return target.parent_path() /
           (std::string(kTemporaryPrefix) + std::to_string(hash) + "." + what);
  }

  // Whether the directory is there and locked; false: it was moved away in between.
  bool take() {
    if (::mkdir(path_.c_str(), 0777) != 0 && errno != EEXIST) {
      throw system_error(errno, path_text(path_));
    }
    lock_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (lock_ < 0) {
      if (errno == ENOENT) return false;
      throw system_error(errno, path_text(path_));
    }
    // File systems without locks are taken as they are.
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      ::close(lock_);
      throw Error(ErrorKind::system, "target.busy",
                  path_text(path_) + ": another run writes to the same place",
                  "wait for it to finish, or write to another directory");
    }
    struct stat locked {};
    struct stat named {};
    if (::fstat(lock_, &locked) == 0 && ::stat(path_.c_str(), &named) == 0 &&
        locked.st_ino == named.st_ino) {
      return true;
    }
    ::close(lock_);
    return false;
  }

  // A run that was killed while it replaced the target has moved the old one aside.
  static void put_back(const Path& target) {
    const Path old = hidden(target, "old");
    if (!fs::exists(fs::symlink_status(old))) return;
    if (fs::exists(fs::symlink_status(target))) {
      fs::remove_all(old);
    } else {
      fs::rename(old, target);
    }
  }

  static void move(const Path& from, const Path& to) {
    boost::system::error_code failure;
    fs::rename(from, to, failure);
    if (failure) throw system_error(failure.value(), path_text(to));
  }

  Path path_;
  int lock_ = -1;
  bool published_ = false;
};

}  // namespace

void create_parents(const Path& path) {
  boost::system::error_code failure;
  boost::filesystem::create_directories(path.parent_path(), failure);
  if (failure) throw system_error(failure.value(), path_text(path.parent_path()));
}

std::uint64_t publish_file(const Path& path, const StageRun& run,
                           const std::function<void(OutputFile&)>& write) {
  create_parents(path);
  OutputFile file(path.parent_path(), run.durability);
  write(file);
  run.cancellation.check();
  file.publish(path, run.replace);
  return file.size();
}

void publish_directory(const Path& path, const StageRun& run,
                       const std::function<void(const Path& staged)>& fill) {
  create_parents(path);
  StagingDirectory staged(path);
  fill(staged.path());
  run.cancellation.check();
  staged.publish(path, run.replace);
  if (run.durability == Durability::sync) sync_directory(path.parent_path());
}

std::uint64_t publish_text(std::string_view text, const Path& path, const StageRun& run) {
  return publish_file(path, run, [&](OutputFile& file) { file.write(text); });
}

}  // namespace craftbundle
