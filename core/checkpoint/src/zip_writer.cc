#include "zip_writer.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "craftbundle/detail/io/output_file.h"

namespace craftbundle {
namespace {

constexpr std::uint32_t kLocalHeaderSignature = 0x04034b50;
constexpr std::uint32_t kDescriptorSignature = 0x08074b50;
constexpr std::uint32_t kCentralHeaderSignature = 0x02014b50;
constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kZip64EndSignature = 0x06064b50;
constexpr std::uint32_t kZip64LocatorSignature = 0x07064b50;

constexpr std::uint16_t kZip64Extra = 0x0001;
constexpr std::uint16_t kPaddingExtra = 0x4246;  // "FB", PyTorch's own
constexpr std::uint64_t kExtraHeaderSize = 4;
constexpr char kPaddingFill = 'Z';

constexpr std::uint64_t kLocalHeaderSize = 30;
constexpr std::uint64_t kCentralHeaderSize = 46;
constexpr std::uint64_t kEndSize = 22;
constexpr std::uint64_t kZip64EndSize = 56;
constexpr std::uint64_t kZip64LocatorSize = 20;

// From here on a number is written as ZIP64, and its 32-bit field holds this value.
constexpr std::uint64_t kSaturated32 = 0xFFFFFFFF;
constexpr std::uint64_t kSaturated16 = 0xFFFF;

constexpr std::uint16_t kFlagDescriptor = 0x0008;
constexpr std::uint16_t kFlagUtf8 = 0x0800;

class Writer {
 public:
  Writer& u16(std::uint64_t value) { return put(value, 2); }
  Writer& u32(std::uint64_t value) { return put(value, 4); }
  Writer& u64(std::uint64_t value) { return put(value, 8); }
  Writer& u32_saturated(std::uint64_t value) { return u32(std::min(value, kSaturated32)); }
  Writer& u16_saturated(std::uint64_t value) { return u16(std::min(value, kSaturated16)); }
  Writer& text(std::string_view value) {
    bytes_ += value;
    return *this;
  }
  std::string take() { return std::move(bytes_); }

 private:
  Writer& put(std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) bytes_ += static_cast<char>((value >> (8 * i)) & 0xFFu);
    return *this;
  }

  std::string bytes_;
};

std::string zip64_extra(const std::vector<std::uint64_t>& numbers) {
  if (numbers.empty()) return {};
  Writer out;
  out.u16(kZip64Extra).u16(8 * numbers.size());
  for (const std::uint64_t number : numbers) out.u64(number);
  return out.take();
}

// As the directory: only the numbers whose 32-bit fields are saturated.
std::string central_extra(const ZipRecord& record) {
  std::vector<std::uint64_t> numbers;
  if (record.size >= kSaturated32) numbers.insert(numbers.end(), {record.size, record.size});
  if (record.header_offset >= kSaturated32) numbers.push_back(record.header_offset);
  return zip64_extra(numbers);
}

// The compressed size is not known yet when a writer that streams gets here: 0, as PyTorch has it.
std::string local_extra(const ZipRecord& record) {
  std::vector<std::uint64_t> numbers;
  if (record.size >= kSaturated32) numbers.insert(numbers.end(), {record.size, 0});
  if (record.header_offset >= kSaturated32) numbers.push_back(record.header_offset);
  return zip64_extra(numbers);
}

std::uint64_t record_flags(const ZipRecord& record) {
  return record.size > 0 ? kFlagUtf8 | kFlagDescriptor : kFlagUtf8;
}

std::string central_header(const ZipRecord& record, std::uint32_t crc) {
  const std::string extra = central_extra(record);
  Writer out;
  out.u32(kCentralHeaderSignature).u16(0).u16(0).u16(record_flags(record)).u16(0);
  out.u16(0).u16(0);  // no time, no date: the same input gives the same bytes
  out.u32(crc).u32_saturated(record.size).u32_saturated(record.size);
  out.u16(record.name.size()).u16(extra.size()).u16(0).u16(0).u16(0).u32(0);
  out.u32_saturated(record.header_offset);
  return out.text(record.name).text(extra).take();
}

}  // namespace

bool ZipRecord::is_zip64() const { return size >= kSaturated32 || header_offset >= kSaturated32; }

std::string ZipRecord::local_header() const {
  const std::string zip64 = local_extra(*this);
  const std::uint64_t before_padding =
      header_offset + kLocalHeaderSize + name.size() + zip64.size() + kExtraHeaderSize;
  const std::uint64_t padding = data_offset - before_padding;
  Writer out;
  out.u32(kLocalHeaderSignature).u16(0).u16(record_flags(*this)).u16(0).u16(0).u16(0);
  out.u32(0).u32(0).u32(0);  // CRC and sizes follow the data
  out.u16(name.size()).u16(zip64.size() + kExtraHeaderSize + padding);
  out.text(name).text(zip64).u16(kPaddingExtra).u16(padding);
  return out.text(std::string(padding, kPaddingFill)).take();
}

std::string ZipRecord::descriptor(std::uint32_t crc) const {
  if (size == 0) return {};
  Writer out;
  out.u32(kDescriptorSignature).u32(crc);
  return is_zip64() ? out.u64(size).u64(size).take() : out.u32(size).u32(size).take();
}

std::uint64_t ZipRecord::end_offset() const { return data_offset + size + descriptor(0).size(); }

void ZipLayout::add(std::string name, std::uint64_t size,
                    std::optional<std::uint64_t> source_offset) {
  ZipRecord record;
  record.name = std::move(name);
  record.size = size;
  record.header_offset = directory_offset();
  const std::uint64_t before_padding = record.header_offset + kLocalHeaderSize +
                                       record.name.size() + local_extra(record).size() +
                                       kExtraHeaderSize;
  const bool is_alike = source_offset && *source_offset % kRecordAlignment == 0;
  const std::uint64_t alignment = is_alike ? kBlockSize : kRecordAlignment;
  const std::uint64_t wanted = is_alike ? *source_offset : 0;
  record.data_offset = before_padding + (wanted - before_padding) % alignment;
  records_.push_back(std::move(record));
}

std::uint64_t ZipLayout::directory_offset() const {
  return records_.empty() ? 0 : records_.back().end_offset();
}

std::string ZipLayout::directory(std::span<const std::uint32_t> crcs) const {
  Writer out;
  std::uint64_t size = 0;
  for (std::size_t i = 0; i < records_.size(); ++i) {
    const std::string header = central_header(records_[i], crcs[i]);
    size += header.size();
    out.text(header);
  }
  const std::uint64_t offset = directory_offset();
  const std::uint64_t count = records_.size();
  // The ZIP64 end record is written even where nothing needs it, as PyTorch does.
  constexpr std::uint64_t kUncountedPart = 12;  // signature and the size field itself
  out.u32(kZip64EndSignature).u64(kZip64EndSize - kUncountedPart).u16(0x031E).u16(45);
  out.u32(0).u32(0).u64(count).u64(count).u64(size).u64(offset);
  out.u32(kZip64LocatorSignature).u32(0).u64(offset + size).u32(1);
  out.u32(kEndSignature).u16(0).u16(0).u16_saturated(count).u16_saturated(count);
  out.u32_saturated(size).u32_saturated(offset).u16(0);
  return out.take();
}

std::uint64_t ZipLayout::file_size() const {
  std::uint64_t size = directory_offset() + kZip64EndSize + kZip64LocatorSize + kEndSize;
  for (const ZipRecord& record : records_) {
    size += kCentralHeaderSize + record.name.size() + central_extra(record).size();
  }
  return size;
}

}  // namespace craftbundle
