#include "appender.h"

#include <algorithm>
#include <cstring>

namespace craftbundle {
namespace {

// How much the kernel copies between two looks at the cancellation.
constexpr std::uint64_t kCopyStep = 8 << 20;

}  // namespace

Appender::Appender(OutputFile& file, std::uint64_t total, const WriteOptions& options)
    : file_(file), total_(total), options_(options), buffer_(kBufferSize) {}

std::span<std::byte> Appender::room(std::size_t minimum) {
  if (buffer_.size() - used_ < minimum) flush();
  return std::span(buffer_).subspan(used_);
}

void Appender::append(std::string_view text) {
  while (!text.empty()) {
    const auto space = room();
    const std::size_t size = std::min(space.size(), text.size());
    std::memcpy(space.data(), text.data(), size);
    filled(size);
    text.remove_prefix(size);
  }
}

void Appender::copy(const InputFile& source, std::uint64_t offset, std::uint64_t length) {
  flush();
  while (length > 0) {
    const std::uint64_t step = std::min(length, kCopyStep);
    options_.cancellation->check();
    file_.copy(source, offset, step);
    report();
    offset += step;
    length -= step;
  }
}

void Appender::flush() {
  options_.cancellation->check();
  file_.write(std::span(buffer_).first(used_));
  used_ = 0;
  report();
}

void Appender::report() const { options_.sink->progress({options_.task, file_.size(), total_}); }

}  // namespace craftbundle
