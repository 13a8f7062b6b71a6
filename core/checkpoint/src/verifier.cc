#include "verifier.h"

#include <algorithm>
#include <array>
#include <system_error>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/crc32.h"

namespace craftbundle {
namespace {

// Stays in the second-level cache between reading and summing.
constexpr std::size_t kBufferSize = 128 << 10;

std::string crc_text(std::uint32_t crc) {
  const std::array<std::uint8_t, 4> bytes = {
      static_cast<std::uint8_t>(crc >> 24), static_cast<std::uint8_t>(crc >> 16),
      static_cast<std::uint8_t>(crc >> 8), static_cast<std::uint8_t>(crc)};
  return hex(bytes);
}

}  // namespace

void require_crc(const Storage& storage, std::uint32_t found) {
  if (!storage.crc || *storage.crc == found) return;
  throw Error(ErrorKind::input, "zip.crc",
              path_text(storage.owner->file().path()) + ": record " +
                  quoted("data/" + storage.key) + ": CRC-32 of the data is " + crc_text(found) +
                  ", expected " + crc_text(*storage.crc),
              "the file is damaged: copy it again from where it was written");
}

Verifier::Verifier(std::vector<const Storage*> storages)
    : storages_(std::move(storages)), buffer_(kBufferSize) {
  if (storages_.empty()) return;
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error&) {
    // Too little memory for a thread: finish() checks.
  }
}

Verifier::~Verifier() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void Verifier::finish() {
  if (thread_.joinable()) {
    thread_.join();
  } else if (!is_done_) {
    run();
  }
  is_done_ = true;
  if (failure_) std::rethrow_exception(failure_);
}

void Verifier::run() noexcept {
  try {
    for (const Storage* storage : storages_) {
      if (stopping_) return;
      check(*storage);
    }
  } catch (...) {
    failure_ = std::current_exception();
    failed_ = true;
  }
}

void Verifier::check(const Storage& storage) {
  std::uint32_t crc = 0;
  for (std::uint64_t position = 0; position < storage.bytes;) {
    if (stopping_) return;
    const std::uint64_t size = std::min<std::uint64_t>(buffer_.size(), storage.bytes - position);
    const auto piece = std::span(buffer_).first(size);
    storage.owner->file().read(storage.file_offset + position, piece);
    crc = crc32(crc, piece);
    position += size;
  }
  require_crc(storage, crc);
}

}  // namespace craftbundle
