#include "craftbundle/detail/checkpoint/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <set>

#include "craftbundle/detail/base/checked.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/limits.h"
#include "safetensors_format.h"
#include "swap.h"

namespace craftbundle {
namespace {

constexpr bool kBigEndianMachine = std::endian::native == std::endian::big;

constexpr char kGetAgain[] =
    "the file is damaged or was not copied whole; get it again from where it came from";
constexpr char kWriteAgain[] = "write the file again with a library that follows the format";

[[noreturn]] void fail(std::string_view code, const std::string& message, const std::string& hint) {
  throw Error(ErrorKind::input, code, message, hint);
}

std::string bytes_text(std::uint64_t bytes) { return std::to_string(bytes) + " bytes"; }

// What people give instead.
void refuse_other_files(const InputFile& file) {
  constexpr std::string_view kPointer = "version https://git-lfs";
  if (file.size() < kPointer.size()) return;
  const std::string head = file.read_text(0, kPointer.size());
  if (head == kPointer) {
    fail("safetensors.lfs_pointer", "is a pointer of Git LFS; the file itself was not downloaded",
         "run 'git lfs pull' in its repository");
  }
  if (head.starts_with("PK")) {
    fail("safetensors.zip", "is a zip archive, as torch.save writes it, and no safetensors file",
         "give it under its own name (.th, .pt, .bin)");
  }
}

std::uint64_t header_size(const InputFile& file) {
  if (file.size() < kHeaderUnit) {
    fail("safetensors.truncated",
         "has " + bytes_text(file.size()) +
             ", a safetensors file begins with the 8 bytes that "
             "give the length of its header",
         kGetAgain);
  }
  const std::uint64_t size = little_endian(file.read_text(0, kHeaderUnit));
  if (size > limits::kSafetensorsHeader) {
    fail("safetensors.header_size",
         "has a header of " + bytes_text(size) + " by its first 8 bytes, at most " +
             std::to_string(limits::kSafetensorsHeader) + " are allowed",
         "give a safetensors file");
  }
  if (size > file.size() - kHeaderUnit) {
    fail("safetensors.truncated",
         "has a header of " + bytes_text(size) + " by its first 8 bytes, but only " +
             bytes_text(file.size() - kHeaderUnit) + " follow",
         kGetAgain);
  }
  return size;
}

// The JSON text, without the padding.
std::string read_header(const InputFile& file, std::uint64_t size) {
  std::string text = file.read_text(kHeaderUnit, static_cast<std::size_t>(size));
  if (!text.starts_with('{')) {
    fail("safetensors.header",
         text.empty()
             ? "has an empty header, expected a JSON object"
             : "has a header that begins with " + quoted(text.substr(0, 1)) + ", expected '{'",
         "give a safetensors file");
  }
  if (!is_utf8(text)) {
    fail("safetensors.utf8", "has a header that is not UTF-8", kGetAgain);
  }
  text.resize(text.find_last_not_of(' ') + 1);
  if (!text.ends_with('}')) {
    fail("safetensors.header",
         "has a header that ends with " + quoted(text.substr(text.size() - 1)) +
             ", expected '}' and nothing but spaces after it",
         kWriteAgain);
  }
  return text;
}

DType checked_dtype(const HeaderTensor& tensor) {
  if (const auto dtype = dtype_from_safetensors(tensor.dtype)) return *dtype;
  fail("safetensors.dtype", "has the type " + quoted(tensor.dtype) + ", which is not supported",
       "convert the tensor to another type first");
}

[[noreturn]] void fail_product() {
  fail("safetensors.shape", "has a shape whose product is too large", kWriteAgain);
}

std::vector<std::int64_t> checked_shape(const HeaderTensor& tensor) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  std::vector<std::int64_t> shape;
  for (const std::uint64_t size : tensor.shape) {
    if (size > kMost) {
      fail("safetensors.shape", "has the size " + std::to_string(size) + ", which is impossible",
           kWriteAgain);
    }
    shape.push_back(static_cast<std::int64_t>(size));
  }
  return shape;
}

// The product of the sizes, which must also fit without those that are 0, as strides are made of
// it.
std::uint64_t checked_elements(const HeaderTensor& tensor) {
  std::vector<std::int64_t> sizes = checked_shape(tensor);
  for (std::int64_t& size : sizes) size = std::max<std::int64_t>(size, 1);
  const auto count = element_count(sizes);
  if (!count) fail_product();
  return std::ranges::count(tensor.shape, 0U) == 0 ? *count : 0;
}

std::uint64_t checked_bytes(const HeaderTensor& tensor, DType dtype, std::uint64_t elements) {
  constexpr std::uint64_t kBits = 8;  // the reference implementation counts in bits
  const auto bytes = checked_mul(elements, item_size(dtype));
  if (!bytes || !checked_mul(*bytes, kBits)) fail_product();
  if (tensor.end - tensor.begin != *bytes) {
    fail("safetensors.data_size",
         "has " + bytes_text(tensor.end - tensor.begin) + " of data, expected " +
             std::to_string(*bytes) + " for " + tensor.dtype + " of " + std::to_string(elements) +
             " elements",
         kWriteAgain);
  }
  return *bytes;
}

void check_offsets(const HeaderTensor& tensor, std::uint64_t expected) {
  if (tensor.end < tensor.begin) {
    fail("safetensors.offsets",
         "ends at " + std::to_string(tensor.end) + ", before it begins at " +
             std::to_string(tensor.begin),
         kWriteAgain);
  }
  if (tensor.begin != expected) {
    fail("safetensors.offsets",
         "begins at " + std::to_string(tensor.begin) + ", expected " + std::to_string(expected) +
             ", where the one before it ends: there is " +
             (tensor.begin < expected ? "an overlap" : "a hole"),
         kWriteAgain);
  }
}

void check_end(std::uint64_t found, std::uint64_t expected) {
  if (found == expected) return;
  const std::string message = "has " + bytes_text(found) + " after its header, expected " +
                              std::to_string(expected) + " by its tensors";
  if (found < expected) fail("safetensors.truncated", message, kGetAgain);
  fail("safetensors.trailing", message, kWriteAgain);
}

void check_shard_name(const std::string& name) {
  if (!name.empty() && name != "." && name != ".." &&
      name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos) {
    return;
  }
  fail("safetensors.shard_name",
       "names the file " + quoted(name) + ", expected a plain name beside the index",
       "put the files beside the index and write their names into it");
}

using WeightMap = std::map<std::string, std::string>;

WeightMap read_index(const InputFile& file) {
  if (file.size() > limits::kSafetensorsIndex) {
    fail("safetensors.index",
         "has " + bytes_text(file.size()) + ", at most " +
             std::to_string(limits::kSafetensorsIndex) + " are supported",
         "give the index of a sharded safetensors model");
  }
  const std::string text = file.read_text(0, static_cast<std::size_t>(file.size()));
  if (!is_utf8(text)) fail("safetensors.utf8", "is not UTF-8", kGetAgain);
  return parse_safetensors_index(text);
}

std::set<std::string> shard_names(const WeightMap& map) {
  std::set<std::string> names;
  for (const auto& [tensor, file] : map) {
    if (names.contains(file)) continue;
    check_shard_name(file);
    names.insert(file);
    if (names.size() > limits::kSafetensorsShards) {
      fail("safetensors.shards",
           "names more than " + std::to_string(limits::kSafetensorsShards) +
               " files, which is not supported",
           "write the model into fewer files");
    }
  }
  return names;
}

constexpr char kGetAll[] = "get the index and all its files again, from one place";

// Adds the tensors of the file `name` to `model`.
void add_shard(const std::string& name, const WeightMap& map, SafetensorsModel& model) {
  for (NamedTensor& tensor : model.files.back()->tensors()) {
    const auto entry = map.find(tensor.name);
    if (entry == map.end() || entry->second != name) {
      fail("safetensors.shard",
           "file " + quoted(name) + " has the tensor " + quoted(tensor.name) + ", which " +
               (entry == map.end() ? "the index does not name"
                                   : "the index gives to " + quoted(entry->second)),
           kGetAll);
    }
    model.tensors.push_back(std::move(tensor));
  }
}

// Names in a file are unique, and each that was found is in the map: equal numbers say all.
void check_complete(const WeightMap& map, const SafetensorsModel& model) {
  if (model.tensors.size() == map.size()) return;
  std::set<std::string_view> present;
  for (const NamedTensor& tensor : model.tensors) present.insert(tensor.name);
  const auto missing =
      std::ranges::find_if(map, [&](const auto& entry) { return !present.contains(entry.first); });
  fail("safetensors.shard",
       "file " + quoted(missing->second) + " does not have the tensor " + quoted(missing->first) +
           ", which the index gives to it",
       kGetAll);
}

}  // namespace

Safetensors::Safetensors(const Path& path) : file_(path) {
  refuse_other_files(file_);
  const std::uint64_t size = header_size(file_);
  SafetensorsHeader header = parse_safetensors_header(read_header(file_, size));
  metadata_ = std::move(header.metadata);
  // Empty tensors lie where the next one begins.
  std::ranges::stable_sort(header.tensors, {}, [](const HeaderTensor& tensor) {
    return std::pair(tensor.begin, tensor.end);
  });
  const std::uint64_t start = kHeaderUnit + size;
  std::uint64_t end = 0;
  entries_.reserve(header.tensors.size());
  for (HeaderTensor& tensor : header.tensors) {
    with_context([&] { return "tensor " + quoted(tensor.name); },
                 [&] {
                   check_offsets(tensor, end);
                   Entry& entry = entries_.emplace_back();
                   entry.dtype = checked_dtype(tensor);
                   entry.shape = checked_shape(tensor);
                   entry.elements = checked_elements(tensor);
                   entry.bytes = checked_bytes(tensor, entry.dtype, entry.elements);
                   entry.file_offset = start + tensor.begin;
                 });
    entries_.back().name = std::move(tensor.name);
    end = tensor.end;
  }
  check_end(file_.size() - start, end);
}

std::shared_ptr<const Safetensors> Safetensors::open(const Path& path) {
  try {
    return std::shared_ptr<const Safetensors>(new Safetensors(path));
  } catch (Error& error) {
    // Errors of reading the file name it already.
    if (!error.code().starts_with("io.")) error.add_context(path_text(path));
    throw;
  }
}

void Safetensors::read(const Storage& storage, std::uint64_t offset,
                       std::span<std::byte> buffer) const {
  file_.read(storage.file_offset + offset, buffer);
  if (storage.swapped) swap_bytes(buffer, swap_size(storage.dtype));
}

std::vector<NamedTensor> Safetensors::tensors() const {
  std::vector<NamedTensor> result;
  result.reserve(entries_.size());
  for (const Entry& entry : entries_) {
    Tensor tensor;
    tensor.dtype = entry.dtype;
    tensor.layout = {entry.shape, contiguous_strides(entry.shape), 0};
    tensor.storage.owner = shared_from_this();
    tensor.storage.key = entry.name;
    tensor.storage.dtype = entry.dtype;
    tensor.storage.elements = entry.elements;
    tensor.storage.file_offset = entry.file_offset;
    tensor.storage.bytes = entry.bytes;
    tensor.storage.swapped = kBigEndianMachine;
    result.push_back({entry.name, std::move(tensor)});
  }
  return result;
}

SafetensorsModel open_safetensors_index(const Path& index) {
  const auto where = [&] { return path_text(index); };
  const InputFile file(index);
  const WeightMap map = with_context(where, [&] { return read_index(file); });
  SafetensorsModel model;
  for (const std::string& name : with_context(where, [&] { return shard_names(map); })) {
    model.files.push_back(Safetensors::open(index.parent_path() / name));
    with_context(where, [&] { add_shard(name, map, model); });
  }
  with_context(where, [&] { check_complete(map, model); });
  return model;
}

}  // namespace craftbundle
