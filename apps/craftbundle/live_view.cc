#include "live_view.h"

#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/json/json.h"
#include "style.h"

namespace craftbundle::app {
namespace {

using namespace std::chrono_literals;

constexpr auto kDrawInterval = 150ms;
constexpr auto kTellInterval = 500ms;

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

LiveView::LiveView(Console& console, std::vector<std::string> names, std::size_t to_do)
    : console_(console), names_(std::move(names)), to_do_(to_do) {
  if (!console_.is_live()) return;
  try {
    drawer_ = std::thread([this] {
      std::unique_lock lock(mutex_);
      while (!ended_.wait_for(lock, kDrawInterval, [this] { return ending_; })) {
        console_.show(lines());
      }
    });
  } catch (const std::system_error&) {
    // Nothing is drawn, the work goes on.
  }
}

LiveView::~LiveView() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ended_.notify_all();
  if (drawer_.joinable()) drawer_.join();
  console_.show({});
}

LiveView::Running* LiveView::find(std::size_t stage) {
  for (Running& running : running_) {
    if (running.stage == stage) return &running;
  }
  return nullptr;
}

void LiveView::started(std::size_t stage, int attempt, std::uint64_t bytes) noexcept try {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(running_, [&](const Running& other) { return other.stage == stage; });
    Running running;
    running.stage = stage;
    running.begin = Clock::now();
    running.told = running.begin;
    running.forecast = bytes;
    running_.push_back(std::move(running));
  }
  if (console_.is_json()) {
    console_.event({{"event", "stage_started"}, {"stage", names_[stage]}, {"attempt", attempt}});
  } else if (!console_.is_live()) {
    console_.line(names_[stage] + ": started" +
                  (attempt > 1 ? ", attempt " + std::to_string(attempt) : std::string()));
  }
} catch (...) {
  // Out of memory: nothing is shown, the work goes on.
}

void LiveView::progress(std::size_t stage, const Progress& progress) noexcept try {
  const std::lock_guard lock(mutex_);
  Running* running = find(stage);
  if (running == nullptr) return;
  if (progress.task != running->task) {
    running->before += running->done;
    running->task = progress.task;
  }
  running->done = progress.done;
  running->total = progress.total;
  if (!console_.is_json() || Clock::now() - running->told < kTellInterval) return;
  running->told = Clock::now();
  console_.event({{"event", "stage_progress"},
                  {"stage", names_[stage]},
                  {"task", printable(progress.task)},
                  {"done", progress.done},
                  {"total", progress.total}});
} catch (...) {
  // As in started().
}

void LiveView::log(std::size_t stage, LogLevel level, std::string_view message) noexcept try {
  console_.log(level, names_[stage] + ": " + std::string(message));
} catch (...) {
  // As in started().
}

void LiveView::retrying(std::size_t stage, const Error& error,
                        std::chrono::milliseconds pause) noexcept try {
  if (console_.is_json()) {
    Json json = error_json(error);
    json["event"] = "stage_retrying";
    json["stage"] = names_[stage];
    return console_.event(json);
  }
  console_.line(paint(Tone::warning, "warning:", has_colours(STDERR_FILENO)) + " " + names_[stage] +
                ": " + error.message() + " [" + error.code() + "]; trying again in " +
                seconds_text(static_cast<double>(pause.count()) / 1000));
} catch (...) {
  // As in started().
}

void LiveView::finished(std::size_t stage, const StageReport& report) noexcept try {
  std::vector<std::string> still_running;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(running_, [&](const Running& running) { return running.stage == stage; });
    ++settled_;
    if (report.state == StageState::failed) ++failed_;
    if (report.state == StageState::done) bytes_ += report.result.bytes;
    still_running = lines();
  }
  console_.show(std::move(still_running));
  if (console_.is_json()) {
    Json json = {{"event", "stage_finished"},
                 {"stage", report.name},
                 {"state", to_string(report.state)},
                 {"seconds", report.seconds},
                 {"bytes", report.result.bytes}};
    if (report.error) json["error"] = error_json(*report.error);
    return console_.event(json);
  }
  const bool failed = report.state == StageState::failed;
  const Tone tone = failed                             ? Tone::error
                    : report.state == StageState::done ? Tone::good
                                                       : Tone::faint;
  std::string line =
      report.name + ": " + paint(tone, to_string(report.state), has_colours(STDERR_FILENO));
  if (report.state == StageState::done) {
    line += " in " + seconds_text(report.seconds);
    if (report.result.bytes > 0) line += ", " + human_bytes(report.result.bytes);
  } else if (report.error) {
    line += ": " + report.error->message() + " [" + report.error->code() + "]";
    if (report.may_fail) line += " (allowed)";
  } else if (!report.reasons.empty()) {
    line += ": " + report.reasons.front();
  }
  console_.line(line);
} catch (...) {
  // As in started().
}

std::vector<std::string> LiveView::lines() const {
  std::size_t width = 0;
  for (const Running& running : running_) width = std::max(width, names_[running.stage].size());
  std::vector<std::string> lines;
  for (const Running& running : running_) {
    lines.push_back(line_of(running, std::min<std::size_t>(width, 32)));
  }
  std::string total = std::to_string(settled_) + " of " + std::to_string(to_do_) + " stages";
  if (failed_ > 0) total += ", " + std::to_string(failed_) + " failed";
  total += ", " + std::to_string(running_.size()) + " running";
  std::uint64_t bytes = bytes_;
  for (const Running& running : running_) bytes += running.before + running.done;
  if (bytes > 0) total += ", " + human_bytes(bytes);
  lines.push_back(total + ", " + clock_text(seconds_since(begin_)));
  return lines;
}

std::string LiveView::line_of(const Running& running, std::size_t name_width) const {
  std::string line = "  " + names_[running.stage];
  if (line.size() < name_width + 2) line.append(name_width + 2 - line.size(), ' ');
  const double seconds = seconds_since(running.begin);
  const std::uint64_t done = running.before + running.done;
  // The forecast counts the whole stage, a task only one of its files.
  const std::uint64_t total =
      std::max(running.forecast, running.before + std::max(running.total, running.done));
  if (done == 0 || total == 0) return line + "  " + clock_text(seconds);
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  line += "  " + bar_text(done, total, 20) + "  " + human_bytes(done) + "  " +
          human_bytes(static_cast<std::uint64_t>(rate)) + "/s";
  if (rate > 0 && total > done) {
    line += "  ETA " + clock_text(static_cast<double>(total - done) / rate);
  }
  return line;
}

}  // namespace craftbundle::app
