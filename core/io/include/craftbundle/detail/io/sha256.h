// SHA-256 of text and files, in hexadecimal.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/io/input_file.h"

namespace CRAFTBUNDLE_API craftbundle {

std::string sha256_of_text(std::string_view text);

// RFC 2104 with SHA-256: a digest that says nothing about `text` to those without `key`.
std::string hmac_sha256(std::string_view key, std::string_view text);

// Streams `file`, whatever its size. `progress` is told how many bytes were read so far. Throws as
// InputFile::read, "io.changed" when the file changed meanwhile, and Error(interrupted).
std::string sha256_of_file(const InputFile& file, const Cancellation& cancellation,
                           const std::function<void(std::uint64_t)>& progress = {});

}  // namespace craftbundle
