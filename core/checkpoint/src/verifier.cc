#include "verifier.h"

#include <algorithm>
#include <array>
#include <system_error>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/crc32.h"
#include "craftbundle/detail/io/page_buffer.h"

namespace craftbundle {
namespace {

// Stays in the second-level cache between reading and summing.
constexpr std::size_t kBufferSize = 128 << 10;

constexpr unsigned kMostThreads = 4;

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

Verifier::Verifier(std::vector<const Storage*> storages) : storages_(std::move(storages)) {
  const std::size_t beside =
      std::clamp(std::thread::hardware_concurrency(), 2U, kMostThreads + 1) - 1;
  try {
    while (threads_.size() < std::min(beside, storages_.size())) {
      threads_.emplace_back([this] { run(); });
    }
  } catch (const std::exception&) {
    // Too little memory for a thread: finish() checks what is left.
  }
}

Verifier::~Verifier() {
  stopping_ = true;
  join();
}

void Verifier::finish() {
  run();
  join();
  if (failure_) std::rethrow_exception(failure_);
}

void Verifier::join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Verifier::run() noexcept {
  try {
    PageBuffer buffer;
    for (std::size_t i = next_++; i < storages_.size() && !stopping_; i = next_++) {
      buffer.resize(kBufferSize);
      check(*storages_[i], buffer);
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
    failed_ = true;
    stopping_ = true;
  }
}

void Verifier::check(const Storage& storage, std::span<std::byte> buffer) const {
  std::uint32_t crc = 0;
  for (std::uint64_t position = 0; position < storage.bytes;) {
    if (stopping_) return;
    const std::uint64_t size = std::min<std::uint64_t>(buffer.size(), storage.bytes - position);
    const auto piece = buffer.first(static_cast<std::size_t>(size));
    storage.owner->file().read(storage.file_offset + position, piece);
    crc = crc32(crc, piece);
    position += size;
  }
  require_crc(storage, crc);
}

}  // namespace craftbundle
