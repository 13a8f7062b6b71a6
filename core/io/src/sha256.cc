#include "craftbundle/detail/io/sha256.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/fault.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/read_through.h"

namespace craftbundle {
namespace {

void require(bool done) {
  if (done) return;
  if (ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE) throw memory_error();
  throw Error(ErrorKind::internal, "io.sha256", "SHA-256 could not be computed");
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  require(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
}

void Sha256::update(std::span<const std::byte> bytes) {
  require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

std::string Sha256::digest() const {
  Sha256 copy;
  std::array<std::uint8_t, 32> digest{};
  require(EVP_MD_CTX_copy_ex(copy.context_.get(), context_.get()) == 1 &&
          EVP_DigestFinal_ex(copy.context_.get(), digest.data(), nullptr) == 1);
  return hex(digest);
}

std::string sha256_of_text(std::string_view text) {
  Sha256 sum;
  sum.update(std::as_bytes(std::span(text)));
  return sum.digest();
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
  std::array<std::uint8_t, 32> digest{};
  require(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
               reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(),
               nullptr) != nullptr);
  return hex(digest);
}

std::string sha256_of_file(const InputFile& file, const Cancellation& cancellation,
                           const std::function<void(std::uint64_t)>& progress) {
  Sha256 sum;
  read_through(file, {[&sum](std::span<const std::byte> bytes) { sum.update(bytes); }},
               cancellation, progress);
  return sum.digest();
}

}  // namespace craftbundle
