#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <set>

#include "craftbundle/detail/base/checked.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/limits.h"
#include "craftbundle/detail/checkpoint/safetensors.h"
#include "safetensors_format.h"
#include "storage_stream.h"

namespace craftbundle {
namespace {

constexpr std::string_view kSuffix = ".safetensors";

[[noreturn]] void fail(std::string_view code, const std::string& message,
                       const std::string& hint = {}) {
  throw Error(ErrorKind::input, code, message, hint);
}

void check_text(const std::string& text, std::string_view what) {
  if (is_utf8(text)) return;
  fail("safetensors.name",
       std::string(what) + " " + quoted(text) + " is not UTF-8, which a safetensors file needs");
}

void check_names(const std::vector<NamedTensor>& tensors) {
  std::set<std::string_view> names;
  for (const NamedTensor& tensor : tensors) {
    check_text(tensor.name, "the name of tensor");
    if (tensor.name == kMetadataKey) {
      fail("safetensors.name",
           "a tensor has the name " + quoted(kMetadataKey) + ", which the format has for itself",
           "give the tensor another name");
    }
    if (!names.insert(tensor.name).second) {
      fail("safetensors.name", "two tensors have the name " + quoted(tensor.name),
           "give one of them another name");
    }
  }
}

void check_dtype(const NamedTensor& tensor) {
  if (safetensors_type(tensor.dtype()) != nullptr) return;
  fail("safetensors.dtype",
       "tensor " + quoted(tensor.name) + " has the type " + std::string(name(tensor.dtype())) +
           ", which a safetensors file cannot hold",
       "convert it to another type, or write a package of torch.save");
}

[[noreturn]] void fail_size() {
  fail("safetensors.data_size", "the tensors have more bytes than a file can have",
       "leave out tensors that repeat their elements (expanded ones)");
}

std::uint64_t data_size(const NamedTensor& tensor) {
  const auto bytes =
      checked_mul(element_count(tensor.shape()).value_or(0), item_size(tensor.dtype()));
  if (!bytes) fail_size();
  return *bytes;
}

// Offsets are signed numbers to the system.
std::uint64_t checked_sum(std::uint64_t a, std::uint64_t b) {
  const auto sum = checked_add(a, b);
  if (!sum || *sum > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    fail_size();
  }
  return *sum;
}

void check_header_size(std::uint64_t bytes) {
  if (bytes <= limits::kSafetensorsHeader) return;
  fail("safetensors.header_size",
       "the header would have at least " + std::to_string(bytes) + " bytes, at most " +
           std::to_string(limits::kSafetensorsHeader) + " are allowed",
       "share the tensors out over several files");
}

// Order and place of everything in the file.
class FilePlan {
 public:
  FilePlan(const std::vector<NamedTensor>& tensors, const SafetensorsMetadata& metadata) {
    check_names(tensors);
    std::uint64_t text_bytes = 0;
    for (const auto& [key, value] : metadata) text_bytes += key.size() + value.size();
    check_header_size(text_bytes);
    for (const auto& [key, value] : metadata) {
      check_text(key, "the metadata key");
      check_text(value, "the metadata");
    }
    SafetensorsHeader header;
    header.metadata = metadata;
    for (const NamedTensor* tensor : in_order(tensors)) {
      const std::uint64_t size = data_size(*tensor);
      const std::vector<std::int64_t>& shape = tensor->shape();
      header.tensors.push_back({tensor->name,
                                std::string(safetensors_type(tensor->dtype())->name),
                                {shape.begin(), shape.end()},
                                data_bytes_,
                                checked_sum(data_bytes_, size)});
      data_bytes_ += size;
      pieces_.push_back(
          std::visit([](const auto& held) { return pieces_of(held); }, tensor->tensor));
    }
    header_ = header_text(header);
    header_.resize((header_.size() + kHeaderUnit - 1) / kHeaderUnit * kHeaderUnit, ' ');
    header_.resize(header_.size() + padding_to_share(), ' ');
    check_header_size(header_.size());
  }

  std::uint64_t file_size() const { return kHeaderUnit + header_.size() + data_bytes_; }
  std::uint64_t data_bytes() const { return data_bytes_; }
  const std::vector<Pieces>& pieces() const { return pieces_; }

  std::vector<OutputFile::Copied> copied() const {
    std::vector<OutputFile::Copied> all;
    std::uint64_t place = kHeaderUnit + header_.size();
    for (const Pieces& pieces : pieces_) {
      const std::vector<OutputFile::Copied> parts = copied_parts(pieces, Checksums::none, place);
      all.insert(all.end(), parts.begin(), parts.end());
      place += size_of(pieces);
    }
    return all;
  }

  // With its length in front.
  std::string header() const {
    std::string text;
    for (std::uint64_t i = 0; i < kHeaderUnit; ++i) {
      text += static_cast<char>((header_.size() >> (8 * i)) & 0xFFu);
    }
    return text + header_;
  }

 private:
  // Spaces with which the most bytes lie alike in blocks in their file and in this one; none when
  // these are less than half.
  std::uint64_t padding_to_share() const {
    std::map<std::uint64_t, std::uint64_t> bytes;  // by padding
    for (const OutputFile::Copied& part : copied()) {
      bytes[(part.source_offset - part.offset) % kBlockSize] += part.length;
    }
    const auto best =
        std::ranges::max_element(bytes, {}, [](const auto& entry) { return entry.second; });
    const bool pays =
        best != bytes.end() && best->first % kHeaderUnit == 0 && best->second >= data_bytes_ / 2;
    return pays ? best->first : 0;
  }

  static std::vector<const NamedTensor*> in_order(const std::vector<NamedTensor>& tensors) {
    std::vector<const NamedTensor*> order;
    for (const NamedTensor& tensor : tensors) {
      check_dtype(tensor);
      order.push_back(&tensor);
    }
    std::ranges::sort(order, [](const NamedTensor* a, const NamedTensor* b) {
      if (a->dtype() != b->dtype()) return is_in_front(a->dtype(), b->dtype());
      return a->name < b->name;
    });
    return order;
  }

  std::string header_;
  std::vector<Pieces> pieces_;  // one for each tensor
  std::uint64_t data_bytes_ = 0;
};

std::string shard_file(std::string_view stem, std::size_t number, std::size_t count) {
  std::array<char, 64> numbers{};
  std::snprintf(numbers.data(), numbers.size(), "-%05zu-of-%05zu", number, count);
  return std::string(stem) + numbers.data() + std::string(kSuffix);
}

void name_shards(ShardPlan& plan, std::string_view stem) {
  if (plan.shards.size() == 1) {
    plan.shards.front().file = std::string(stem) + std::string(kSuffix);
    return;
  }
  std::map<std::string, std::string> weight_map;
  std::uint64_t total_size = 0;
  for (std::size_t i = 0; i < plan.shards.size(); ++i) {
    ShardPlan::Shard& shard = plan.shards[i];
    shard.file = shard_file(stem, i + 1, plan.shards.size());
    for (const NamedTensor& tensor : shard.tensors) {
      weight_map[tensor.name] = shard.file;
      total_size = checked_sum(total_size, data_size(tensor));
    }
  }
  plan.index_file = std::string(stem) + std::string(kSuffix) + ".index.json";
  plan.index = index_text(weight_map, total_size);
}

}  // namespace

std::uint64_t safetensors_size(const std::vector<NamedTensor>& tensors,
                               const SafetensorsMetadata& metadata) {
  return FilePlan(tensors, metadata).file_size();
}

std::vector<OutputFile::Copied> safetensors_copied(const std::vector<NamedTensor>& tensors,
                                                   const SafetensorsMetadata& metadata) {
  return FilePlan(tensors, metadata).copied();
}

WriteSummary write_safetensors(const std::vector<NamedTensor>& tensors,
                               const SafetensorsMetadata& metadata, OutputFile& file,
                               const WriteOptions& options) {
  const FilePlan plan(tensors, metadata);
  std::vector<const Pieces*> all;
  for (const Pieces& pieces : plan.pieces()) all.push_back(&pieces);
  Appender out(file, plan.file_size(), options);
  StorageStream stream(all, Checksums::none, options.check, out);
  out.append(plan.header());
  for (const Pieces& pieces : plan.pieces()) {
    if (stream.failed()) break;
    stream.append(pieces);
  }
  stream.finish();
  out.finish();
  WriteSummary summary;
  summary.bytes = file.size();
  summary.tensors = tensors.size();
  summary.storages = tensors.size();
  summary.data_bytes = plan.data_bytes();
  summary.shared_bytes = file.shared_bytes();
  return summary;
}

ShardPlan plan_shards(const std::vector<NamedTensor>& tensors, std::uint64_t max_bytes,
                      std::string_view stem) {
  check_names(tensors);
  ShardPlan plan;
  std::vector<NamedTensor> current;
  std::uint64_t size = 0;
  const auto close = [&] {
    plan.shards.push_back({{}, std::move(current)});
    current.clear();
    size = 0;
  };
  for (const NamedTensor& tensor : tensors) {
    const std::uint64_t bytes = data_size(tensor);
    if (bytes > max_bytes) {
      plan.shards.push_back({{}, {tensor}});
      continue;
    }
    if (bytes > max_bytes - size) close();
    current.push_back(tensor);
    size += bytes;
  }
  if (!current.empty() || plan.shards.empty()) close();
  name_shards(plan, stem);
  return plan;
}

}  // namespace craftbundle
