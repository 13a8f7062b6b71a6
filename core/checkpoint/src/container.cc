#include "craftbundle/detail/checkpoint/container.h"

#include <algorithm>
#include <span>
#include <vector>

#include "archive.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/crc32.h"
#include "craftbundle/detail/io/sha256.h"

namespace craftbundle {
namespace {

void check_stored(const InputFile& file, const ArchiveRecord& record,
                  const Cancellation& cancellation,
                  const std::function<void(std::uint64_t)>& progress) {
  constexpr std::uint64_t kPiece = 1 << 20;
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(kPiece, record.size)));
  std::uint32_t crc = 0;
  for (std::uint64_t done = 0; done < record.size;) {
    cancellation.check();
    const auto length = static_cast<std::size_t>(std::min(kPiece, record.size - done));
    const std::span<std::byte> piece(buffer.data(), length);
    file.read(record.data_offset + done, piece);
    crc = crc32(crc, piece);
    done += length;
    if (progress) progress(done);
  }
  if (crc == record.crc) return;
  throw Error(ErrorKind::input, "zip.crc",
              "record " + quoted(record.name) + ": CRC-32 is " + std::to_string(crc) +
                  ", the directory says " + std::to_string(record.crc),
              "the file is damaged; get or make it again");
}

}  // namespace

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

std::uint64_t check_records(const InputFile& file, const Cancellation& cancellation,
                            const std::function<void(std::uint64_t)>& progress) {
  return with_context([&] { return path_text(file.path()); },
                      [&] {
                        const Archive archive(file);
                        std::uint64_t compared = 0;
                        std::uint64_t before = 0;
                        for (const ArchiveRecord& record : archive.records()) {
                          if (!record.has_crc()) continue;
                          if (record.deflated) {
                            cancellation.check();
                            archive.read(record);
                          } else {
                            check_stored(file, record, cancellation, [&](std::uint64_t done) {
                              if (progress) progress(before + done);
                            });
                          }
                          before += record.size;
                          ++compared;
                        }
                        return compared;
                      });
}

}  // namespace craftbundle
