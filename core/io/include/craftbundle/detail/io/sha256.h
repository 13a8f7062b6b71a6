// SHA-256 of text and files, in hexadecimal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/io/input_file.h"

struct evp_md_ctx_st;  // OpenSSL's

namespace CRAFTBUNDLE_API craftbundle {

// SHA-256 of a stream. Throws Error(system, "run.memory") and Error(internal, "io.sha256").
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  // Digest of all bytes so far.
  std::string digest() const;

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string sha256_of_text(std::string_view text);

// RFC 2104 with SHA-256: a digest that says nothing about `text` to those without `key`.
std::string hmac_sha256(std::string_view key, std::string_view text);

// Streams `file`, whatever its size, as read_through() does (read_through.h).
std::string sha256_of_file(const InputFile& file, const Cancellation& cancellation,
                           const std::function<void(std::uint64_t)>& progress = {});

}  // namespace craftbundle
