#include "bundlecraft/pipeline/place.h"

#include <boost/filesystem.hpp>

#include "bundlecraft/base/error.h"

namespace bundlecraft {
namespace {

namespace fs = boost::filesystem;

// Removes a directory that did not become the target.
class Temporary {
 public:
  explicit Temporary(Path path) : path_(std::move(path)) {}
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    boost::system::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const Path& path() const { return path_; }
  void keep() { path_.clear(); }

 private:
  Path path_;
};

void move(const Path& from, const Path& to) {
  boost::system::error_code failure;
  fs::rename(from, to, failure);
  if (failure) throw system_error(failure.value(), path_text(to));
}

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
  const Path parent = path.parent_path();
  Temporary staged(temporary_name(parent));
  boost::system::error_code failure;
  fs::create_directory(staged.path(), failure);
  if (failure) throw system_error(failure.value(), path_text(staged.path()));
  fill(staged.path());
  run.cancellation.check();
  if (!fs::exists(fs::symlink_status(path, failure))) {
    move(staged.path(), path);
  } else if (!run.replace) {
    throw Error(ErrorKind::usage, "target.exists", path_text(path) + " is there already",
                "pass --force to replace it");
  } else {
    const Temporary old(temporary_name(parent));
    move(path, old.path());
    try {
      move(staged.path(), path);
    } catch (const Error&) {
      fs::rename(old.path(), path, failure);
      throw;
    }
  }
  staged.keep();
  if (run.durability == Durability::sync) sync_directory(parent);
}

std::uint64_t publish_text(std::string_view text, const Path& path, const StageRun& run) {
  return publish_file(path, run, [&](OutputFile& file) { file.write(text); });
}

}  // namespace bundlecraft
