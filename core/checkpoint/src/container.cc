#include "craftbundle/detail/checkpoint/container.h"

#include <algorithm>
#include <span>
#include <vector>

#include "archive.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/crc32.h"
#include "craftbundle/detail/io/read_through.h"
#include "craftbundle/detail/io/sha256.h"

namespace craftbundle {
std::optional<std::string> contents_digest(const InputFile& file) {
  if (!has_zip_end(file)) return std::nullopt;
  try {
    const Archive archive(file);
    std::string text;
    for (const ArchiveRecord& record : archive.records()) {
      if (!record.has_crc()) return std::nullopt;
      text += record.name + '\0' + std::to_string(record.size) + ' ' + std::to_string(record.crc) +
              '\n';
    }
    return sha256_of_text(text);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::input) return std::nullopt;
    throw;
  }
}

RecordSums::RecordSums(const InputFile& file) : file_(file) {
  archive_ = with_context([&] { return path_text(file.path()); },
                          [&] { return std::make_shared<const Archive>(file); });
  const std::vector<ArchiveRecord>& all = archive_->records();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].has_crc()) records_.push_back({i});
  }
  std::ranges::sort(records_, {},
                    [&](const Record& record) { return all[record.number].data_offset; });
}

BufferRing::Use RecordSums::use() {
  std::vector<FileRange> ranges;
  for (const Record& record : records_) {
    const ArchiveRecord& stored = archive_->records()[record.number];
    ranges.push_back({stored.data_offset, stored.data_offset + stored.stored_size});
  }
  return use_ranges(std::move(ranges), [this](std::size_t index, std::span<const std::byte> bytes) {
    records_[index].found = crc32(records_[index].found, bytes);
  });
}

void RecordSums::check() const {
  with_context([&] { return path_text(file_.path()); },
               [&] {
                 for (const Record& one : records_) {
                   const ArchiveRecord& record = archive_->records()[one.number];
                   if (record.deflated) {
                     archive_->read(record);
                   } else if (one.found != record.crc) {
                     throw Error(ErrorKind::input, "zip.crc",
                                 "record " + quoted(record.name) + ": CRC-32 is " +
                                     std::to_string(one.found) + ", the directory says " +
                                     std::to_string(record.crc),
                                 "the file is damaged; get or make it again");
                   }
                 }
               });
}

std::uint64_t check_records(const InputFile& file, const Cancellation& cancellation,
                            const std::function<void(std::uint64_t)>& progress) {
  RecordSums sums(file);
  read_through(file, {sums.use()}, cancellation, progress);
  sums.check();
  return sums.count();
}

}  // namespace craftbundle
