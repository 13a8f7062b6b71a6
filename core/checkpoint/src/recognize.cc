#include "recognize.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "archive.h"
#include "craftbundle/detail/base/checked.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "legacy.h"

namespace craftbundle {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::size_t kHeadBytes = 4096;

[[noreturn]] void fail(std::string_view check, const std::string& message,
                       const std::string& hint) {
  throw Error(ErrorKind::input, "format." + std::string(check), message, hint);
}

constexpr char kGiveCheckpoint[] = "give a checkpoint that torch.save wrote";

struct Signature {
  std::size_t offset;
  std::string_view bytes;
  std::string_view check;
  std::string_view what;
  std::string_view hint;
};

constexpr char kUnpack[] = "unpack it first and give the checkpoint inside";

constexpr std::array kSignatures = {
    Signature{0, "\x1f\x8b"sv, "compressed", "compressed by gzip", kUnpack},
    Signature{0, "BZh"sv, "compressed", "compressed by bzip2", kUnpack},
    Signature{0,
              "\xFD"
              "7zXZ\0"sv,
              "compressed", "compressed by xz", kUnpack},
    Signature{0, "\x28\xB5\x2F\xFD"sv, "compressed", "compressed by zstd", kUnpack},
    Signature{0, "7z\xBC\xAF\x27\x1C"sv, "compressed", "a 7-Zip archive", kUnpack},
    Signature{0, "Rar!\x1A\x07"sv, "compressed", "a RAR archive", kUnpack},
    Signature{0, "\x89HDF\r\n\x1a\n"sv, "hdf5", "an HDF5 file, as Keras writes", kGiveCheckpoint},
    Signature{0, "PYTORCH1"sv, "preview", "a checkpoint in the preview format of PyTorch 1.0",
              "load and save it again with the PyTorch that wrote it"},
    Signature{0, "GGUF"sv, "gguf", "a GGUF model", kGiveCheckpoint},
    Signature{0, "\x93NUMPY"sv, "numpy", "a NumPy array", kGiveCheckpoint},
    Signature{0, "version https://git-lfs"sv, "lfs_pointer",
              "a pointer of Git LFS; the file itself was not downloaded",
              "run 'git lfs pull' in its repository"},
    Signature{0, "RIFF"sv, "audio", "an audio file", kGiveCheckpoint},
    Signature{0, "fLaC"sv, "audio", "an audio file", kGiveCheckpoint},
    Signature{0, "OggS"sv, "audio", "an audio file", kGiveCheckpoint},
    Signature{0, "ID3"sv, "audio", "an audio file", kGiveCheckpoint},
    Signature{0,
              "\x7f"
              "ELF"sv,
              "program", "a program or library", kGiveCheckpoint},
};

bool has(std::string_view head, const Signature& signature) {
  return head.size() > signature.offset &&
         head.substr(signature.offset).starts_with(signature.bytes);
}

// Eight bytes with the length of a JSON header, then the header.
bool is_safetensors(std::string_view head, std::uint64_t file_size) {
  constexpr std::size_t kPrefix = 8;
  if (head.size() <= kPrefix || head[kPrefix] != '{') return false;
  return little_endian(head.substr(0, kPrefix)) <= file_size - kPrefix;
}

bool starts_with_any_case(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() &&
         std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) {
           return a == std::tolower(static_cast<unsigned char>(b));
         });
}

bool is_text(std::string_view head) {
  // The last character may be cut.
  while (!head.empty() && (head.back() & 0x80) != 0) head.remove_suffix(1);
  const auto is_control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f';
  };
  return is_utf8(head) && std::none_of(head.begin(), head.end(), is_control);
}

void refuse_text(std::string_view head) {
  if (!is_text(head)) return;
  std::string_view text = head;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  if (starts_with_any_case(text, "<!doctype html") || starts_with_any_case(text, "<html")) {
    fail("html", "is a web page, probably the answer to a download that failed",
         "download the file again; it may need a login or another address");
  }
  if (text.starts_with('{') || text.starts_with('[')) fail("json", "is JSON text", kGiveCheckpoint);
  fail("text", "is text: " + quoted(text.substr(0, text.find('\n')), 40), kGiveCheckpoint);
}

// Names of the members of a tar archive, the first of them at least.
std::vector<std::string> tar_members(const InputFile& file) {
  constexpr std::uint64_t kBlock = 512;
  constexpr std::size_t kNameBytes = 100;
  constexpr std::size_t kSizeAt = 124;
  constexpr std::size_t kSizeDigits = 11;
  constexpr std::size_t kTypeAt = 156;
  constexpr std::size_t kMost = 64;
  std::vector<std::string> names;
  std::uint64_t at = 0;
  while (names.size() < kMost && at <= file.size() && file.size() - at >= kBlock) {
    const std::string header = file.read_text(at, kBlock);
    if (header[0] == 0) break;
    // Headers that say more about the next one are no members.
    if (constexpr std::string_view kMore = "xgLK"; kMore.find(header[kTypeAt]) == kMore.npos) {
      names.emplace_back(header.c_str(), std::min(std::strlen(header.c_str()), kNameBytes));
    }
    std::uint64_t size = 0;
    const char* digits = header.data() + kSizeAt;
    const auto read = std::from_chars(digits, digits + kSizeDigits, size, 8);
    const auto next =
        checked_add(at, checked_add(size, 2 * kBlock - 1).value_or(0) / kBlock * kBlock);
    if (read.ec != std::errc() || !next || *next <= at) break;
    at = *next;
  }
  return names;
}

[[noreturn]] void refuse_tar(const InputFile& file) {
  const std::vector<std::string> members = tar_members(file);
  const auto has_member = [&](std::string_view name) {
    return std::ranges::count(members, name) != 0;
  };
  if (has_member("sys_info") && has_member("pickle") && has_member("storages")) {
    fail("tar", "is a tar archive, as PyTorch before 0.1.10 wrote checkpoints",
         "convert it in Python:\n"
         "import torch\n"
         "torch.save(torch.load('OLD', map_location='cpu', weights_only=False), 'NEW')");
  }
  fail("tar",
       "is a tar archive" + (members.empty() ? std::string() : " that holds " + list_text(members)),
       "unpack it and give the checkpoint inside");
}

}  // namespace

FileFormat recognize(const InputFile& file) {
  if (file.size() == 0) {
    fail("empty", "is empty", "the download or copy of it failed; get it again");
  }
  const std::string head =
      file.read_text(0, static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), kHeadBytes)));
  if (head.starts_with("PK\3\4")) return FileFormat::zip;
  constexpr std::size_t kTarMark = 257;
  if (head.size() > kTarMark && head.substr(kTarMark).starts_with("ustar")) refuse_tar(file);
  for (const Signature& signature : kSignatures) {
    if (has(head, signature)) {
      fail(signature.check, "is " + std::string(signature.what), std::string(signature.hint));
    }
  }
  if (is_safetensors(head, file.size())) {
    fail("safetensors", "is a safetensors file, which holds tensors but no configuration",
         "say with --config-from which model has the configuration, or give the checkpoint of the "
         "training run");
  }
  if (looks_like_pickle(head)) {
    if (is_legacy(file)) return FileFormat::legacy;
    fail("pickle", "is a pickle, but none that torch.save wrote",
         "load it where it comes from and save it with torch.save");
  }
  if (head.starts_with("PK\5\6")) {
    throw Error(ErrorKind::input, "zip.empty", "is a zip archive without records", kGiveCheckpoint);
  }
  refuse_text(head);
  if (has_zip_end(file)) {
    throw Error(ErrorKind::input, "zip.prefix", "is a zip archive with other bytes in front of it",
                "PyTorch does not read it either; get the file again from where it came from");
  }
  if (std::all_of(head.begin(), head.end(), [](char c) { return c == 0; })) {
    fail("zeros",
         "begins with nothing but zero bytes: space was reserved, but the contents never came",
         "get the file again; the download or copy stopped early");
  }
  const std::string_view first = std::string_view(head).substr(0, 8);
  fail("unknown",
       "is no checkpoint (first bytes: " +
           hex({reinterpret_cast<const std::uint8_t*>(first.data()), first.size()}) + ")",
       kGiveCheckpoint);
}

}  // namespace craftbundle
