#include "package_stream.h"

#include "craftbundle/detail/io/crc32.h"
#include "pickler.h"

namespace craftbundle {
namespace {

constexpr std::string_view kPickleRecord = "archive/data.pkl";
constexpr std::string_view kByteOrderRecord = "archive/byteorder";
constexpr std::string_view kByteOrder = "little";
constexpr std::string_view kStoragePrefix = "archive/data/";
constexpr std::size_t kRecordsInFront = 2;  // of the storages
constexpr std::string_view kVersionRecord = "archive/version";
constexpr std::string_view kVersion = "3\n";

std::uint32_t crc_of(std::string_view text) { return crc32(0, std::as_bytes(std::span(text))); }

// Appends record after record of a layout.
class RecordWriter {
 public:
  RecordWriter(const ZipLayout& layout, Appender& out) : layout_(layout), out_(out) {}

  void text(std::string_view content) {
    record([&] {
      out_.append(content);
      return crc_of(content);
    });
  }

  void storage(const PlannedStorage& storage, StorageStream& stream) {
    record([&] { return stream.append(storage.pieces); });
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
  Appender& out_;
  std::vector<std::uint32_t> crcs_;  // of the records so far
};

}  // namespace

PackageStream::PackageStream(const Value& root)
    : plan_(root), pickle_(pickle_package(root, plan_)) {
  layout_.add(std::string(kPickleRecord), pickle_.size());
  layout_.add(std::string(kByteOrderRecord), kByteOrder.size());
  for (std::size_t i = 0; i < plan_.storages().size(); ++i) {
    const PlannedStorage& storage = plan_.storages()[i];
    const std::vector<OutputFile::Copied> parts =
        copied_parts(storage.pieces, Checksums::wanted, 0);
    layout_.add(std::string(kStoragePrefix) + std::to_string(i), storage.bytes,
                parts.empty() ? std::nullopt : std::optional(parts.front().source_offset));
  }
  layout_.add(std::string(kVersionRecord), kVersion.size());
}

std::vector<OutputFile::Copied> PackageStream::copied() const {
  std::vector<OutputFile::Copied> all;
  for (std::size_t i = 0; i < plan_.storages().size(); ++i) {
    const ZipRecord& record = layout_.records()[kRecordsInFront + i];
    const std::vector<OutputFile::Copied> parts =
        copied_parts(plan_.storages()[i].pieces, Checksums::wanted, record.data_offset);
    all.insert(all.end(), parts.begin(), parts.end());
  }
  return all;
}

void PackageStream::write(OutputFile& file, const WriteOptions& options) const {
  std::vector<const Pieces*> all;
  for (const PlannedStorage& storage : plan_.storages()) all.push_back(&storage.pieces);
  Appender out(file, file_size(), options);
  StorageStream stream(all, Checksums::wanted, options.check, out);
  RecordWriter writer(layout_, out);
  writer.text(pickle_);
  writer.text(kByteOrder);
  for (const PlannedStorage& storage : plan_.storages()) {
    if (stream.failed()) break;
    writer.storage(storage, stream);
  }
  // Before the directory makes it a zip.
  stream.finish();
  writer.text(kVersion);
  writer.finish();
  out.finish();
}

}  // namespace craftbundle
