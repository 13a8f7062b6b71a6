// A file that appears at its place whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/io/buffer_ring.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/io/path.h"

namespace CRAFTBUNDLE_API craftbundle {

class Sha256;

// Whether published files are flushed to the disk (fsync of file and directory) before they count.
enum class Durability { sync, no_sync };

// Whether bytes copied from a file may stay in its blocks on the disk, which both files then have
// until one of them is changed there: file systems with reflinks (XFS, Btrfs and others) do that in
// no time and space.
enum class Extents { shared, own };

// Only blocks that lie alike in both files can be shared: at offsets that are equal modulo this.
// File systems with larger blocks copy.
inline constexpr std::uint64_t kBlockSize = 4096;

// Writes a new file in the directory of its target. Until publish() the file has no name at all
// (O_TMPFILE), so that even SIGKILL leaves nothing behind; file systems without unnamed files get a
// hidden temporary name, which the destructor removes. Temporary names that dead writers left in
// the directory are removed when a file is created there; living ones hold a lock (flock).
//
// Thread: one thread at a time.
class OutputFile {
 public:
  enum class Temporary {
    unnamed,  // a hidden name where the file system has no unnamed files
    hidden,   // always a hidden name
  };

  // Creates the file in `directory`, which must exist. Throws system when it cannot.
  OutputFile(const Path& directory, Durability durability,
             Temporary temporary = Temporary::unnamed);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  // Discards the file unless it was published.
  ~OutputFile();

  // Appends. Handles short writes and EINTR; throws system with the directory's name
  // ("io.enospc", ...), after which the file can only be dropped.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);

  // Appends [offset, offset + length) of `source`. The whole blocks in it are shared where they lie
  // alike (kBlockSize) and the file system can do that; the rest is copied from file to file in the
  // kernel where that is possible (and no hash is asked for). Throws as write() and as
  // InputFile::read().
  void copy(const InputFile& source, std::uint64_t offset, std::uint64_t length);

  // Whether copy() leaves bytes of `source` to the kernel: unless they have to be hashed or
  // Extents::own was asked for, and for a hash where reserve() found that blocks can be shared.
  bool leaves_to_kernel(const InputFile& source) const;

  // What is pushed into the ring is appended, and hashed beside the owner's work. Its functions
  // throw as write(). REQUIRES: until it is finished or gone, nothing else is done with the file.
  BufferRing pipe();

  // With Extents::own, every following copy() passes through this process, as the kernel shares of
  // its own accord.
  void set_extents(Extents extents) { extents_ = extents; }

  // Bytes so far, and how many of them are shared.
  std::uint64_t size() const { return size_; }
  std::uint64_t shared_bytes() const { return shared_bytes_; }

  // What copy() will be called with, and at which size().
  struct Copied {
    const InputFile* source = nullptr;
    std::uint64_t source_offset = 0;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };

  // Reserves disk space for `bytes`, less what of `copied` (ascending) will be shared, so that a
  // full disk is found out before the work ("io.enospc"). File systems that cannot reserve are
  // accepted silently. REQUIRES: size() == 0.
  void reserve(std::uint64_t bytes, std::span<const Copied> copied = {});

  // Only this user may read and write it, whatever the umask.
  void make_private();

  // Makes everything that is appended part of the SHA-256. REQUIRES: size() == 0.
  void hash_contents();
  bool is_hashed() const { return sum_ != nullptr; }
  // SHA-256 of what was written so far, in hexadecimal. REQUIRES: hash_contents() was called.
  std::string sha256() const;

  // Flushes (Durability::sync) and gives the file the name `target`, in the same file system as
  // `directory`; permissions are 0666 less the umask, or those of make_private(). An existing file
  // is replaced atomically when `replace`, else it is an error of kind usage ("target.exists").
  // With Durability::sync the directory is flushed too. On failure nothing has changed at `target`:
  // an old file comes back when the directory cannot be flushed (file systems that cannot exchange
  // names keep the new one). REQUIRES: not published before.
  void publish(const Path& target, bool replace);

 private:
  friend class OutputDirectory;
  void create_unnamed();
  void create_hidden();
  void append_copy(const InputFile& source, std::uint64_t offset, std::uint64_t length);
  std::uint64_t copy_in_kernel(const InputFile& source, std::uint64_t offset, std::uint64_t length);
  void append(std::span<const std::byte> bytes);
  bool can_share(const InputFile& source);
  bool share(const InputFile& source, std::uint64_t offset, std::uint64_t length);
  void hash(const InputFile& source, std::uint64_t offset, std::uint64_t length);
  void reserve_range(std::uint64_t begin, std::uint64_t end);
  void start_write_back();
  void flush_contents();
  void move_to_hidden();
  void take_temporary_name(const Path& directory);
  bool take_name(const Path& target, bool replace);
  void refuse_directory(const Path& target);

  Path directory_;
  Path temporary_;  // to be removed: the file's name, or later that of the one it replaced
  Durability durability_;
  Extents extents_ = Extents::shared;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::uint64_t shared_bytes_ = 0;
  std::map<std::uint64_t, bool> shares_with_;  // by device, once it was tried
  std::uint64_t write_back_started_ = 0;       // bytes whose way to the disk was begun
  std::unique_ptr<Sha256> sum_;
};

// Flushes the entries of a directory to the disk. Throws system.
void sync_directory(const Path& directory);

// Begin of the temporary names of files, beside the target they are for.
inline constexpr std::string_view kTemporaryPrefix = ".craftbundle-part-";

// A name in `directory` that does not exist: kTemporaryPrefix and random digits.
Path temporary_name(const Path& directory);

}  // namespace craftbundle
