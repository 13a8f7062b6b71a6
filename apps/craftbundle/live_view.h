// What people see while a run goes on.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "console.h"
#include "craftbundle/detail/pipeline/runner.h"

namespace craftbundle::app {

// On a terminal a line for each running stage (bar, bytes, speed, time left) and one for the run as
// a whole; elsewhere a line when a stage begins and one when it ends; with LogFormat::json an
// object for each event.
class LiveView final : public RunObserver {
 public:
  // `names` of all stages; `to_do` of them may run.
  LiveView(Console& console, std::vector<std::string> names, std::size_t to_do);
  ~LiveView() override;

  void started(std::size_t stage, int attempt, std::uint64_t bytes) noexcept override;
  void progress(std::size_t stage, const Progress& progress) noexcept override;
  void log(std::size_t stage, LogLevel level, std::string_view message) noexcept override;
  void retrying(std::size_t stage, const Error& error,
                std::chrono::milliseconds pause) noexcept override;
  void finished(std::size_t stage, const StageReport& report) noexcept override;

 private:
  using Clock = std::chrono::steady_clock;
  // A stage that runs. A stage may write several files one after the other.
  struct Running {
    std::size_t stage = 0;
    Clock::time_point begin;
    std::string task;
    std::uint64_t done = 0;    // of the task
    std::uint64_t total = 0;   // of the task; 0: unknown
    std::uint64_t before = 0;  // bytes of earlier tasks
    std::uint64_t forecast = 0;
    Clock::time_point told;  // last JSON line
  };

  Running* find(std::size_t stage);
  std::vector<std::string> lines() const;
  std::string line_of(const Running& running, std::size_t name_width) const;

  Console& console_;
  const std::vector<std::string> names_;
  const std::size_t to_do_;
  const Clock::time_point begin_ = Clock::now();
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::vector<Running> running_;
  std::size_t settled_ = 0;
  std::size_t failed_ = 0;
  std::uint64_t bytes_ = 0;
  bool ending_ = false;
  std::thread drawer_;
};

}  // namespace craftbundle::app
