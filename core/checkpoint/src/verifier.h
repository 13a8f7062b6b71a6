// Checks the CRC-32 of storages on a thread of its own, while the kernel copies the same bytes.
#pragma once

#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "craftbundle/detail/checkpoint/tensor_file.h"

namespace craftbundle {

// Throws Error(input, "zip.crc") unless `found` is the CRC-32 that the file gives for `storage`.
void require_crc(const Storage& storage, std::uint32_t found);

class Verifier {
 public:
  // Begins at once, in this order; when no thread can be started, in finish(). REQUIRES: each
  // storage has a CRC; all outlive the object.
  explicit Verifier(std::vector<const Storage*> storages);
  Verifier(const Verifier&) = delete;
  Verifier& operator=(const Verifier&) = delete;
  // Gives up what is not checked yet.
  ~Verifier();

  // Whether something is wrong with a storage; finish() says what.
  bool failed() const { return failed_.load(std::memory_order_relaxed); }

  // Waits until all storages are checked, or one is not what it should be: throws what it is.
  void finish();

 private:
  void run() noexcept;
  void check(const Storage& storage);

  std::vector<const Storage*> storages_;
  std::vector<std::byte> buffer_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> failed_ = false;
  std::exception_ptr failure_;
  bool is_done_ = false;  // finish() was called
  std::thread thread_;
};

}  // namespace craftbundle
