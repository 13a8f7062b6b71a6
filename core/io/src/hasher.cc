#include "hasher.h"

#include <openssl/err.h>

#include <array>
#include <system_error>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/fault.h"

namespace craftbundle {
namespace {

// Handing a piece to the other thread and back costs as much as hashing about this many bytes.
constexpr std::size_t kWorthAThread = 64 << 10;

Error hash_error() {
  if (ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE) return memory_error();
  return Error(ErrorKind::internal, "io.sha256", "SHA-256 could not be computed");
}

}  // namespace

OutputFile::Hasher::Hasher() : context_(EVP_MD_CTX_new()) {
  if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) {
    throw hash_error();
  }
}

OutputFile::Hasher::~Hasher() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::string OutputFile::Hasher::digest() const {
  const Context copy(EVP_MD_CTX_new());
  std::array<std::uint8_t, 32> digest{};
  if (failed_ || !copy || EVP_MD_CTX_copy_ex(copy.get(), context_.get()) != 1 ||
      EVP_DigestFinal_ex(copy.get(), digest.data(), nullptr) != 1) {
    throw hash_error();
  }
  return hex(digest);
}

void OutputFile::Hasher::begin(std::span<const std::byte> bytes) {
  if (bytes.size() < kWorthAThread || alone_) return update(bytes);
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread(&Hasher::run, this);
    } catch (const std::system_error&) {
      alone_ = true;
      return update(bytes);
    }
  }
  {
    const std::lock_guard lock(mutex_);
    pending_ = bytes;
  }
  changed_.notify_all();
}

void OutputFile::Hasher::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return pending_.empty(); });
}

void OutputFile::Hasher::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !pending_.empty(); });
    if (stopping_) return;
    lock.unlock();
    update(pending_);
    lock.lock();
    pending_ = {};
    changed_.notify_all();
  }
}

void OutputFile::Hasher::update(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) failed_ = true;
}

}  // namespace craftbundle
