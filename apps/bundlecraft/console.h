// What the program says on standard error: log lines, progress, errors.
#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <string_view>

#include "bundlecraft/base/error.h"
#include "bundlecraft/base/sink.h"

namespace bundlecraft::app {

enum class LogFormat { text, json };

struct ConsoleOptions {
  LogFormat format = LogFormat::text;
  bool quiet = false;    // errors only
  bool verbose = false;  // debug lines too
  bool progress = true;
};

// On a terminal progress is one line that is drawn over; elsewhere a line now and then, so that
// logs stay short; with LogFormat::json every report is a JSON object on a line.
class Console final : public Sink {
 public:
  explicit Console(const ConsoleOptions& options);
  ~Console() override { erase_bar(); }

  void log(LogLevel level, std::string_view message) noexcept override;
  void progress(const Progress& progress) noexcept override;
  void error(const Error& error) noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  void begin_task(const Progress& progress, Clock::time_point now);
  void draw_bar(const Progress& progress, Clock::time_point now);
  void erase_bar() noexcept;

  const ConsoleOptions options_;
  const bool terminal_;
  std::mutex mutex_;
  std::string task_;
  Clock::time_point task_start_;
  Clock::time_point last_shown_;
  bool bar_shown_ = false;
};

}  // namespace bundlecraft::app
