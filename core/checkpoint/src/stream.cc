#include "stream.h"

#include <algorithm>
#include <cstring>
#include <system_error>
#include <thread>

#include "bundlecraft/base/error.h"

namespace bundlecraft {

ByteStream::ByteStream(std::size_t buffers, std::size_t buffer_size)
    : buffers_(buffers, std::vector<std::byte>(buffer_size)), lengths_(buffers) {}

void ByteStream::run(const std::function<void(ByteStream&)>& produce,
                     const std::function<void(std::span<const std::byte>)>& consume) {
  std::thread producer;
  try {
    producer = std::thread([&] { produce_all(produce); });
  } catch (const std::system_error& error) {
    throw system_error(error.code().value(), "cannot start a thread");
  }
  try {
    for (auto bytes = next(); !bytes.empty(); bytes = next()) consume(bytes);
  } catch (...) {
    stop();
    producer.join();
    throw;
  }
  producer.join();
}

void ByteStream::produce_all(const std::function<void(ByteStream&)>& produce) noexcept {
  std::exception_ptr failure;
  try {
    produce(*this);
    if (used_ > 0) hand_over();
  } catch (const Stopped&) {
    return;
  } catch (...) {
    failure = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  failure_ = failure;
  finished_ = true;
  changed_.notify_all();
}

std::span<std::byte> ByteStream::room(std::size_t minimum) {
  const std::size_t size = buffers_.front().size();
  if (size - used_ < minimum) hand_over();
  if (used_ == 0) {
    std::unique_lock lock(mutex_);
    // The buffer taken last is still in the consumer's hands.
    changed_.wait(lock, [this] { return stopped_ || handed_over_ + 1 < taken_ + buffers_.size(); });
    if (stopped_) throw Stopped();
  }
  return std::span(buffers_[handed_over_ % buffers_.size()]).subspan(used_);
}

void ByteStream::append(std::string_view text) {
  while (!text.empty()) {
    const auto space = room();
    const std::size_t size = std::min(space.size(), text.size());
    std::memcpy(space.data(), text.data(), size);
    filled(size);
    text.remove_prefix(size);
  }
}

void ByteStream::hand_over() {
  const std::lock_guard lock(mutex_);
  lengths_[handed_over_ % buffers_.size()] = used_;
  ++handed_over_;
  used_ = 0;
  changed_.notify_all();
}

void ByteStream::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

std::span<const std::byte> ByteStream::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return finished_ || taken_ < handed_over_; });
  if (failure_) std::rethrow_exception(failure_);
  if (taken_ == handed_over_) return {};
  const std::size_t index = taken_ % buffers_.size();
  ++taken_;
  changed_.notify_all();
  return std::span(buffers_[index]).first(lengths_[index]);
}

}  // namespace bundlecraft
