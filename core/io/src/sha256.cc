#include "craftbundle/detail/io/sha256.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/fault.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

void require(bool done) {
  if (done) return;
  if (ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE) throw memory_error();
  throw Error(ErrorKind::internal, "io.sha256", "SHA-256 could not be computed");
}

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    require(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void update(std::span<const std::byte> bytes) {
    require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  std::string finish() {
    std::array<std::uint8_t, 32> digest{};
    require(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1);
    return hex(digest);
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string sha256_of_text(std::string_view text) {
  Digest digest;
  digest.update(std::as_bytes(std::span(text)));
  return digest.finish();
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
  constexpr std::uint64_t kPiece = 1 << 20;
  Digest digest;
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(kPiece, file.size())));
  for (std::uint64_t done = 0; done < file.size();) {
    cancellation.check();
    const auto length = static_cast<std::size_t>(std::min(kPiece, file.size() - done));
    const std::span<std::byte> piece(buffer.data(), length);
    file.read(done, piece);
    digest.update(piece);
    done += length;
    if (progress) progress(done);
  }
  file.check_unchanged();
  return digest.finish();
}

}  // namespace craftbundle
