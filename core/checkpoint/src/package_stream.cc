#include "package_stream.h"

#include <algorithm>
#include <array>
#include <set>

#include "bundlecraft/base/error.h"
#include "bundlecraft/base/text.h"
#include "bundlecraft/io/crc32.h"
#include "pickler.h"

namespace bundlecraft {
namespace {

constexpr std::string_view kPickleRecord = "archive/data.pkl";
constexpr std::string_view kByteOrderRecord = "archive/byteorder";
constexpr std::string_view kByteOrder = "little";
constexpr std::string_view kStoragePrefix = "archive/data/";
constexpr std::string_view kVersionRecord = "archive/version";
constexpr std::string_view kVersion = "3\n";

constexpr std::size_t kSkipSize = 256 << 10;

// Elements are never split between two buffers, so that they can be swapped in place.
constexpr std::size_t kLargestElement = 16;

std::uint32_t crc_of(std::string_view text) { return crc32(0, std::as_bytes(std::span(text))); }

void swap_elements(std::span<std::byte> bytes, std::size_t size) {
  for (std::size_t i = 0; i + size <= bytes.size(); i += size) {
    const auto element = bytes.subspan(i, size);
    std::reverse(element.begin(), element.end());
  }
}

std::string crc_text(std::uint32_t crc) {
  const std::array<std::uint8_t, 4> bytes = {
      static_cast<std::uint8_t>(crc >> 24), static_cast<std::uint8_t>(crc >> 16),
      static_cast<std::uint8_t>(crc >> 8), static_cast<std::uint8_t>(crc)};
  return hex(bytes);
}

// Copies the used parts of one storage, in little-endian order, and checks all of it.
class StorageCopy {
 public:
  StorageCopy(const PlannedStorage& storage, ByteStream& out)
      : storage_(storage), source_(storage.source), out_(out) {}

  // Returns the CRC-32 of what was appended.
  std::uint32_t run() {
    if (storage_.bytes == 0) return 0;
    for (const ByteRange& range : storage_.used) {
      skip_to(range.begin);
      take_to(range.end);
    }
    skip_to(source_.bytes);
    check();
    return is_verbatim() ? read_crc_ : written_crc_;
  }

 private:
  bool is_verbatim() const { return storage_.is_whole() && !source_.swapped; }

  void read(std::span<std::byte> bytes) {
    if (source_.deflated) {
      source_.checkpoint->read(source_, position_, bytes);
    } else {
      source_.checkpoint->file().read(source_.file_offset + position_, bytes);
    }
    position_ += bytes.size();
    read_crc_ = crc32(read_crc_, bytes);
  }

  // Bytes that no tensor uses are read for the sake of the checksum only.
  void skip_to(std::uint64_t end) {
    if (!source_.crc) {
      position_ = end;
      return;
    }
    std::vector<std::byte> buffer(std::min<std::uint64_t>(kSkipSize, end - position_));
    while (position_ < end) {
      read(std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), end - position_)));
    }
  }

  void take_to(std::uint64_t end) {
    while (position_ < end) {
      const auto room = out_.room(kLargestElement);
      std::uint64_t size = std::min<std::uint64_t>(room.size(), end - position_);
      if (source_.swapped && position_ + size < end) size -= size % kLargestElement;
      const auto bytes = room.first(size);
      read(bytes);
      if (source_.swapped) swap_elements(bytes, swap_size(source_.dtype));
      if (!is_verbatim()) written_crc_ = crc32(written_crc_, bytes);
      out_.filled(bytes.size());
    }
  }

  void check() const {
    if (!source_.crc || *source_.crc == read_crc_) return;
    throw Error(ErrorKind::input, "zip.crc",
                path_text(source_.checkpoint->file().path()) + ": record " +
                    quoted("data/" + source_.key) + ": CRC-32 of the data is " +
                    crc_text(read_crc_) + ", expected " + crc_text(*source_.crc),
                "the file is damaged: copy it again from where it was written");
  }

  const PlannedStorage& storage_;
  const Storage& source_;
  ByteStream& out_;
  std::uint64_t position_ = 0;  // in the source
  std::uint32_t read_crc_ = 0;
  std::uint32_t written_crc_ = 0;
};

// Appends record after record of a layout.
class RecordWriter {
 public:
  RecordWriter(const ZipLayout& layout, ByteStream& out) : layout_(layout), out_(out) {}

  void text(std::string_view content) {
    record([&] {
      out_.append(content);
      return crc_of(content);
    });
  }

  void storage(const PlannedStorage& storage) {
    record([&] { return StorageCopy(storage, out_).run(); });
  }

  void finish() { out_.append(layout_.directory(crcs_)); }

 private:
  // `write` appends the data and returns its CRC-32.
  template <typename Write>
  void record(Write&& write) {
    const ZipRecord& record = layout_.records()[crcs_.size()];
    out_.append(record.local_header());
    const std::uint32_t crc = write();
    out_.append(record.descriptor(crc));
    crcs_.push_back(crc);
  }

  const ZipLayout& layout_;
  ByteStream& out_;
  std::vector<std::uint32_t> crcs_;  // of the records so far
};

}  // namespace

PackageStream::PackageStream(const Value& root)
    : plan_(root), pickle_(pickle_package(root, plan_)) {
  layout_.add(std::string(kPickleRecord), pickle_.size());
  layout_.add(std::string(kByteOrderRecord), kByteOrder.size());
  for (std::size_t i = 0; i < plan_.storages().size(); ++i) {
    layout_.add(std::string(kStoragePrefix) + std::to_string(i), plan_.storages()[i].bytes);
  }
  layout_.add(std::string(kVersionRecord), kVersion.size());
}

void PackageStream::produce(ByteStream& out) const {
  RecordWriter writer(layout_, out);
  writer.text(pickle_);
  writer.text(kByteOrder);
  std::set<const Checkpoint*> sources;
  for (const PlannedStorage& storage : plan_.storages()) {
    writer.storage(storage);
    sources.insert(storage.source.checkpoint.get());
  }
  writer.text(kVersion);
  // Before the directory makes it a zip: a copy of two versions of a file is none of either.
  for (const Checkpoint* source : sources) source->file().check_unchanged();
  writer.finish();
}

}  // namespace bundlecraft
