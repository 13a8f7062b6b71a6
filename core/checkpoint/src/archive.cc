#include "archive.h"

#include <libdeflate.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <numeric>
#include <optional>

#include "craftbundle/detail/base/checked.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/limits.h"
#include "craftbundle/detail/io/crc32.h"

namespace craftbundle {
namespace {

constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::uint32_t kCentralSignature = 0x02014b50;
constexpr std::string_view kEndSignature = "PK\5\6";
constexpr std::uint32_t kEnd64Signature = 0x06064b50;
constexpr std::uint32_t kLocator64Signature = 0x07064b50;
constexpr std::uint32_t kDescriptorSignature = 0x08074b50;

constexpr std::size_t kLocalSize = 30;
constexpr std::size_t kCentralSize = 46;
constexpr std::size_t kEndSize = 22;
constexpr std::size_t kEnd64Size = 56;
constexpr std::size_t kLocator64Size = 20;
constexpr std::size_t kMostComment = 65535;
// Of one directory entry beyond its fixed part and its name.
constexpr std::size_t kMostEntryExtra = 1024;

constexpr std::uint16_t kZip64Extra = 0x0001;
constexpr std::uint16_t kSaturated16 = 0xFFFF;
constexpr std::uint32_t kSaturated32 = 0xFFFFFFFF;

constexpr std::uint16_t kFlagDescriptor = 1U << 3U;
constexpr std::uint16_t kFlagUtf8 = 1U << 11U;
constexpr std::uint16_t kFlagDeflateLevel = (1U << 1U) | (1U << 2U);
constexpr std::uint16_t kFlagsEncrypted = (1U << 0U) | (1U << 6U) | (1U << 13U);
constexpr std::uint16_t kFlagsKnown = kFlagDescriptor | kFlagUtf8 | kFlagDeflateLevel;

constexpr std::uint16_t kStored = 0;
constexpr std::uint16_t kDeflated = 8;

// Small records of zeros deflate better than any sensible bound.
constexpr std::uint64_t kRatioFrom = 1 << 20;

[[noreturn]] void fail(std::string_view check, const std::string& message,
                       const std::string& hint = {}) {
  throw Error(ErrorKind::input, "zip." + std::string(check), message, hint);
}

constexpr char kGetAgain[] = "the file is damaged; get it again from where it came from";

std::uint64_t number(std::string_view bytes, std::size_t offset, std::size_t size) {
  return little_endian(bytes.substr(offset, size));
}

std::uint16_t number16(std::string_view bytes, std::size_t offset) {
  return static_cast<std::uint16_t>(number(bytes, offset, 2));
}
std::uint32_t number32(std::string_view bytes, std::size_t offset) {
  return static_cast<std::uint32_t>(number(bytes, offset, 4));
}
std::uint64_t number64(std::string_view bytes, std::size_t offset) {
  return number(bytes, offset, 8);
}

std::string at_byte(std::uint64_t offset) { return " at byte " + std::to_string(offset); }

// ---- the end of the file ----

struct Directory {
  std::uint64_t count = 0;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
  std::uint64_t end = 0;  // of the whole archive in the file
};

// Fields that say that an archive spans several files.
void require_one_disk(std::uint64_t this_disk, std::uint64_t directory_disk) {
  if (this_disk != 0 || directory_disk != 0) fail("multidisk", "the archive spans several files");
}

void check_directory(const Directory& directory, std::uint64_t end_records) {
  if (!in_range(directory.offset, directory.size, end_records)) {
    fail("bounds",
         "the directory of " + std::to_string(directory.size) + " bytes" +
             at_byte(directory.offset) + " does not lie in the file",
         kGetAgain);
  }
  if (directory.offset + directory.size != end_records) {
    fail("eocd",
         "the directory ends" + at_byte(directory.offset + directory.size) +
             ", but the end record begins" + at_byte(end_records),
         kGetAgain);
  }
  if (directory.count > limits::kArchiveRecords) {
    throw Error(ErrorKind::input, "limit.records",
                std::to_string(directory.count) + " records, at most " +
                    std::to_string(limits::kArchiveRecords) + " are supported");
  }
  constexpr std::uint64_t kMostEntry = kCentralSize + limits::kRecordNameBytes + kMostEntryExtra;
  if (directory.size / kCentralSize < directory.count ||
      directory.size > directory.count * kMostEntry) {
    fail("count",
         "a directory of " + std::to_string(directory.size) + " bytes cannot have " +
             std::to_string(directory.count) + " records",
         kGetAgain);
  }
}

// The end record at `position`, with its 64-bit companion. Throws when they contradict each other.
Directory read_end(const InputFile& file, std::uint64_t position) {
  const std::string end = file.read_text(position, kEndSize);
  const std::uint16_t count_here = number16(end, 8);
  Directory directory;
  directory.count = number16(end, 10);
  directory.size = number32(end, 12);
  directory.offset = number32(end, 16);
  directory.end = position + kEndSize + number16(end, 20);
  if (directory.end > file.size()) {
    fail("truncated", "the comment of the archive reaches beyond the end of the file", kGetAgain);
  }
  require_one_disk(number16(end, 4), number16(end, 6));
  if (count_here != directory.count) fail("count", "the end record gives two numbers of records");

  const bool saturated = directory.count == kSaturated16 || directory.size == kSaturated32 ||
                         directory.offset == kSaturated32;
  std::string locator;
  if (position >= kLocator64Size + kEnd64Size) {
    locator = file.read_text(position - kLocator64Size, kLocator64Size);
  }
  if (locator.empty() || number32(locator, 0) != kLocator64Signature) {
    if (saturated)
      fail("zip64", "the end record refers to a 64-bit one that is missing", kGetAgain);
    check_directory(directory, position);
    return directory;
  }

  const std::uint64_t begin64 = number64(locator, 8);
  const std::uint64_t locator_position = position - kLocator64Size;
  if (number32(locator, 4) != 0 || number32(locator, 16) > 1) {
    fail("multidisk", "the archive spans several files");
  }
  if (!in_range(begin64, kEnd64Size, locator_position)) {
    fail("zip64", "the 64-bit end record" + at_byte(begin64) + " does not lie in the file",
         kGetAgain);
  }
  const std::string end64 = file.read_text(begin64, kEnd64Size);
  if (number32(end64, 0) != kEnd64Signature) {
    fail("zip64", "there is no 64-bit end record" + at_byte(begin64), kGetAgain);
  }
  constexpr std::uint64_t kUncounted = 12;  // its signature and this field
  if (number64(end64, 4) != locator_position - begin64 - kUncounted) {
    fail("zip64", "the 64-bit end record is not as long as it says", kGetAgain);
  }
  require_one_disk(number32(end64, 16), number32(end64, 20));
  Directory wide;
  wide.count = number64(end64, 32);
  wide.size = number64(end64, 40);
  wide.offset = number64(end64, 48);
  wide.end = directory.end;
  if (number64(end64, 24) != wide.count) {
    fail("count", "the 64-bit end record gives two numbers of records");
  }
  if (directory.count != kSaturated16 && directory.count != wide.count) {
    fail("count", "the end records say " + std::to_string(directory.count) + " and " +
                      std::to_string(wide.count) + " records");
  }
  if ((directory.size != kSaturated32 && directory.size != wide.size) ||
      (directory.offset != kSaturated32 && directory.offset != wide.offset)) {
    fail("zip64", "the end records disagree about the place of the directory");
  }
  check_directory(wide, begin64);
  return wide;
}

// Positions of what looks like an end record, last first.
std::vector<std::uint64_t> find_ends(const InputFile& file) {
  std::vector<std::uint64_t> positions;
  if (file.size() < kEndSize) return positions;
  const auto length =
      static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), kEndSize + kMostComment));
  const std::uint64_t begin = file.size() - length;
  const std::string tail = file.read_text(begin, length);
  for (std::size_t i = tail.rfind(kEndSignature); i != std::string::npos;
       i = i == 0 ? std::string::npos : tail.rfind(kEndSignature, i - 1)) {
    if (i + kEndSize <= tail.size()) positions.push_back(begin + i);
  }
  return positions;
}

[[noreturn]] void refuse_several() {
  fail("ambiguous", "the file has two directories, and readers disagree about which counts",
       "it holds several archives: give the file that one of them was saved as");
}

bool is_local_header(const InputFile& file, std::uint64_t offset) {
  constexpr std::size_t kSize = sizeof(kLocalSignature);
  return in_range(offset, kSize, file.size()) &&
         number32(file.read_text(offset, kSize), 0) == kLocalSignature;
}

// Whether the end record at `position` is that of an archive which begins behind another one.
bool ends_later_archive(const InputFile& file, std::uint64_t position) {
  const std::string end = file.read_text(position, kEndSize);
  const std::uint64_t length = std::uint64_t{number32(end, 12)} + number32(end, 16);
  for (const std::size_t between : {std::size_t{0}, kEnd64Size + kLocator64Size}) {
    if (position <= length + between) continue;
    if (is_local_header(file, position - length - between)) return is_local_header(file, 0);
  }
  return false;
}

// The one end record of the file.
Directory find_directory(const InputFile& file) {
  std::optional<Directory> found;
  std::uint64_t found_at = 0;
  std::optional<Error> first_error;
  const std::vector<std::uint64_t> ends = find_ends(file);
  for (const std::uint64_t position : ends) {
    try {
      const Directory directory = read_end(file, position);
      if (found) refuse_several();
      found = directory;
      found_at = position;
    } catch (const Error& error) {
      if (error.code() == "zip.ambiguous" || error.kind() != ErrorKind::input) throw;
      if (!first_error) first_error = error;
    }
  }
  if (found) {
    // Other readers take the last end record, wherever its directory says to lie, or begin anew.
    if (ends.front() > found_at || is_local_header(file, found->end)) refuse_several();
    return *found;
  }
  if (first_error) {
    if (ends_later_archive(file, ends.front())) refuse_several();
    throw *first_error;
  }
  fail("truncated",
       "the end of the archive is missing: " + human_bytes(file.size()) + " are only a part of it",
       "get the file again; the download or copy stopped early");
}

// ---- the directory ----

struct Entry {
  std::string name;
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::uint32_t crc = 0;
  std::uint64_t stored_size = 0;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;      // of its local header
  std::uint64_t data_begin = 0;  // from the local header
};

std::string label(const Entry& entry) { return "record " + quoted(entry.name); }

// The one extra field of an id; nullopt when there is none.
std::optional<std::string_view> find_extra(std::string_view extra, std::uint16_t id) {
  std::optional<std::string_view> found;
  while (!extra.empty()) {
    constexpr std::size_t kHeader = 4;
    if (extra.size() < kHeader || extra.size() - kHeader < number16(extra, 2)) {
      fail("extra", "an extra field is longer than its place");
    }
    const std::size_t length = number16(extra, 2);
    if (number16(extra, 0) == id) {
      if (found) fail("extra", "an extra field stands twice");
      found = extra.substr(kHeader, length);
    }
    extra.remove_prefix(kHeader + length);
  }
  return found;
}

// Takes from the 64-bit extra field what did not fit the entry.
void widen(Entry& entry, std::string_view extra) {
  const std::optional<std::string_view> field = find_extra(extra, kZip64Extra);
  std::string_view wide = field.value_or(std::string_view());
  for (std::uint64_t* value : {&entry.size, &entry.stored_size, &entry.offset}) {
    if (*value != kSaturated32) continue;
    if (wide.size() < 8) {
      fail("zip64",
           label(entry) + ": its 64-bit " + (field ? "field is too short" : "field is missing"));
    }
    *value = number64(wide, 0);
    wide.remove_prefix(8);
  }
}

void check_name(std::string_view name) {
  const auto refuse = [name](const std::string& why) {
    fail("name", "the record name " + quoted(name) + " " + why);
  };
  if (name.empty()) refuse("is empty");
  if (name.size() > limits::kRecordNameBytes) {
    refuse("is longer than " + std::to_string(limits::kRecordNameBytes) + " bytes");
  }
  if (!is_utf8(name)) refuse("is not UTF-8");
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (std::any_of(name.begin(), name.end(), is_control)) refuse("has control characters");
  if (name.find('\\') != std::string_view::npos) refuse("has a backslash");
  if (name.front() == '/' || (name.size() > 1 && name[1] == ':')) refuse("is an absolute path");
  for (std::string_view rest = name;;) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part == ".." || part == ".") refuse("leaves its directory");
    if (slash == std::string_view::npos) return;
    rest.remove_prefix(slash + 1);
  }
}

void check_entry(const Entry& entry) {
  if ((entry.flags & kFlagsEncrypted) != 0) fail("encrypted", label(entry) + " is encrypted");
  if ((entry.flags & ~kFlagsKnown) != 0) {
    fail("flags", label(entry) + " has unknown flags (" + std::to_string(entry.flags) + ")");
  }
  if (entry.method != kStored && entry.method != kDeflated) {
    fail("method", label(entry) + " is compressed by method " + std::to_string(entry.method) +
                       ", supported are stored and deflated records");
  }
  if (entry.method == kStored && entry.size != entry.stored_size) {
    fail("size", label(entry) + " is stored, but has two sizes");
  }
  if (entry.size >= kRatioFrom && entry.size / limits::kInflateRatio > entry.stored_size) {
    throw Error(ErrorKind::input, "limit.ratio",
                label(entry) + " would grow from " + human_bytes(entry.stored_size) + " to " +
                    human_bytes(entry.size) + ", more than " +
                    std::to_string(limits::kInflateRatio) + " times",
                "repack it without compression, or save it again with torch.save");
  }
}

std::vector<Entry> read_entries(const InputFile& file, const Directory& directory) {
  const std::string bytes =
      file.read_text(directory.offset, static_cast<std::size_t>(directory.size));
  std::string_view rest = bytes;
  std::vector<Entry> entries;
  for (std::uint64_t i = 0; i < directory.count; ++i) {
    if (rest.size() < kCentralSize || number32(rest, 0) != kCentralSignature) {
      fail("count",
           "the directory has " + std::to_string(i) + " records, the end record says " +
               std::to_string(directory.count),
           kGetAgain);
    }
    const std::size_t name_size = number16(rest, 28);
    const std::size_t extra_size = number16(rest, 30);
    const std::size_t comment_size = number16(rest, 32);
    const std::size_t size = kCentralSize + name_size + extra_size + comment_size;
    if (rest.size() < size) fail("central", "a directory entry is cut off", kGetAgain);
    Entry entry;
    entry.name = rest.substr(kCentralSize, name_size);
    entry.flags = number16(rest, 8);
    entry.method = number16(rest, 10);
    entry.crc = number32(rest, 16);
    entry.stored_size = number32(rest, 20);
    entry.size = number32(rest, 24);
    entry.offset = number32(rest, 42);
    require_one_disk(number16(rest, 34), 0);
    check_name(entry.name);
    widen(entry, rest.substr(kCentralSize + name_size, extra_size));
    check_entry(entry);
    entries.push_back(std::move(entry));
    rest.remove_prefix(size);
  }
  if (!rest.empty()) {
    fail("count",
         "the directory has more than the " + std::to_string(directory.count) +
             " records that the end record says",
         kGetAgain);
  }
  return entries;
}

// ---- local headers ----

// Reads small pieces of a file in ascending order with few calls.
class Window {
 public:
  explicit Window(const InputFile& file) : file_(file) {}

  // REQUIRES: in_range(offset, size, file.size()).
  std::string_view bytes(std::uint64_t offset, std::size_t size) {
    constexpr std::uint64_t kLeast = 512;
    if (offset < begin_ || !in_range(offset - begin_, size, bytes_.size())) {
      const std::uint64_t left = file_.size() - offset;
      bytes_ = file_.read_text(offset, static_cast<std::size_t>(std::min<std::uint64_t>(
                                           left, std::max<std::uint64_t>(size, kLeast))));
      begin_ = offset;
    }
    return std::string_view(bytes_).substr(static_cast<std::size_t>(offset - begin_), size);
  }

 private:
  const InputFile& file_;
  std::string bytes_;
  std::uint64_t begin_ = 0;
};

// A size or CRC-32 in the local header. Writers that did not know it yet leave 0 there and set the
// flag; a 64-bit size is saturated.
bool agrees(std::uint64_t local, std::uint64_t central, bool has_descriptor, bool may_saturate) {
  return local == central || (has_descriptor && local == 0) ||
         (may_saturate && local == kSaturated32);
}

// Checks the local header and finds the data. Returns where the record ends, descriptor included.
std::uint64_t read_local(Window& window, Entry& entry, std::uint64_t limit) {
  if (!in_range(entry.offset, kLocalSize, limit)) {
    fail("bounds",
         label(entry) + ": its header" + at_byte(entry.offset) + " lies outside of the records");
  }
  const std::string_view header = window.bytes(entry.offset, kLocalSize);
  if (number32(header, 0) != kLocalSignature) {
    fail("local_header", label(entry) + ": there is no header" + at_byte(entry.offset), kGetAgain);
  }
  const auto mismatch = [&entry](const std::string& what) {
    fail("local_mismatch", label(entry) + ": its header and the directory disagree about " + what);
  };
  const std::uint16_t flags = number16(header, 6);
  const bool has_descriptor = (flags & kFlagDescriptor) != 0;
  const std::uint32_t crc = number32(header, 14);
  const std::uint32_t stored_size = number32(header, 18);
  const std::uint32_t size = number32(header, 22);
  const std::size_t name_size = number16(header, 26);
  const std::size_t extra_size = number16(header, 28);
  if (flags != entry.flags) mismatch("its flags");
  if (number16(header, 8) != entry.method) mismatch("its method");
  if (!agrees(crc, entry.crc, has_descriptor, false)) mismatch("its CRC-32");
  if (name_size != entry.name.size()) mismatch("its name");

  const std::uint64_t header_size = kLocalSize + name_size + extra_size;
  if (!in_range(entry.offset, header_size, limit) ||
      !in_range(entry.offset + header_size, entry.stored_size, limit)) {
    fail("bounds", label(entry) + " of " + std::to_string(entry.stored_size) + " bytes" +
                       at_byte(entry.offset) + " reaches beyond the records");
  }
  entry.data_begin = entry.offset + header_size;
  const std::string_view name_and_extra =
      window.bytes(entry.offset + kLocalSize, name_size + extra_size);
  if (name_and_extra.substr(0, name_size) != entry.name) mismatch("its name");
  const std::optional<std::string_view> wide =
      find_extra(name_and_extra.substr(name_size), kZip64Extra);
  if (!agrees(stored_size, entry.stored_size, has_descriptor, wide.has_value()) ||
      !agrees(size, entry.size, has_descriptor, wide.has_value())) {
    mismatch("its size");
  }
  // Without a descriptor, the 64-bit sizes in the header are the ones a streaming reader takes.
  if (wide && !has_descriptor && (size == kSaturated32 || stored_size == kSaturated32)) {
    if (wide->size() < 16 || number64(*wide, 0) != entry.size ||
        number64(*wide, 8) != entry.stored_size) {
      mismatch("its size");
    }
  }

  const std::uint64_t data_end = entry.data_begin + entry.stored_size;
  if (!has_descriptor) return data_end;
  for (const std::size_t width : {4U, 8U}) {
    const std::size_t length = 8 + 2 * width;
    if (!in_range(data_end, length, limit)) continue;
    const std::string_view descriptor = window.bytes(data_end, length);
    if (number32(descriptor, 0) == kDescriptorSignature && number32(descriptor, 4) == entry.crc &&
        number(descriptor, 8, width) == entry.stored_size &&
        number(descriptor, 8 + width, width) == entry.size) {
      return data_end + length;
    }
  }
  fail("descriptor", label(entry) + ": the data descriptor behind it does not match the directory",
       kGetAgain);
}

// Holds every local header against the directory; nothing may overlap. Returns the bytes that
// belong to no record.
std::uint64_t read_locals(const InputFile& file, std::vector<Entry>& entries, std::uint64_t limit) {
  std::vector<Entry*> order;
  order.reserve(entries.size());
  for (Entry& entry : entries) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(),
                   [](const Entry* a, const Entry* b) { return a->offset < b->offset; });
  Window window(file);
  std::uint64_t end = 0;
  std::uint64_t unclaimed = 0;
  for (Entry* entry : order) {
    if (entry->offset < end) fail("overlap", label(*entry) + " overlaps the record before it");
    if (end == 0 && entry->offset != 0) {
      fail("prefix", std::to_string(entry->offset) + " bytes stand in front of the archive");
    }
    unclaimed += entry->offset - end;
    end = read_local(window, *entry, limit);
  }
  return unclaimed + (limit - end);
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

// PyTorch looks names up without case, so names that differ in case only are duplicates, too.
void check_duplicates(const std::vector<Entry>& entries) {
  std::vector<std::string> names;
  names.reserve(entries.size());
  for (const Entry& entry : entries) names.push_back(lower(entry.name));
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) fail("duplicate", "there are two records named " + quoted(*twice));
}

std::string inflate(const std::string& compressed, std::uint64_t size) {
  const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)>
      decompressor(libdeflate_alloc_decompressor(), &libdeflate_free_decompressor);
  if (!decompressor) throw std::bad_alloc();
  std::string bytes(static_cast<std::size_t>(size), '\0');
  std::size_t used = 0;
  std::size_t written = 0;
  const libdeflate_result result =
      libdeflate_deflate_decompress_ex(decompressor.get(), compressed.data(), compressed.size(),
                                       bytes.data(), bytes.size(), &used, &written);
  if (result != LIBDEFLATE_SUCCESS || written != bytes.size() || used != compressed.size()) {
    fail("deflate", "the compressed data is damaged", kGetAgain);
  }
  return bytes;
}

// Says what a zip file is in which not all is below one folder.
[[noreturn]] void fail_layout(const std::vector<Entry>& entries, const Entry& stranger,
                              const std::string& prefix) {
  constexpr std::array<std::string_view, 6> kEndings = {".th",  ".bin",  ".pt",
                                                        ".pth", ".ckpt", ".safetensors"};
  std::vector<std::string> inside;
  bool has_pickle = false;
  bool arrays = true;
  for (const Entry& entry : entries) {
    has_pickle = has_pickle || entry.name == "data.pkl";
    arrays = arrays && entry.name.ends_with(".npy");
    if (std::ranges::any_of(kEndings,
                            [&](std::string_view end) { return entry.name.ends_with(end); })) {
      inside.push_back(entry.name);
    }
  }
  if (has_pickle) {
    fail("layout",
         "has 'data.pkl' at its top: it was zipped without its folder, and PyTorch does not read "
         "it either",
         "zip the folder itself, without compression (zip -0 -r), or take the original file");
  }
  if (arrays)
    fail("layout", "is an archive of NumPy arrays (.npz)",
         "give a checkpoint that torch.save wrote");
  if (!inside.empty()) {
    fail("layout", "is a zip that holds " + list_text(inside),
         "unpack it and give the file inside");
  }
  fail("layout",
       label(stranger) + " does not begin with " + quoted(prefix) +
           " as the records of torch.save all do",
       "the file may be a zip of something else; checkpoints are not unpacked or repacked by hand");
}

}  // namespace

Archive::Archive(const InputFile& file) : file_(&file) {
  const Directory directory = find_directory(file);
  std::vector<Entry> entries = read_entries(file, directory);
  if (entries.empty()) fail("empty", "the archive has no records");
  check_duplicates(entries);
  const std::uint64_t unclaimed = read_locals(file, entries, directory.offset);
  if (unclaimed > 0) notes_.push_back(std::to_string(unclaimed) + " bytes between the records");
  if (directory.end < file.size()) {
    notes_.push_back(std::to_string(file.size() - directory.end) + " bytes after the archive");
  }

  name_ = entries.front().name.substr(0, entries.front().name.find('/'));
  const std::string prefix = name_ + "/";
  for (const Entry& entry : entries) {
    if (!entry.name.starts_with(prefix)) {
      fail_layout(entries, entry, prefix);
    }
    if (entry.name.ends_with('/')) {
      if (entry.size != 0) fail("size", label(entry) + " is a directory, but has data");
      continue;
    }
    ArchiveRecord record;
    record.name = entry.name.substr(prefix.size());
    record.data_offset = entry.data_begin;
    record.stored_size = entry.stored_size;
    record.size = entry.size;
    record.crc = entry.crc;
    record.deflated = entry.method == kDeflated;
    records_.push_back(std::move(record));
  }
  by_name_.resize(records_.size());
  std::iota(by_name_.begin(), by_name_.end(), 0U);
  std::sort(by_name_.begin(), by_name_.end(), [this](std::uint32_t a, std::uint32_t b) {
    return records_[a].name < records_[b].name;
  });
}

const ArchiveRecord* Archive::find(std::string_view name) const {
  const auto found = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                      [this](std::uint32_t index, std::string_view wanted) {
                                        return records_[index].name < wanted;
                                      });
  if (found == by_name_.end() || records_[*found].name != name) return nullptr;
  return &records_[*found];
}

std::string Archive::read(const ArchiveRecord& record) const {
  return with_context([&] { return "record " + quoted(record.name); },
                      [&] {
                        std::string bytes = file_->read_text(
                            record.data_offset, static_cast<std::size_t>(record.stored_size));
                        if (record.deflated) bytes = inflate(bytes, record.size);
                        const std::uint32_t crc = crc32(0, std::as_bytes(std::span(bytes)));
                        if (record.has_crc() && crc != record.crc) {
                          fail("crc",
                               "CRC-32 is " + std::to_string(crc) + ", the directory says " +
                                   std::to_string(record.crc),
                               kGetAgain);
                        }
                        return bytes;
                      });
}

bool has_zip_end(const InputFile& file) { return !find_ends(file).empty(); }

}  // namespace craftbundle
