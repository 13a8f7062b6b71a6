#include "package_stream.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"
#include "craftbundle/io/crc32.h"
#include "craftbundle/tensor/convert.h"
#include "pickler.h"
#include "verifier.h"

namespace craftbundle {
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

std::string number_text(double number) {
  std::array<char, 32> buffer{};
  return {buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr};
}

std::uint32_t crc_of(std::string_view text) { return crc32(0, std::as_bytes(std::span(text))); }

void swap_elements(std::span<std::byte> bytes, std::size_t size) {
  for (std::size_t i = 0; i + size <= bytes.size(); i += size) {
    const auto element = bytes.subspan(i, size);
    std::reverse(element.begin(), element.end());
  }
}

// Below this the kernel's copy costs more than it saves.
constexpr std::uint64_t kWorthCopying = 256 << 10;

// Whether the bytes can go from file to file without passing through here: they are written as they
// are, and their CRC-32, which the record needs, is known. Such storages are checked beside.
bool is_copied(const PlannedStorage& storage) {
  return !storage.is_computed() && storage.is_whole() && storage.bytes >= kWorthCopying &&
         storage.source.crc && !storage.source.swapped && !storage.source.deflated;
}

// Copies the used parts of one storage, in little-endian order, and checks all of it.
class StorageCopy {
 public:
  StorageCopy(const PlannedStorage& storage, Appender& out)
      : storage_(storage), source_(storage.source), out_(out) {}

  // Returns the CRC-32 of what was appended.
  std::uint32_t run() {
    if (storage_.bytes == 0) return 0;
    if (is_copied(storage_)) {
      out_.copy(source_.owner->file(), source_.file_offset, source_.bytes);
      return *source_.crc;
    }
    for (const ByteRange& range : storage_.used) {
      skip_to(range.begin);
      take_to(range.end);
    }
    skip_to(source_.bytes);
    require_crc(source_, read_crc_);
    return is_verbatim() ? read_crc_ : written_crc_;
  }

 private:
  bool is_verbatim() const { return storage_.is_whole() && !source_.swapped; }

  void read(std::span<std::byte> bytes) {
    if (source_.deflated) {
      source_.owner->read(source_, position_, bytes);
    } else {
      source_.owner->file().read(source_.file_offset + position_, bytes);
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

  const PlannedStorage& storage_;
  const Storage& source_;
  Appender& out_;
  std::uint64_t position_ = 0;  // in the source
  std::uint32_t read_crc_ = 0;
  std::uint32_t written_crc_ = 0;
};

// Throws when rounding made a number infinite.
void require_range(const PlannedStorage& storage, DType dtype, std::span<const double> numbers,
                   std::span<const std::byte> rounded) {
  ValueCounts counts;
  count_values(dtype, rounded, counts);
  if (counts.infinite == 0) return;
  std::vector<double> written(numbers.size());
  decode(dtype, rounded, written);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (!std::isinf(written[i]) || std::isinf(numbers[i])) continue;
    throw Error(
        ErrorKind::input, "tensor.range",
        "tensor " + quoted(storage.name) + " has the element " + number_text(numbers[i]) +
            ", too large for " + std::string(name(dtype)),
        dtype == DType::float16
            ? "let the tensor keep its type, or use bfloat16, which has the range of float32"
            : "let the tensor keep its type");
  }
}

// Computes a storage. Its sources are checked beside.
std::uint32_t append_computed(const PlannedStorage& storage, Appender& out) {
  const DType dtype = storage.rounded_to;
  const std::size_t size = item_size(dtype);
  const std::uint64_t count = storage.computed->size();
  std::vector<double> numbers;
  std::uint32_t crc = 0;
  for (std::uint64_t done = 0; done < count;) {
    const std::span<std::byte> room = out.room(kLargestElement);
    numbers.resize(std::min<std::uint64_t>(room.size() / size, count - done));
    storage.computed->read(done, numbers);
    const std::span<std::byte> bytes = room.first(numbers.size() * size);
    encode(dtype, numbers, bytes);
    require_range(storage, dtype, numbers, bytes);
    crc = crc32(crc, bytes);
    out.filled(bytes.size());
    done += numbers.size();
  }
  return crc;
}

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

  void storage(const PlannedStorage& storage) {
    record([&] {
      return storage.is_computed() ? append_computed(storage, out_)
                                   : StorageCopy(storage, out_).run();
    });
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
    layout_.add(std::string(kStoragePrefix) + std::to_string(i), plan_.storages()[i].bytes);
  }
  layout_.add(std::string(kVersionRecord), kVersion.size());
}

std::vector<Storage> PackageStream::sources_of_computed() const {
  std::vector<Storage> all;
  std::set<std::pair<const TensorFile*, std::string>> seen;
  for (const PlannedStorage& storage : plan_.storages()) {
    if (!storage.is_computed()) continue;
    for (Storage& source : storage.computed->sources()) {
      if (seen.emplace(source.owner.get(), source.key).second) all.push_back(std::move(source));
    }
  }
  return all;
}

void PackageStream::write(OutputFile& file, const WriteOptions& options) const {
  // What does not pass through StorageCopy, which checks on the way.
  std::vector<const Storage*> checked;
  const std::vector<Storage> read = sources_of_computed();
  for (const Storage& storage : read) {
    // Inflating compares the rest with their CRC-32.
    if (storage.crc && !storage.deflated) checked.push_back(&storage);
  }
  for (const PlannedStorage& storage : plan_.storages()) {
    if (is_copied(storage)) checked.push_back(&storage.source);
  }
  Verifier verifier(std::move(checked));
  Appender out(file, file_size(), options);
  RecordWriter writer(layout_, out);
  writer.text(pickle_);
  writer.text(kByteOrder);
  std::set<const TensorFile*> sources;
  for (const PlannedStorage& storage : plan_.storages()) {
    if (verifier.failed()) break;
    try {
      writer.storage(storage);
    } catch (const Error& error) {
      // Damaged bytes can be any number: the damage is what there is to say.
      if (error.code() == "tensor.range") verifier.finish();
      throw;
    }
    if (!storage.is_computed()) sources.insert(storage.source.owner.get());
  }
  for (const Storage& storage : read) sources.insert(storage.owner.get());
  verifier.finish();
  writer.text(kVersion);
  // Before the directory makes it a zip: a copy of two versions of a file is none of either.
  for (const TensorFile* source : sources) source->file().check_unchanged();
  writer.finish();
  out.flush();
}

}  // namespace craftbundle
