// A reader of sound zip files below 4 GiB, independent of the code under test.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/io/crc32.h"

namespace craftbundle::testing {

struct ReadRecord {
  std::string name;
  std::uint64_t header_offset = 0;
  std::uint64_t data_offset = 0;
  std::string data;
};

inline std::uint64_t number_at(std::string_view bytes, std::size_t offset, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;) {
    value = (value << 8) | static_cast<unsigned char>(bytes.at(offset + i));
  }
  return value;
}

// Throws when the end record, the directory, a local header or a CRC-32 is not as it should be.
inline std::vector<ReadRecord> read_zip(std::string_view file) {
  const auto require = [](bool condition, const char* what) {
    if (!condition) throw std::runtime_error(what);
  };
  require(file.size() >= 22, "too short for a zip");
  const std::size_t end = file.size() - 22;
  require(number_at(file, end, 4) == 0x06054b50, "no end record");
  const std::uint64_t count = number_at(file, end + 10, 2);
  std::size_t at = number_at(file, end + 16, 4);
  std::vector<ReadRecord> records;
  for (std::uint64_t i = 0; i < count; ++i) {
    require(number_at(file, at, 4) == 0x02014b50, "no central header");
    const std::uint64_t size = number_at(file, at + 24, 4);
    require(number_at(file, at + 20, 4) == size, "not stored");
    const std::size_t name_size = number_at(file, at + 28, 2);
    ReadRecord record;
    record.name = file.substr(at + 46, name_size);
    record.header_offset = number_at(file, at + 42, 4);
    require(number_at(file, record.header_offset, 4) == 0x04034b50, "no local header");
    require(file.substr(record.header_offset + 30, name_size) == record.name, "names differ");
    record.data_offset = record.header_offset + 30 + number_at(file, record.header_offset + 26, 2) +
                         number_at(file, record.header_offset + 28, 2);
    record.data = file.substr(record.data_offset, size);
    require(record.data.size() == size, "data past the end");
    require(number_at(file, at + 16, 4) == crc32(0, std::as_bytes(std::span(record.data))),
            "wrong CRC-32");
    at += 46 + name_size + number_at(file, at + 30, 2) + number_at(file, at + 32, 2);
    records.push_back(std::move(record));
  }
  return records;
}

inline const std::string& record_data(const std::vector<ReadRecord>& records,
                                      std::string_view name) {
  for (const ReadRecord& record : records) {
    if (record.name == name) return record.data;
  }
  throw std::runtime_error("no record " + std::string(name));
}

}  // namespace craftbundle::testing
