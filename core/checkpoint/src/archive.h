// The zip container of torch.save, read strictly: whatever two readers of zip files could
// understand differently is refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/io/input_file.h"

namespace craftbundle {

struct ArchiveRecord {
  std::string name;               // without the archive's name
  std::uint64_t data_offset = 0;  // in the file
  std::uint64_t stored_size = 0;  // bytes in the file
  std::uint64_t size = 0;         // bytes of the record; equal unless deflated
  std::uint32_t crc = 0;
  bool deflated = false;

  // Writers that compute no CRC-32 leave 0. That of an empty record is 0.
  bool has_crc() const { return crc != 0 || size == 0; }
};

class Archive {
 public:
  // Reads the directory of `file` and every local header. Throws Error(input): "zip.*", "limit.*".
  // `file` must outlive this.
  explicit Archive(const InputFile& file);

  // The first part of all record names.
  const std::string& name() const { return name_; }
  // In the order of the directory; directories are left out.
  const std::vector<ArchiveRecord>& records() const { return records_; }
  // nullptr when there is none.
  const ArchiveRecord* find(std::string_view name) const;
  // Oddities that are no reason to refuse.
  const std::vector<std::string>& notes() const { return notes_; }

  // The contents of a record, inflated, with its CRC-32 checked. REQUIRES: record.size is within
  // the caller's bound.
  std::string read(const ArchiveRecord& record) const;

 private:
  const InputFile* file_;
  std::string name_;
  std::vector<ArchiveRecord> records_;
  std::vector<std::uint32_t> by_name_;  // indices into records_
  std::vector<std::string> notes_;
};

// Whether `file` ends like a zip file.
bool has_zip_end(const InputFile& file);

}  // namespace craftbundle
