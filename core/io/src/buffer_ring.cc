#include "craftbundle/detail/io/buffer_ring.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace craftbundle {
namespace {

// Handing a piece to a thread and back costs as much as hashing about this many bytes.
constexpr std::size_t kWorthAThread = 64 << 10;

constexpr std::size_t kBuffers = 4;

}  // namespace

BufferRing::BufferRing(std::vector<Use> uses, Use own)
    : own_(std::move(own)), buffers_(uses.empty() ? 1 : kBuffers) {
  for (Use& use : uses) workers_.push_back({std::move(use)});
}

BufferRing::~BufferRing() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  more_pushed_.notify_all();
  for (Worker& worker : workers_) {
    if (worker.thread.joinable()) worker.thread.join();
  }
}

std::span<std::byte> BufferRing::room() {
  Lock lock(mutex_);
  const std::uint64_t count = buffers_.size();
  const bool is_free = pushed_ < count || is_used(pushed_ - count + 1);
  // Whoever has to wait does so for half of the buffers: threads change half as often.
  wait_for(is_free ? 0 : pushed_ - count / 2, lock);
  Buffer& buffer = buffers_[pushed_ % count];
  lock.unlock();
  buffer.bytes.resize(kBufferSize);
  return buffer.bytes;
}

void BufferRing::push(std::size_t size) {
  Lock lock(mutex_);
  Buffer& buffer = buffers_[pushed_ % buffers_.size()];
  buffer.size = size;
  ++pushed_;
  for (Worker& worker : workers_) {
    if (worker.failure) continue;
    // A thread that is behind goes on in its order.
    const bool is_idle = worker.done + 1 == pushed_ && worker.begun == worker.done;
    const bool is_left_to_thread = size >= kWorthAThread ? start(worker) : !is_idle;
    if (!is_left_to_thread) use_next(worker, lock);
  }
  more_pushed_.notify_all();
  wait_for(0, lock);
  lock.unlock();
  if (own_) own_(std::span(buffer.bytes).first(size));
}

void BufferRing::finish() {
  Lock lock(mutex_);
  wait_for(pushed_, lock);
}

// Whether the first `pieces` are used, or never will be.
bool BufferRing::is_used(std::uint64_t pieces) const {
  return std::ranges::all_of(
      workers_, [pieces](const Worker& worker) { return worker.failure || worker.done >= pieces; });
}

// Throws what a use has thrown.
void BufferRing::wait_for(std::uint64_t pieces, Lock& lock) {
  wanted_ = pieces;
  enough_used_.wait(lock, [this] { return is_used(wanted_); });
  for (const Worker& worker : workers_) {
    if (worker.failure) std::rethrow_exception(worker.failure);
  }
}

// Returns whether it has a thread.
bool BufferRing::start(Worker& worker) {
  if (worker.thread.joinable() || !worker.can_start) return worker.can_start;
  try {
    worker.thread = std::thread([this, &worker] { run(worker); });
  } catch (const std::system_error&) {
    worker.can_start = false;
  }
  return worker.can_start;
}

void BufferRing::run(Worker& worker) {
  Lock lock(mutex_);
  while (!worker.failure) {
    more_pushed_.wait(lock, [&] { return stopping_ || worker.begun < pushed_; });
    if (stopping_) return;
    use_next(worker, lock);
    if (is_used(wanted_)) enough_used_.notify_one();
  }
}

// The lock is open while the piece is used.
void BufferRing::use_next(Worker& worker, Lock& lock) {
  const Buffer& buffer = buffers_[worker.begun % buffers_.size()];
  ++worker.begun;
  lock.unlock();
  std::exception_ptr failure;
  try {
    worker.use(std::span(buffer.bytes).first(buffer.size));
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  worker.failure = std::move(failure);
  ++worker.done;
}

}  // namespace craftbundle
