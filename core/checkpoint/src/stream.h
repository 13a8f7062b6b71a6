// Bytes handed from a producing thread to a consuming one through a few buffers, so that reading
// and checking run beside writing.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

namespace bundlecraft {

class ByteStream {
 public:
  // REQUIRES: buffers >= 2.
  ByteStream(std::size_t buffers, std::size_t buffer_size);
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  // Runs `produce` on a second thread and gives everything it appends to `consume`, in order, on
  // the calling thread, in pieces of up to a whole buffer. Returns when all was consumed. What
  // either of the two throws ends both and is thrown here; the thread has ended then. Call once.
  void run(const std::function<void(ByteStream&)>& produce,
           const std::function<void(std::span<const std::byte>)>& consume);

  // For the producer: at least `minimum` bytes of room to fill, waiting for the consumer if need
  // be. REQUIRES: minimum <= buffer size.
  std::span<std::byte> room(std::size_t minimum = 1);
  // For the producer: the first `size` bytes of the last room() are filled.
  void filled(std::size_t size) { used_ += size; }
  void append(std::string_view text);

 private:
  // Thrown in the producer when the consumer has given up.
  struct Stopped {};

  void produce_all(const std::function<void(ByteStream&)>& produce) noexcept;
  void hand_over();
  void stop();
  std::span<const std::byte> next();

  std::vector<std::vector<std::byte>> buffers_;
  std::vector<std::size_t> lengths_;  // of the buffers handed over
  std::size_t used_ = 0;              // of the buffer being filled; the producer's own

  std::mutex mutex_;
  std::condition_variable changed_;
  // Buffers ever handed over and ever taken; buffer i is at i modulo their number.
  std::size_t handed_over_ = 0;
  std::size_t taken_ = 0;
  bool finished_ = false;
  bool stopped_ = false;
  std::exception_ptr failure_;
};

}  // namespace bundlecraft
