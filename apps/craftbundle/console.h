// What the program says on standard error: log lines, progress, errors.
#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/json/json.h"

namespace craftbundle::app {

enum class LogFormat { text, json };

struct ConsoleOptions {
  LogFormat format = LogFormat::text;
  bool quiet = false;    // errors only
  bool verbose = false;  // debug lines too
  bool progress = true;
};

// "[########........] 50%" of a width in characters.
std::string bar_text(std::uint64_t done, std::uint64_t total, std::size_t width);

// On a terminal progress is drawn over; elsewhere a line now and then, so that
// logs stay short; with LogFormat::json every report is a JSON object on a line.
class Console final : public Sink {
 public:
  explicit Console(const ConsoleOptions& options);
  ~Console() override { erase_bar(); }

  void log(LogLevel level, std::string_view message) noexcept override;
  void progress(const Progress& progress) noexcept override;
  void error(const Error& error) noexcept;
  // The lines that error() writes.
  std::string error_text(const Error& error) const;

  // Whether people watch: standard error is a terminal, and progress is wanted.
  bool is_live() const { return terminal_ && progress_wanted() && !is_json(); }
  bool is_json() const { return options_.format == LogFormat::json; }
  // Columns of the terminal.
  static std::size_t width();

  // Lines below everything else that are drawn over by the next call; none erases them. Nothing
  // happens unless is_live().
  void show(std::vector<std::string> lines) noexcept;
  // What is wrong, in lines as they are; also when quiet.
  void problem(std::string_view text) noexcept;
  // A line for people, or with LogFormat::json an object; not when quiet.
  void line(std::string_view text) noexcept;
  void event(const Json& json) noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  void begin_task(const Progress& progress, Clock::time_point now);
  bool progress_wanted() const { return options_.progress && !options_.quiet; }
  void draw_bar(const Progress& progress, Clock::time_point now);
  void erase_bar() noexcept;
  // Erases the lines that are shown; redraw() brings them back.
  void redraw() noexcept;

  const ConsoleOptions options_;
  const bool terminal_;  // on which lines can be drawn over
  const bool coloured_;
  std::mutex mutex_;
  std::string task_;
  Clock::time_point task_start_;
  Clock::time_point last_shown_;
  std::vector<std::string> shown_;  // lines that are drawn over
  bool drawn_ = false;
};

}  // namespace craftbundle::app
