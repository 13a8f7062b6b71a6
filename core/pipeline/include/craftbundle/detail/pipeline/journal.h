// What is remembered of the stages of a script between runs: one record a stage, each replaced as a
// whole, so that a run that is killed leaves the old one or the new one.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/pipeline/report.h"

namespace CRAFTBUNDLE_API craftbundle {

// A file as the file system describes it. Times are only ever compared for being equal.
struct FileState {
  std::string path;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  std::uint64_t inode = 0;
  std::string id;  // of the contents
  // 0: not known. Records of stages do without: a disk may have another number tomorrow.
  std::uint64_t device = 0;

  bool same_file(const FileState& other) const {
    return size == other.size && modified_ns == other.modified_ns &&
           changed_ns == other.changed_ns && inode == other.inode &&
           (device == other.device || device == 0 || other.device == 0);
  }
  friend bool operator==(const FileState&, const FileState&) = default;
};

struct StageRecord {
  enum class State { started, done, failed };
  std::string stage;
  State state = State::started;
  std::vector<KeyPart> key;      // what decided the result, contents of inputs included
  std::vector<StageRead> read;   // what else decided it
  std::vector<KeyPart> outputs;  // name and content id of each
  // started: the outputs that were there before; done: files that were read or written, so that
  // their contents need not be read again.
  std::vector<FileState> files;
  StageResult result;
  double seconds = 0;
  std::string finished;  // "2026-11-23T19:10:00Z"
  std::string error;     // failed: its message
};

// A digest of a key, which holds no secret as it is.
std::string fingerprint(const std::vector<KeyPart>& key);
// Of everything that decided the result.
std::string fingerprint_of(const StageRecord& record);

// Only this user may read what is remembered, whatever the umask: its directory has mode 0700, and
// its records 0600.
//
// Thread: all functions may be called concurrently.
class Journal {
 public:
  // The records of a script in `directory`, which is created when something is written.
  explicit Journal(Path directory);
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  ~Journal();

  const Path& directory() const { return directory_; }

  // Keeps other runs of the script away until the object goes. A run of a single stage for another
  // engine shares with its like. Throws Error(system, "run.busy") when it is taken.
  void lock(bool shared);
  // The same for one stage, among runs that share.
  void lock_stage(const std::string& stage);

  // nullopt when there is none, or none that can be read.
  std::optional<StageRecord> read(const std::string& stage) const;
  // On disk when it returns.
  void write(const StageRecord& record);

  // Tells values apart without giving them away: a digest under a random key that is kept beside
  // the records. Before anything is kept, digests are only good for this object. Throws system.
  std::string digest(std::string_view secret) const;

  // File for what programs of a stage print.
  Path log(const std::string& stage) const;
  // Every file state of all records.
  std::vector<FileState> known_files() const;

 private:
  Path record_path(const std::string& stage) const;
  void take_lock(const Path& file, bool shared, const std::string& what);
  void create_directories();
  void keep_digest_key();

  std::optional<std::string> kept_digest_key() const;

  Path directory_;
  std::string new_digest_key_;  // until one is kept
  std::mutex creation_;
  bool is_created_ = false;  // guarded by creation_
  std::mutex mutex_;
  std::vector<int> locks_;  // guarded by mutex_
};

}  // namespace craftbundle
