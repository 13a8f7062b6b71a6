// Appends to a file through one small buffer, so that headers and small storages cost no system
// call each, and lets the kernel copy what is large.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/io/output_file.h"

namespace craftbundle {

class Appender {
 public:
  // `total` is the size the file will have, for progress. Everything must outlive the object.
  Appender(OutputFile& file, std::uint64_t total, const WriteOptions& options);

  // At least `minimum` bytes of room to fill. REQUIRES: minimum <= kBufferSize.
  std::span<std::byte> room(std::size_t minimum = 1);
  // The first `size` bytes of the last room() are filled.
  void filled(std::size_t size) { used_ += size; }
  void append(std::string_view text);

  // Appends a part of another file, without looking at it.
  void copy(const InputFile& source, std::uint64_t offset, std::uint64_t length);

  // Must be called after the last byte.
  void flush();

  // Stays in the second-level cache between reading, checking and writing.
  static constexpr std::size_t kBufferSize = 128 << 10;

 private:
  void report() const;

  OutputFile& file_;
  std::uint64_t total_;
  const WriteOptions& options_;
  std::vector<std::byte> buffer_;
  std::size_t used_ = 0;
};

}  // namespace craftbundle
