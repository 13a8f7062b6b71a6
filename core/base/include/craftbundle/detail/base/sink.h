// How core talks to whoever runs it: log lines, progress and cancellation. Core never prints.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

enum class LogLevel { debug, info, warning };

// A step of a long operation. `done` and `total` are bytes; `total` is 0 while it is unknown.
struct Progress {
  std::string_view task;  // what is being written, for example the name of a file
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};

// Receives reports. Thread: both functions may be called from any thread, also concurrently; they
// must not throw and should return quickly. The default implementation ignores everything.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void log(LogLevel level, std::string_view message) noexcept;
  virtual void progress(const Progress& progress) noexcept;

  // A sink that ignores everything; lives for the whole process.
  static Sink& none();
};

// A flag that a signal handler or another thread sets and long operations look at.
// cancel() is async-signal-safe.
class Cancellation {
 public:
  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }

  // Throws Error(interrupted, "run.interrupted") once cancel() was called.
  void check() const;

  // Never cancelled; lives for the whole process.
  static const Cancellation& never();

 private:
  std::atomic<bool> cancelled_ = false;
};

}  // namespace craftbundle
