#include "craftbundle/detail/base/heartbeat.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <system_error>
#include <utility>

namespace craftbundle {
namespace {

using namespace std::chrono_literals;

// Consoles draw a task once it has gone on for a while: at half a second it is there.
constexpr auto kFirst = 300ms;
constexpr auto kNext = 200ms;

}  // namespace

Heartbeat::Heartbeat(Sink& sink, std::string task, std::uint64_t total)
    : sink_(sink),
      task_(std::move(task)),
      total_(std::max<std::uint64_t>(1, total)),
      exceptions_(std::uncaught_exceptions()) {
  try {
    thread_ = std::thread([this] { beat(); });
  } catch (const std::system_error&) {
    // Nothing but the reports is lost.
  }
}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (reported_ && std::uncaught_exceptions() == exceptions_) {
    sink_.progress({task_, total_, total_});
  }
}

void Heartbeat::beat() {
  std::unique_lock lock(mutex_);
  auto interval = kFirst;
  while (!changed_.wait_for(lock, interval, [this] { return over_; })) {
    // The end is for the end.
    sink_.progress({task_, std::min(done_.load(), total_ - 1), total_});
    reported_ = true;
    interval = kNext;
  }
}

}  // namespace craftbundle
