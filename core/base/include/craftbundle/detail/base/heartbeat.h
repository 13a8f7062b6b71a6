// Progress of steps that cannot say how far they are while they are at work.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"

namespace CRAFTBUNDLE_API craftbundle {

// Reports a step that takes long again and again, from a thread of its own, which is done without
// where none can be started, and once more at its end. Of a step that is over in a moment nothing
// is reported, nor is the end of one that an exception ends. The sink must outlive it.
class Heartbeat {
 public:
  // `total`: bytes of the step, at least 1.
  Heartbeat(Sink& sink, std::string task, std::uint64_t total);
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;
  ~Heartbeat();

  // Any thread.
  void at(std::uint64_t done) { done_ = done; }

 private:
  void beat();

  Sink& sink_;
  const std::string task_;
  const std::uint64_t total_;
  const int exceptions_;
  std::atomic<std::uint64_t> done_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  bool reported_ = false;
  std::thread thread_;
};

}  // namespace craftbundle
