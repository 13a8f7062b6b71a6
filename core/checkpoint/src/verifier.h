// Checks the CRC-32 of storages on threads of its own, while the kernel copies the same bytes.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "craftbundle/detail/checkpoint/tensor_file.h"

namespace craftbundle {

// Throws Error(input, "zip.crc") unless `found` is the CRC-32 that the file gives for `storage`.
void require_crc(const Storage& storage, std::uint32_t found);

class Verifier {
 public:
  // Begins at once, in about this order, on as many threads as there are processors beside that of
  // the owner, up to four: more than that wait for the memory. REQUIRES: each storage has a CRC;
  // all outlive the object.
  explicit Verifier(std::vector<const Storage*> storages);
  Verifier(const Verifier&) = delete;
  Verifier& operator=(const Verifier&) = delete;
  // Gives up what is not checked yet.
  ~Verifier();

  // Whether something is wrong with a storage; finish() says what.
  bool failed() const { return failed_.load(std::memory_order_relaxed); }

  // Helps until all storages are checked, or one is not what it should be: throws what it is.
  void finish();

 private:
  void run() noexcept;
  void check(const Storage& storage, std::span<std::byte> buffer) const;
  void join();

  std::vector<const Storage*> storages_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  std::exception_ptr failure_;  // the first
  std::vector<std::thread> threads_;
};

}  // namespace craftbundle
