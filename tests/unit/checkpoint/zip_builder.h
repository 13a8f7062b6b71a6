// Writes zip files with every kind of fault.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/io/crc32.h"
#include "pickle_pieces.h"

namespace craftbundle::testing {

struct BuiltRecord {
  std::string name;
  std::string data;  // as stored
  std::uint16_t method = 0;
  std::uint16_t flags = 0;
  std::uint64_t size = data.size();
  std::uint32_t crc = crc32(0, std::as_bytes(std::span(data)));
  // What the local header says, if something else.
  std::optional<std::string> local_name = {};
  std::optional<std::uint16_t> local_flags = {};
  std::optional<std::uint16_t> local_method = {};
  std::optional<std::uint32_t> local_crc = {};
  std::optional<std::uint32_t> local_size = {};
  std::string local_extra = {};
  std::string descriptor = {};
  // What the directory says, if something else.
  std::optional<std::uint32_t> central_size = {};
  std::optional<std::uint32_t> central_stored_size = {};
  std::optional<std::uint32_t> central_offset = {};
  std::string central_extra = {};
  std::uint16_t disk = 0;
};

struct BuiltZip {
  std::vector<BuiltRecord> records;
  std::string prefix = {};          // in front of the archive, not counted in offsets
  std::string gap = {};             // between records and directory
  std::string directory_tail = {};  // counted as part of the directory
  std::string comment = {};
  std::string trailing = {};
  bool zip64 = false;
  // What the end records say, if something else.
  std::optional<std::uint16_t> count = {};
  std::optional<std::uint16_t> count_here = {};
  std::optional<std::uint32_t> directory_size = {};
  std::optional<std::uint32_t> directory_offset = {};
  std::optional<std::uint16_t> comment_size = {};
  std::uint16_t disk = 0;
  std::optional<std::uint64_t> count64 = {};
  std::optional<std::uint64_t> count_here64 = {};
  std::optional<std::uint64_t> size64 = {};
  std::optional<std::uint64_t> directory_offset64 = {};
  std::optional<std::uint64_t> record_size64 = {};
  std::optional<std::uint64_t> record_offset64 = {};
  std::string end64_signature = "PK\6\6";

  std::string bytes() const {
    using pickles::little;
    std::string out = prefix;
    std::string directory;
    for (const BuiltRecord& record : records) {
      const std::uint64_t offset = out.size() - prefix.size();
      const std::string& local_name = record.local_name ? *record.local_name : record.name;
      const bool later = !record.descriptor.empty();
      const auto crc = record.local_crc.value_or(later ? 0 : record.crc);
      const auto size =
          record.local_size.value_or(later ? 0 : static_cast<std::uint32_t>(record.size));
      const auto stored =
          record.local_size.value_or(later ? 0 : static_cast<std::uint32_t>(record.data.size()));
      out += "PK\3\4" + little(0, 2) + little(record.local_flags.value_or(record.flags), 2) +
             little(record.local_method.value_or(record.method), 2) + little(0, 4) +
             little(crc, 4) + little(stored, 4) + little(size, 4) + little(local_name.size(), 2) +
             little(record.local_extra.size(), 2) + local_name + record.local_extra + record.data +
             record.descriptor;
      directory +=
          "PK\1\2" + little(0, 4) + little(record.flags, 2) + little(record.method, 2) +
          little(0, 4) + little(record.crc, 4) +
          little(
              record.central_stored_size.value_or(static_cast<std::uint32_t>(record.data.size())),
              4) +
          little(record.central_size.value_or(static_cast<std::uint32_t>(record.size)), 4) +
          little(record.name.size(), 2) + little(record.central_extra.size(), 2) + little(0, 2) +
          little(record.disk, 2) + little(0, 6) +
          little(record.central_offset.value_or(static_cast<std::uint32_t>(offset)), 4) +
          record.name + record.central_extra;
    }
    out += gap;
    directory += directory_tail;
    const std::uint64_t offset = out.size() - prefix.size();
    out += directory;
    if (zip64) {
      const std::uint64_t end64 = out.size() - prefix.size();
      out += end64_signature + little(record_size64.value_or(44), 8) + little(0, 4) + little(0, 8) +
             little(count_here64.value_or(count64.value_or(records.size())), 8) +
             little(count64.value_or(records.size()), 8) +
             little(size64.value_or(directory.size()), 8) +
             little(directory_offset64.value_or(offset), 8);
      out += "PK\6\7" + little(0, 4) + little(record_offset64.value_or(end64), 8) + little(1, 4);
    }
    out +=
        "PK\5\6" + little(disk, 2) + little(0, 2) +
        little(count_here.value_or(count.value_or(static_cast<std::uint16_t>(records.size()))), 2) +
        little(count.value_or(static_cast<std::uint16_t>(records.size())), 2) +
        little(directory_size.value_or(static_cast<std::uint32_t>(directory.size())), 4) +
        little(directory_offset.value_or(static_cast<std::uint32_t>(offset)), 4) +
        little(comment_size.value_or(static_cast<std::uint16_t>(comment.size())), 2) + comment;
    return out + trailing;
  }
};

// What torch.save would write around a pickle, as a zip tool repacks it.
inline BuiltZip checkpoint_zip(const std::string& pickle) {
  return {{{"archive/data.pkl", pickle}, {"archive/version", "3\n"}}};
}

}  // namespace craftbundle::testing
