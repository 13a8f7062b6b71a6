// Bytes that one thread produces and others use, each at its own pace.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/io/page_buffer.h"

namespace CRAFTBUNDLE_API craftbundle {

// A few buffers in a circle. The owner fills one while those before it are used; each use has a
// thread of its own and sees every piece, in order. So the whole takes as long as the slowest of
// filling and uses, and no longer. Small pieces are used by the owner, and so are all where no
// thread can be started. What only moves bytes is the owner's own use: it finds them in the cache
// of its processor, from which another would first have to fetch them.
//
// Thread: one owner.
class BufferRing {
 public:
  // May throw, which ends the ring: the owner's next call throws the same.
  using Use = std::function<void(std::span<const std::byte>)>;

  // `own` is called in push(), while the others use the same piece. What the uses refer to must
  // outlive the object.
  explicit BufferRing(std::vector<Use> uses, Use own = {});
  BufferRing(const BufferRing&) = delete;
  BufferRing& operator=(const BufferRing&) = delete;
  // Gives up what nobody has begun to use.
  ~BufferRing();

  // Room of kBufferSize bytes to fill; waits for those who use what it held. The same until
  // push(). Throws what a use has thrown.
  std::span<std::byte> room();
  // Hands on the first `size` bytes of the last room(). Throws as room(), and what `own` throws.
  void push(std::size_t size);
  // Waits until all that was pushed is used. Throws as room().
  void finish();

  // So large that handing one on takes little beside using it, and so small that what was read is
  // still in the second-level cache when it is written.
  static constexpr std::size_t kBufferSize = 256 << 10;

 private:
  struct Buffer {
    PageBuffer bytes;
    std::size_t size = 0;
  };
  struct Worker {
    Use use;
    std::uint64_t begun = 0;  // pieces
    std::uint64_t done = 0;
    std::exception_ptr failure = {};
    bool can_start = true;
    std::thread thread = {};
  };
  using Lock = std::unique_lock<std::mutex>;

  void run(Worker& worker);
  bool start(Worker& worker);
  void use_next(Worker& worker, Lock& lock);
  bool is_used(std::uint64_t pieces) const;
  void wait_for(std::uint64_t pieces, Lock& lock);

  Use own_;
  // Enough that a use which is behind for once holds nobody up; one where nobody can be.
  std::deque<Buffer> buffers_;
  std::mutex mutex_;
  std::condition_variable more_pushed_;
  std::condition_variable enough_used_;
  std::uint64_t pushed_ = 0;  // pieces
  std::uint64_t wanted_ = 0;  // pieces that the owner waits for
  bool stopping_ = false;
  std::deque<Worker> workers_;
};

}  // namespace craftbundle
