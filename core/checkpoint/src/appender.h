// Appends to a file through a few buffers, so that headers and small storages cost no system call
// each and what is read or computed is written meanwhile; lets the kernel copy what is large.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/io/output_file.h"

namespace craftbundle {

class Appender {
 public:
  // `total` is the size the file will have, for progress. Everything must outlive the object.
  Appender(OutputFile& file, std::uint64_t total, const WriteOptions& options);

  // At least `minimum` bytes of room to fill. REQUIRES: minimum <= BufferRing::kBufferSize.
  std::span<std::byte> room(std::size_t minimum = 1);
  // The first `size` bytes of the last room() are filled.
  void filled(std::size_t size) { used_ += size; }
  void append(std::string_view text);

  // Appends a part of another file, without looking at it, as OutputFile::copy() does.
  void copy(const InputFile& source, std::uint64_t offset, std::uint64_t length);

  // As OutputFile has it: what copy() reads here can be looked at on the way.
  bool leaves_to_kernel(const InputFile& source) const { return file_.leaves_to_kernel(source); }

  // Must be called after the last byte.
  void finish();

 private:
  void hand_on();
  void appended(std::uint64_t size);

  OutputFile& file_;
  std::uint64_t total_;
  const WriteOptions& options_;
  BufferRing ring_;
  std::size_t used_ = 0;        // of the buffer that is being filled
  std::uint64_t appended_ = 0;  // bytes before that
};

}  // namespace craftbundle
