// The container of a checkpoint without its pickle.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/io/buffer_ring.h"
#include "craftbundle/detail/io/input_file.h"

namespace CRAFTBUNDLE_API craftbundle {

class Archive;

// A digest of what `file` holds, made of the name, size and CRC-32 of every record: equal for files
// with equal contents, however old, and found without reading the contents. nullopt when the file
// is no sound zip container or some record has no CRC-32.
std::optional<std::string> contents_digest(const InputFile& file);

// The CRC-32 of every record of a zip container that has one, found while the file is read once.
class RecordSums {
 public:
  // `file` must outlive the object. Throws as Checkpoint::open for what is no sound container.
  explicit RecordSums(const InputFile& file);

  // Records that have a CRC-32.
  std::uint64_t count() const { return records_.size(); }

  // For read_through(); the object must outlive it, and be given all of the file.
  BufferRing::Use use();

  // Compares. Throws Error(input, "zip.crc") naming the first record that differs. Records that a
  // zip tool has compressed are read and inflated here.
  void check() const;

 private:
  struct Record {
    std::size_t number = 0;   // in the archive
    std::uint32_t found = 0;  // unless it is compressed
  };

  const InputFile& file_;
  std::shared_ptr<const Archive> archive_;
  std::vector<Record> records_;  // in the order of their data
};

// Compares every record of a zip container with its CRC-32, reading all of it at memory speed;
// records without one are passed over. `progress` is told how many bytes were read so far. Throws
// as RecordSums and read_through(). Returns the number of records compared.
std::uint64_t check_records(const InputFile& file, const Cancellation& cancellation,
                            const std::function<void(std::uint64_t)>& progress = {});

}  // namespace craftbundle
