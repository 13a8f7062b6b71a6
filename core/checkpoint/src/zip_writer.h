// The zip container as torch.save lays it out, as pure arithmetic: where each record will lie, and
// the bytes around it. Nothing here touches a file, so beyond 4 GiB is as easy to test as below.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace craftbundle {

// PyTorch maps storages straight from the file, and wants them aligned: "All files in the archive
// are aligned to 64 byte boundaries such that it is possible to mmap the entire file and get an
// aligned pointer to tensor data" (caffe2/serialize/inline_container.h). Its writer pads with an
// extra field "FB" of the local header (getPadding() in inline_container.cc); its reader goes by
// the length of the extra fields (getRecordOffset()), whatever they hold.
inline constexpr std::uint64_t kRecordAlignment = 64;

// A stored (never deflated) record.
struct ZipRecord {
  std::string name;  // with the archive's name in front
  std::uint64_t size = 0;
  std::uint64_t header_offset = 0;
  std::uint64_t data_offset = 0;  // a multiple of kRecordAlignment

  // What lies between header_offset and data_offset.
  std::string local_header() const;
  // What follows the data: nothing for an empty record.
  std::string descriptor(std::uint32_t crc) const;
  std::uint64_t end_offset() const;

  // Whether the local header and the descriptor carry ZIP64 numbers.
  bool is_zip64() const;
};

class ZipLayout {
 public:
  // Appends a record of `size` bytes. Those that lie at `source_offset` of a file lie alike in
  // blocks here (kBlockSize), unless that is no multiple of kRecordAlignment.
  void add(std::string name, std::uint64_t size,
           std::optional<std::uint64_t> source_offset = std::nullopt);

  const std::vector<ZipRecord>& records() const { return records_; }

  // Central directory and end records. REQUIRES: one CRC-32 for each record.
  std::string directory(std::span<const std::uint32_t> crcs) const;

  std::uint64_t file_size() const;

 private:
  std::uint64_t directory_offset() const;

  std::vector<ZipRecord> records_;
};

}  // namespace craftbundle
