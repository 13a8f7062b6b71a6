#include "craftbundle/detail/pipeline/runner.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <list>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

#include "craftbundle/detail/base/fault.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

// Cancels attempts whose time is over, and all of them when the run is cancelled.
class Watch {
 public:
  explicit Watch(const Cancellation& run) : run_(run), thread_([this] { watch(); }) {}
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  // An attempt that is watched as long as the object lives.
  class Attempt {
   public:
    Attempt(Watch& watch, std::chrono::milliseconds timeout) : watch_(watch) {
      if (timeout.count() > 0) deadline_ = Clock::now() + timeout;
      const std::lock_guard lock(watch_.mutex_);
      watch_.attempts_.push_back(this);
    }
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;
    ~Attempt() {
      const std::lock_guard lock(watch_.mutex_);
      watch_.attempts_.remove(this);
    }
    const Cancellation& cancellation() const { return cancellation_; }
    bool timed_out() const { return timed_out_.load(); }

   private:
    friend class Watch;
    Watch& watch_;
    Cancellation cancellation_;
    std::atomic<bool> timed_out_ = false;
    std::optional<Clock::time_point> deadline_;
  };

 private:
  void watch() {
    // A signal handler sets the cancellation of the run and can wake nobody.
    constexpr auto kInterval = std::chrono::milliseconds(20);
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kInterval, [this] { return stopping_; })) {
      for (Attempt* attempt : attempts_) {
        if (run_.cancelled()) {
          attempt->cancellation_.cancel();
        } else if (attempt->deadline_ && Clock::now() >= *attempt->deadline_ &&
                   !attempt->cancellation_.cancelled()) {
          attempt->timed_out_ = true;
          attempt->cancellation_.cancel();
        }
      }
    }
  }

  const Cancellation& run_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Attempt*> attempts_;
  bool stopping_ = false;
  std::thread thread_;
};

// Passes what a stage says to the observer.
class StageSink final : public Sink {
 public:
  StageSink(RunObserver& observer, std::mutex& mutex, std::size_t stage)
      : observer_(observer), mutex_(mutex), stage_(stage) {}
  void log(LogLevel level, std::string_view message) noexcept override {
    const std::lock_guard lock(mutex_);
    observer_.log(stage_, level, message);
  }
  void progress(const Progress& progress) noexcept override {
    observer_.progress(stage_, progress);
  }

 private:
  RunObserver& observer_;
  std::mutex& mutex_;
  const std::size_t stage_;
};

std::string duration_text(std::chrono::milliseconds time) {
  std::string text = std::to_string(time.count() / 1000);
  if (time.count() % 1000 != 0) text = std::to_string(static_cast<double>(time.count()) / 1000);
  return text + " s";
}

class Runner {
 public:
  Runner(const std::vector<RunnerStage>& stages, StageWork& work, RunObserver& observer,
         const RunnerOptions& options, std::vector<StageReport>& reports)
      : stages_(stages),
        work_(work),
        observer_(observer),
        options_(options),
        reports_(reports),
        waiting_(stages.size()),
        dependents_(stages.size()),
        watch_(*options.cancellation) {}

  void run() {
    for (std::size_t i = 0; i < stages_.size(); ++i) {
      for (const GraphNode::Need& need : stages_[i].needs) {
        if (!is_pending(need.node)) continue;
        ++waiting_[i];
        dependents_[need.node].push_back(i);
      }
    }
    {
      const std::lock_guard lock(mutex_);
      for (std::size_t i = 0; i < stages_.size(); ++i) {
        if (is_pending(i) && waiting_[i] == 0) make_ready(i);
      }
    }
    work();
  }

 private:
  // Takes stages until none is left. Where memory is too short for as many threads as are wanted,
  // fewer do it.
  void work() {
    // Stages wait for disks more than they compute, so more threads than cores are fine.
    const auto wanted = static_cast<std::size_t>(std::max(1, options_.jobs));
    std::vector<std::jthread> threads;
    threads.reserve(wanted);
    try {
      while (threads.size() < wanted) {
        threads.emplace_back([this] { tasks_.run(); });
      }
    } catch (const std::system_error&) {
      if (threads.empty()) tasks_.run();
    }
  }

  bool is_pending(std::size_t stage) const { return reports_[stage].state == StageState::not_run; }

  // The task takes the first stage of the script that is ready, whichever that is then.
  void make_ready(std::size_t stage) {
    ready_.insert(stage);
    boost::asio::post(tasks_, [this] { take_one(); });
  }

  void take_one() {
    std::size_t stage = 0;
    {
      const std::lock_guard lock(mutex_);
      stage = *ready_.begin();
      ready_.erase(ready_.begin());
      if (stopped_ || options_.cancellation->cancelled()) return;
      if (const std::optional<std::string> reason = blocked(stage)) {
        reports_[stage].state = StageState::blocked;
        reports_[stage].reasons = {*reason};
        return settle(stage);
      }
    }
    attempt_until_done(stage);
    const std::lock_guard lock(mutex_);
    settle(stage);
  }

  std::optional<std::string> blocked(std::size_t stage) const {
    for (const GraphNode::Need& need : stages_[stage].needs) {
      const StageReport& other = reports_[need.node];
      const bool failed = other.state == StageState::failed;
      if (failed && !need.output && stages_[need.node].may_fail) continue;
      if (failed) return "needs " + other.name + ", which failed";
      if (other.state == StageState::blocked) return "needs " + other.name + ", which is blocked";
    }
    return std::nullopt;
  }

  // REQUIRES: mutex_ is held.
  void settle(std::size_t stage) {
    const StageReport& report = reports_[stage];
    const bool bad = report.state == StageState::failed && !stages_[stage].may_fail;
    if ((bad && !options_.keep_going) || report.state == StageState::interrupted) stopped_ = true;
    observer_.finished(stage, report);
    if (stopped_) return;
    for (const std::size_t dependent : dependents_[stage]) {
      if (--waiting_[dependent] == 0 && is_pending(dependent)) make_ready(dependent);
    }
  }

  void attempt_until_done(std::size_t stage) {
    StageReport& report = reports_[stage];
    StageReport result = report;
    const Clock::time_point begin = Clock::now();
    result.start = seconds_between(begin_, begin);
    std::chrono::milliseconds pause = options_.retry_pause;
    for (result.attempts = 1;; ++result.attempts) {
      attempt(stage, result);
      const bool again =
          result.state == StageState::failed && result.attempts <= stages_[stage].retries &&
          (result.error->kind() == ErrorKind::system || result.error->kind() == ErrorKind::plugin);
      if (!again || !wait(pause, stage, *result.error)) break;
      pause *= 2;
    }
    if (result.state != StageState::up_to_date) {
      result.seconds = seconds_between(begin, Clock::now());
    }
    const std::lock_guard lock(mutex_);
    report = std::move(result);
  }

  void attempt(std::size_t stage, StageReport& result) {
    {
      const std::lock_guard lock(mutex_);
      observer_.started(stage, result.attempts, stages_[stage].bytes);
    }
    StageSink sink(observer_, mutex_, stage);
    const Watch::Attempt watched(watch_, stages_[stage].timeout);
    result.error.reset();
    try {
      work_.run(stage, result, sink, watched.cancellation());
    } catch (const std::exception&) {
      fail(result, current_error());
    }
    if (result.error && result.error->kind() == ErrorKind::interrupted) {
      if (watched.timed_out()) {
        fail(result, Error(ErrorKind::system, "run.timeout",
                           "took longer than " + duration_text(stages_[stage].timeout) +
                               ", which 'timeout' allows"));
      } else {
        result.state = StageState::interrupted;
      }
    }
  }

  static void fail(StageReport& result, Error error) {
    result.state = StageState::failed;
    result.error = std::move(error);
  }

  // False when the run was cancelled meanwhile.
  bool wait(std::chrono::milliseconds pause, std::size_t stage, const Error& error) {
    {
      const std::lock_guard lock(mutex_);
      observer_.retrying(stage, error, pause);
    }
    const Clock::time_point end = Clock::now() + pause;
    while (Clock::now() < end) {
      if (options_.cancellation->cancelled()) return false;
      std::this_thread::sleep_for(
          std::min<Clock::duration>(std::chrono::milliseconds(20), end - Clock::now()));
    }
    return true;
  }

  const std::vector<RunnerStage>& stages_;
  StageWork& work_;
  RunObserver& observer_;
  const RunnerOptions& options_;
  std::vector<StageReport>& reports_;
  std::vector<std::size_t> waiting_;  // needs that are not settled
  std::vector<std::vector<std::size_t>> dependents_;
  const Clock::time_point begin_ = Clock::now();
  std::mutex mutex_;  // guards ready_, waiting_, reports_, stopped_, and calls of the observer
  std::set<std::size_t> ready_;
  bool stopped_ = false;
  Watch watch_;
  boost::asio::io_context tasks_;
};

}  // namespace

void run_stages(const std::vector<RunnerStage>& stages, StageWork& work, RunObserver& observer,
                const RunnerOptions& options, std::vector<StageReport>& reports) {
  Runner(stages, work, observer, options, reports).run();
}

}  // namespace craftbundle
