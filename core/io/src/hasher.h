// SHA-256 of a stream, computed beside the writes of the same bytes.
#pragma once

#include <openssl/evp.h>

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>

#include "craftbundle/detail/io/output_file.h"

namespace craftbundle {

class OutputFile::Hasher {
 public:
  Hasher();
  ~Hasher();

  // Hashes `bytes` during its lifetime, which must end before the bytes do. Large pieces are hashed
  // on a second thread, if one can be started, so that the owner can write them at the same time.
  class Pass {
   public:
    Pass(Hasher* hasher, std::span<const std::byte> bytes) : hasher_(hasher) {
      if (hasher_ != nullptr) hasher_->begin(bytes);
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    ~Pass() {
      if (hasher_ != nullptr) hasher_->wait();
    }

   private:
    Hasher* hasher_;
  };

  // Hexadecimal digest of everything hashed so far.
  std::string digest() const;

 private:
  void begin(std::span<const std::byte> bytes);
  void wait();
  void run();
  void update(std::span<const std::byte> bytes);

  struct FreeContext {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

  Context context_;
  bool failed_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::span<const std::byte> pending_;  // empty: nothing to do
  bool stopping_ = false;
  bool alone_ = false;  // no thread could be started
  std::thread thread_;  // started by the first large piece
};

}  // namespace craftbundle
