#include "appender.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace craftbundle {
namespace {

// How much the kernel copies between two looks at the cancellation. Whole blocks, so that each but
// the first and the last step can be shared as a whole.
constexpr std::uint64_t kCopyStep = 8 << 20;
static_assert(kCopyStep % kBlockSize == 0);

}  // namespace

Appender::Appender(OutputFile& file, std::uint64_t total, const WriteOptions& options)
    : file_(file), total_(total), options_(options), ring_(file.pipe()) {}

std::span<std::byte> Appender::room(std::size_t minimum) {
  if (BufferRing::kBufferSize - used_ < minimum) hand_on();
  return ring_.room().subspan(used_);
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
  // What has to be hashed and cannot be shared is read here, while what was read is written.
  const bool lies_alike = offset % kBlockSize == (appended_ + used_) % kBlockSize;
  const bool in_kernel = leaves_to_kernel(source) && (lies_alike || !file_.is_hashed());
  if (in_kernel) finish();
  while (length > 0) {
    std::uint64_t step = std::min(length, kCopyStep - offset % kBlockSize);
    if (in_kernel) {
      options_.cancellation->check();
      file_.copy(source, offset, step);
      appended(step);
    } else {
      const std::span<std::byte> space = room();
      step = std::min<std::uint64_t>(step, space.size());
      source.read(offset, space.first(static_cast<std::size_t>(step)));
      filled(static_cast<std::size_t>(step));
    }
    offset += step;
    length -= step;
  }
}

void Appender::finish() {
  hand_on();
  ring_.finish();
}

void Appender::hand_on() {
  options_.cancellation->check();
  if (used_ == 0) return;
  ring_.push(used_);
  appended(std::exchange(used_, 0));
}

void Appender::appended(std::uint64_t size) {
  appended_ += size;
  options_.sink->progress({options_.task, appended_, total_});
}

}  // namespace craftbundle
