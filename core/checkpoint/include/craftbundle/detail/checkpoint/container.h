// The container of a checkpoint without its pickle.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/io/input_file.h"

namespace CRAFTBUNDLE_API craftbundle {

// A digest of what `file` holds, made of the name, size and CRC-32 of every record: equal for files
// with equal contents, however old, and found without reading the contents. nullopt when the file
// is no sound zip container or some record has no CRC-32.
std::optional<std::string> contents_digest(const InputFile& file);

// Compares every record of a zip container with its CRC-32, reading all of it at memory speed;
// records without one are passed over. `progress` is told how many bytes were read so far. Throws
// Error(input, "zip.crc") naming the record, as Checkpoint::open for what is no sound container,
// and Error(interrupted). Returns the number of records compared.
std::uint64_t check_records(const InputFile& file, const Cancellation& cancellation,
                            const std::function<void(std::uint64_t)>& progress = {});

}  // namespace craftbundle
