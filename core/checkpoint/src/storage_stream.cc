#include "storage_stream.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/crc32.h"
#include "craftbundle/detail/tensor/convert.h"
#include "gather.h"
#include "swap.h"

namespace craftbundle {
namespace {

constexpr std::size_t kSkipSize = 256 << 10;

// Bytes that are read or computed at a time: they stay in the second-level cache until they are
// summed up.
constexpr std::size_t kPieceSize = 128 << 10;

// Elements are never split between two buffers, so that they can be swapped in place.
constexpr std::size_t kLargestElement = 16;

// Below this the kernel's copy costs more than it saves.
constexpr std::uint64_t kWorthCopying = 256 << 10;

std::uint64_t size_of(const StoredBytes& stored) {
  std::uint64_t size = 0;
  for (const ByteRange& range : stored.used) size += range.size();
  return size;
}

std::uint64_t size_of(const GatheredTensor& gathered) {
  return element_count(gathered.tensor.layout.shape).value_or(0) * item_size(gathered.tensor.dtype);
}

std::uint64_t size_of(const ComputedTensor& computed) {
  return computed.elements->size() * item_size(computed.dtype);
}

bool is_whole(const StoredBytes& stored) { return size_of(stored) == stored.source.bytes; }

// Whether bytes go from file to file without passing through here: they are written as they are,
// and their CRC-32 is known when it is wanted.
bool is_copied(const StoredBytes& stored, const Pieces& pieces, Checksums checksums) {
  if (stored.source.swapped || stored.source.deflated) return false;
  if (checksums == Checksums::wanted &&
      (pieces.size() > 1 || !is_whole(stored) || !stored.source.crc)) {
    return false;
  }
  return std::ranges::any_of(stored.used,
                             [](const ByteRange& range) { return range.size() >= kWorthCopying; });
}

// Copies the used parts of one storage, in little-endian order.
class StorageCopy {
 public:
  // `is_checked`: all of the storage, against its CRC-32.
  StorageCopy(const StoredBytes& stored, bool is_checked, Appender& out)
      : stored_(stored), source_(stored.source), is_checked_(is_checked), out_(out) {}

  // Returns the CRC-32 `crc` continued with what was appended; 0 when it is not `wanted`.
  std::uint32_t run(std::uint32_t crc, bool wanted) {
    // What is read is what is written, so one sum serves both.
    const bool is_verbatim = is_whole(stored_) && !source_.swapped;
    sums_written_ = wanted && !(is_verbatim && is_checked_ && crc == 0);
    written_crc_ = crc;
    for (const ByteRange& range : stored_.used) {
      skip_to(range.begin);
      take_to(range.end);
    }
    skip_to(source_.bytes);
    if (is_checked_) require_crc(source_, read_crc_);
    return sums_written_ || !wanted ? written_crc_ : read_crc_;
  }

 private:
  void read(std::span<std::byte> bytes) {
    if (source_.deflated) {
      source_.owner->read(source_, position_, bytes);
    } else {
      source_.owner->file().read(source_.file_offset + position_, bytes);
    }
    position_ += bytes.size();
    if (is_checked_) read_crc_ = crc32(read_crc_, bytes);
  }

  // Bytes that no tensor uses are read for the sake of the checksum only.
  void skip_to(std::uint64_t end) {
    if (!is_checked_) {
      position_ = end;
      return;
    }
    PageBuffer buffer(std::min<std::uint64_t>(kSkipSize, end - position_));
    while (position_ < end) {
      read(std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), end - position_)));
    }
  }

  void take_to(std::uint64_t end) {
    while (position_ < end) {
      const auto room = out_.room(kLargestElement);
      std::uint64_t size = std::min({room.size(), kPieceSize, end - position_});
      if (source_.swapped && position_ + size < end) size -= size % kLargestElement;
      const auto bytes = room.first(size);
      read(bytes);
      if (source_.swapped) swap_bytes(bytes, swap_size(source_.dtype));
      if (sums_written_) written_crc_ = crc32(written_crc_, bytes);
      out_.filled(bytes.size());
    }
  }

  const StoredBytes& stored_;
  const Storage& source_;
  bool is_checked_;
  Appender& out_;
  std::uint64_t position_ = 0;  // in the source
  std::uint32_t read_crc_ = 0;
  std::uint32_t written_crc_ = 0;
  bool sums_written_ = false;
};

// Throws when rounding made one of the elements from `first` on infinite.
void require_range(const ComputedTensor& tensor, std::uint64_t first,
                   std::span<const std::byte> rounded, StorageReader& from) {
  if (!is_floating(tensor.dtype)) return;
  ValueCounts counts;
  count_values(tensor.dtype, rounded, counts);
  if (counts.infinite == 0) return;
  std::vector<double> written(counts.elements);
  decode(tensor.dtype, rounded, written);
  std::vector<double> numbers(counts.elements);
  tensor.elements->read(first, numbers, from);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (!std::isinf(written[i]) || std::isinf(numbers[i])) continue;
    throw Error(
        ErrorKind::input, "tensor.range",
        "tensor " + quoted(tensor.name) + " has the element " + number_text(numbers[i]) +
            ", too large for " + std::string(name(tensor.dtype)),
        tensor.dtype == DType::float16
            ? "let the tensor keep its type, or use bfloat16, which has the range of float32"
            : "let the tensor keep its type");
  }
}

}  // namespace

ByteRange reached_bytes(const Tensor& tensor) {
  const auto range = used_range(tensor.layout);
  const std::uint64_t size = item_size(tensor.dtype);
  if (!range || range->end > tensor.storage.bytes / size) {
    if (range && range->size() == 0) return {};
    throw Error(ErrorKind::internal, "package.tensor",
                "a tensor of shape " + shape_text(tensor.layout.shape) +
                    " does not lie in its storage of " + std::to_string(tensor.storage.bytes) +
                    " bytes");
  }
  return {range->begin * size, range->end * size};
}

Pieces pieces_of(const Tensor& tensor) {
  const ByteRange range = reached_bytes(tensor);
  if (range.size() == 0) return {StoredBytes{tensor.storage, {}}};
  if (tensor.storage.swapped && swap_size(tensor.dtype) != swap_size(tensor.storage.dtype)) {
    throw Error(ErrorKind::input, "tensor.byteorder",
                "a tensor of type " + std::string(name(tensor.dtype)) + " in a storage of " +
                    std::string(name(tensor.storage.dtype)) +
                    " in the byte order of another machine is not supported");
  }
  if (!is_contiguous(tensor.layout)) return {GatheredTensor{tensor}};
  return {StoredBytes{tensor.storage, {range}}};
}

Pieces pieces_of(const ComputedTensor& tensor) { return {tensor}; }

Pieces pieces_of(const JoinedTensor& tensor) {
  Pieces all;
  for (const Tensor& part : tensor.parts) {
    for (Piece& piece : pieces_of(part)) all.push_back(std::move(piece));
  }
  return all;
}

std::uint64_t size_of(const Pieces& pieces) {
  std::uint64_t size = 0;
  for (const Piece& piece : pieces) {
    size += std::visit([](const auto& held) { return size_of(held); }, piece);
  }
  return size;
}

std::vector<OutputFile::Copied> copied_parts(const Pieces& pieces, Checksums checksums,
                                             std::uint64_t place) {
  std::vector<OutputFile::Copied> parts;
  for (const Piece& piece : pieces) {
    const auto* stored = std::get_if<StoredBytes>(&piece);
    if (stored != nullptr && is_copied(*stored, pieces, checksums)) {
      std::uint64_t offset = place;
      for (const ByteRange& range : stored->used) {
        parts.push_back({&stored->source.owner->file(), stored->source.file_offset + range.begin,
                         offset, range.size()});
        offset += range.size();
      }
    }
    place += std::visit([](const auto& held) { return size_of(held); }, piece);
  }
  return parts;
}

StorageStream::StorageStream(const std::vector<const Pieces*>& all, Checksums checksums,
                             ContentCheck check, Appender& out)
    : checksums_(checksums), check_(check), out_(out) {
  for (const Pieces* pieces : all) note(*pieces);
  std::vector<const Storage*> beside;
  for (Source& source : sources_) {
    source.is_read_beside =
        source.is_read_beside || source.passes > 1 ||
        (source.is_computed_with && (source.passes > 0 || source.storage.swapped));
    // Inflating compares with the CRC-32 of its own accord.
    if (check_ == ContentCheck::crc && source.is_read_beside && source.storage.crc &&
        !source.storage.deflated) {
      beside.push_back(&source.storage);
    }
  }
  verifier_.emplace(std::move(beside));
}

StorageStream::Source& StorageStream::source(const Storage& storage) {
  const auto [place, is_new] = numbers_.try_emplace(key_of(storage), sources_.size());
  if (is_new) sources_.push_back({storage});
  return sources_[place->second];
}

void StorageStream::note(const Pieces& pieces) {
  for (const Piece& piece : pieces) {
    if (const auto* stored = std::get_if<StoredBytes>(&piece)) {
      Source& used = source(stored->source);
      if (!stored->used.empty()) ++used.passes;
      if (is_left_to_kernel(*stored, pieces)) used.is_read_beside = true;
    } else if (const auto* gathered = std::get_if<GatheredTensor>(&piece)) {
      source(gathered->tensor.storage).is_read_beside = true;
    } else {
      for (const Storage& storage : std::get<ComputedTensor>(piece).elements->sources()) {
        source(storage).is_computed_with = true;
      }
    }
  }
}

// Swapped bytes are no longer those that the sum is of.
bool StorageStream::is_summed(const Source& source) const {
  return check_ == ContentCheck::crc && source.is_computed_with && !source.is_read_beside &&
         source.storage.crc && !source.storage.deflated && !source.storage.swapped;
}

void StorageStream::sum(Source& source, std::span<const std::byte> next) {
  source.crc = crc32(source.crc, next);
  source.summed += next.size();
  if (source.summed == source.storage.bytes) require_crc(source.storage, source.crc);
}

// What no computation has read, or not in this order.
void StorageStream::sum_rest() {
  std::vector<std::byte> buffer;
  for (Source& source : sources_) {
    if (!is_summed(source)) continue;
    while (source.summed < source.storage.bytes) {
      buffer.resize(std::min<std::uint64_t>(kSkipSize, source.storage.bytes - source.summed));
      source.storage.owner->read(source.storage, source.summed, buffer);
      sum(source, buffer);
    }
  }
}

void StorageStream::Reads::read(const Storage& storage, std::uint64_t offset,
                                std::span<std::byte> buffer) {
  StorageReader::read(storage, offset, buffer);
  Source& source = stream_.source(storage);
  if (!stream_.is_summed(source)) return;
  if (offset > source.summed || offset + buffer.size() <= source.summed) return;
  stream_.sum(source, buffer.subspan(source.summed - offset));
}

bool StorageStream::is_left_to_kernel(const StoredBytes& stored, const Pieces& pieces) const {
  return out_.leaves_to_kernel(stored.source.owner->file()) &&
         is_copied(stored, pieces, checksums_);
}

std::uint32_t StorageStream::append(const Pieces& pieces) {
  std::uint32_t crc = 0;
  try {
    for (const Piece& piece : pieces) {
      if (const auto* stored = std::get_if<StoredBytes>(&piece)) {
        crc = append_stored(*stored, pieces, crc);
      } else if (const auto* gathered = std::get_if<GatheredTensor>(&piece)) {
        crc = append_gathered(gathered->tensor, crc);
      } else {
        crc = append_computed(std::get<ComputedTensor>(piece), crc);
      }
    }
  } catch (const Error& error) {
    // Damaged bytes can be any number: the damage is what there is to say.
    if (error.code() == "tensor.range") {
      sum_rest();
      verifier_->finish();
    }
    throw;
  }
  return crc;
}

std::uint32_t StorageStream::append_stored(const StoredBytes& stored, const Pieces& pieces,
                                           std::uint32_t crc) {
  if (stored.used.empty()) return crc;
  if (is_left_to_kernel(stored, pieces)) {
    for (const ByteRange& range : stored.used) {
      out_.copy(stored.source.owner->file(), stored.source.file_offset + range.begin, range.size());
    }
    return stored.source.crc.value_or(0);
  }
  const bool is_checked =
      check_ == ContentCheck::crc && stored.source.crc && !source(stored.source).is_read_beside;
  const bool is_verbatim = pieces.size() == 1 && is_whole(stored) && !stored.source.swapped;
  const bool keeps_sum = check_ == ContentCheck::structure && is_verbatim && stored.source.crc;
  const bool sums = checksums_ == Checksums::wanted && !keeps_sum;
  const std::uint32_t written = StorageCopy(stored, is_checked, out_).run(crc, sums);
  return keeps_sum ? *stored.source.crc : written;
}

std::uint32_t StorageStream::append_gathered(const Tensor& tensor, std::uint32_t crc) {
  Gather gather(tensor);
  for (auto block = gather.next(); !block.empty(); block = gather.next()) {
    if (checksums_ == Checksums::wanted) crc = crc32(crc, block);
    out_.append({reinterpret_cast<const char*>(block.data()), block.size()});
  }
  return crc;
}

std::uint32_t StorageStream::append_computed(const ComputedTensor& tensor, std::uint32_t crc) {
  const std::size_t size = item_size(tensor.dtype);
  const std::uint64_t count = tensor.elements->size();
  for (std::uint64_t done = 0; done < count;) {
    const std::span<std::byte> room = out_.room(kLargestElement);
    const std::uint64_t more =
        std::min<std::uint64_t>(std::min(room.size(), kPieceSize) / size, count - done);
    const auto bytes = room.first(more * size);
    tensor.elements->read_as(tensor.dtype, done, bytes, reads_);
    require_range(tensor, done, bytes, reads_);
    if (checksums_ == Checksums::wanted) crc = crc32(crc, bytes);
    out_.filled(bytes.size());
    done += more;
  }
  return crc;
}

void StorageStream::finish() {
  sum_rest();
  verifier_->finish();
  std::set<const TensorFile*> files;
  for (const Source& source : sources_) {
    if (files.insert(source.storage.owner.get()).second) {
      source.storage.owner->file().check_unchanged();
    }
  }
}

}  // namespace craftbundle
