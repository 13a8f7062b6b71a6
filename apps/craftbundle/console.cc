#include "console.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/json/json.h"
#include "style.h"

namespace craftbundle::app {
namespace {

using namespace std::chrono_literals;

constexpr auto kBarInterval = 100ms;
constexpr auto kLineInterval = 10s;
constexpr std::size_t kBarWidth = 24;
constexpr std::string_view kEraseLine = "\r\x1b[K";

// With what moves the cursor; all that others say comes as lines.
void write_sequence(std::string_view text) {
  // There is nobody left to tell when this fails.
  if (std::fwrite(text.data(), 1, text.size(), stderr) == text.size()) std::fflush(stderr);
}

// A terminal gets no byte that it would obey.
void write_line(std::string_view text) {
  const bool is_terminal = ::isatty(STDERR_FILENO) == 1;
  const bool has_marks = is_terminal || has_colours(STDERR_FILENO);
  write_sequence((has_marks ? shown_text(text, is_terminal) : std::string(text)) + "\n");
}

std::string percent(const Progress& progress) {
  return std::to_string(static_cast<int>(100.0 * static_cast<double>(progress.done) /
                                         static_cast<double>(progress.total))) +
         "%";
}

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "note";
    case LogLevel::warning:
      return "warning";
  }
  return "note";
}

}  // namespace

std::string bar_text(std::uint64_t done, std::uint64_t total, std::size_t width) {
  const double share = std::min(
      1.0, static_cast<double>(done) / static_cast<double>(std::max<std::uint64_t>(1, total)));
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(width));
  return "[" + std::string(filled, '#') + std::string(width - filled, '.') + "] " +
         std::to_string(static_cast<int>(100 * share)) + "%";
}

Console::Console(const ConsoleOptions& options)
    : options_(options),
      terminal_(is_cursor_terminal(STDERR_FILENO)),
      coloured_(options.format == LogFormat::text && has_colours(STDERR_FILENO)) {}

void Console::log(LogLevel level, std::string_view message) noexcept try {
  if (options_.quiet || (level == LogLevel::debug && !options_.verbose)) return;
  if (is_json()) {
    return event({{"event", "log"}, {"level", to_string(level)}, {"message", message}});
  }
  const Tone tone = level == LogLevel::warning ? Tone::warning : Tone::faint;
  line(paint(tone, std::string(to_string(level)) + ":", coloured_) + " " + std::string(message));
} catch (...) {
  // Out of memory: the line is lost, the work goes on.
}

void Console::progress(const Progress& progress) noexcept try {
  if (options_.quiet || !options_.progress) return;
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  const bool first = progress.task != task_;
  if (first) begin_task(progress, now);
  const bool complete = progress.done >= progress.total;
  const bool json = options_.format == LogFormat::json;
  const auto interval = json || terminal_ ? Clock::duration(kBarInterval) : kLineInterval;
  if (!(json && (first || complete)) && now - last_shown_ < interval) {
    if (complete) erase_bar();
    return;
  }
  last_shown_ = now;
  if (json) {
    write_line(json_line({{"event", "progress"},
                          {"task", progress.task},
                          {"done", progress.done},
                          {"total", progress.total}}));
  } else if (terminal_) {
    draw_bar(progress, now);
    if (complete) erase_bar();
  } else if (!complete) {
    write_line(printable(progress.task) + ": " + percent(progress) + " of " +
               human_bytes(progress.total));
  }
} catch (...) {
  // As in log().
}

void Console::error(const Error& error) noexcept try {
  const std::lock_guard lock(mutex_);
  erase_bar();
  write_line(error_text(error));
} catch (...) {
  write_sequence("error: out of memory\n");
}

std::string Console::error_text(const Error& error) const {
  if (is_json()) {
    Json json = error_json(error);
    json["event"] = "error";
    return json_line(json);
  }
  std::string text = paint(Tone::error, "error:", coloured_) + " " + error.message() + " " +
                     paint(Tone::faint, "[" + error.code() + "]", coloured_);
  if (!error.hint().empty()) {
    text += "\n  " + paint(Tone::hint, "hint:", coloured_) + " " + error.hint();
  }
  return text;
}

void Console::begin_task(const Progress& progress, Clock::time_point now) {
  task_ = progress.task;
  task_start_ = now;
  last_shown_ = now;
}

void Console::draw_bar(const Progress& progress, Clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - task_start_).count();
  const double rate = seconds > 0 ? static_cast<double>(progress.done) / seconds : 0;
  std::string line = printable(progress.task, 40);
  if (progress.total > 0) line += " " + bar_text(progress.done, progress.total, kBarWidth);
  // Some steps cannot say how far they are before they are done.
  line +=
      " " + (rate > 0 ? human_bytes(static_cast<std::uint64_t>(rate)) + "/s" : clock_text(seconds));
  if (rate > 0 && progress.total > progress.done) {
    line += " ETA " + clock_text(static_cast<double>(progress.total - progress.done) / rate);
  }
  erase_bar();
  shown_ = {std::move(line)};
  redraw();
}

void Console::erase_bar() noexcept {
  if (drawn_) {
    std::string text(kEraseLine);
    for (std::size_t i = 1; i < shown_.size(); ++i) text += "\x1b[A" + std::string(kEraseLine);
    write_sequence(text);
  }
  drawn_ = false;
}

void Console::redraw() noexcept {
  std::string text;
  for (const std::string& line : shown_) {
    // A line that wraps cannot be drawn over.
    text += (text.empty() ? "" : "\n") + printable_lines(line.substr(0, width() - 1));
  }
  if (text.empty()) return;
  write_sequence(text);
  drawn_ = true;
}

std::size_t Console::width() {
  const std::size_t columns = columns_of(STDERR_FILENO);
  return columns == 0 ? 80 : columns;
}

void Console::show(std::vector<std::string> lines) noexcept try {
  if (!is_live()) return;
  const std::lock_guard lock(mutex_);
  erase_bar();
  shown_ = std::move(lines);
  redraw();
} catch (...) {
  // As in log().
}

void Console::problem(std::string_view text) noexcept try {
  const std::lock_guard lock(mutex_);
  erase_bar();
  write_line(text);
} catch (...) {
  // As in log().
}

void Console::line(std::string_view text) noexcept try {
  if (options_.quiet) return;
  const std::lock_guard lock(mutex_);
  const bool was_drawn = drawn_;
  erase_bar();
  write_line(text);
  if (was_drawn) redraw();
} catch (...) {
  // As in log().
}

void Console::event(const Json& json) noexcept try {
  if (!options_.quiet) line(json_line(json));
} catch (...) {
  // As in log().
}

}  // namespace craftbundle::app
