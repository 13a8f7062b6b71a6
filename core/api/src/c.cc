#include "craftbundle/c.h"

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "craftbundle/craftbundle.h"
#include "craftbundle/detail/base/fault.h"
#include "craftbundle/detail/json/json.h"
#include "operations.h"
#include "options.h"

namespace craftbundle {
namespace {

// What a host tells, as of plugins that it refuses, is told to the call whose thread it is.
thread_local Sink* sink_of_call = nullptr;

class SinkOfCall final : public Sink {
 public:
  void log(LogLevel level, std::string_view message) noexcept override {
    if (sink_of_call != nullptr) sink_of_call->log(level, message);
  }
};

// The plugins, once they have been looked for.
class Installation {
 public:
  explicit Installation(std::string options) : options_(std::move(options)) {}

  // Looks for them when nobody has. `searching` is called with what cancels the search, and with
  // nullptr at its end.
  template <typename Searching>
  const Host& host(Searching searching) {
    const std::scoped_lock lock(mutex_);
    if (!found_) {
      auto found = std::make_unique<Found>();
      Host::Options options;
      options.search = search();
      options.sink = &sink_;
      options.cancellation = &found->cancellation;
      searching(&found->cancellation);
      try {
        found->host.emplace(std::move(options));
      } catch (...) {
        searching(nullptr);
        throw;
      }
      searching(nullptr);
      found_ = std::move(found);
    }
    return *found_->host;
  }

 private:
  struct Found {
    Cancellation cancellation;  // of the search
    std::optional<Host> host;
  };

  PluginSearch search() const {
    const Json json = options_.empty() ? Json::object() : parse_json(options_, "host");
    Options options(json);
    PluginSearch search;
    // The process is somebody else's program: what lies beside it is not ours.
    search.program = false;
    for (const std::string& directory : options.texts("plugin-dir")) {
      search.directories.push_back(absolute_path(directory).lexically_normal());
    }
    options.finish();
    return search;
  }

  const std::string options_;
  SinkOfCall sink_;
  std::mutex mutex_;
  std::unique_ptr<Found> found_;
};

constexpr const char* kOutOfMemory =
    R"({"event": "end", "error": {"kind": "system", "code": "run.memory", )"
    R"("message": "out of memory", "hint": "", "contexts": [], "subject": ""}})";

Json full_error_json(const Error& error) {
  Json json = error_json(error);
  json["contexts"] = error.contexts();
  json["subject"] = error.subject();
  return json;
}

}  // namespace
}  // namespace craftbundle

struct craftbundle_host {
  std::shared_ptr<craftbundle::Installation> installation;
};

struct craftbundle_call final : craftbundle::Sink {
 public:
  craftbundle_call(std::shared_ptr<craftbundle::Installation> installation, std::string operation,
                   std::string options)
      : installation_(std::move(installation)),
        operation_(std::move(operation)),
        options_(std::move(options)) {}
  craftbundle_call(const craftbundle_call&) = delete;
  craftbundle_call& operator=(const craftbundle_call&) = delete;
  ~craftbundle_call() override {
    cancel();
    if (thread_.joinable()) thread_.join();
  }

  void start() {
    // Signals are for the threads of whoever calls.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::exception&) {
      end_with(craftbundle::current_error());
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  // Used instead of start().
  void end_with(const craftbundle::Error& error) { end({{}, error}); }

  void cancel() noexcept {
    const std::scoped_lock lock(mutex_);
    cancellation_.cancel();
    if (search_ != nullptr) search_->cancel();
  }

  const char* next(int milliseconds) {
    std::unique_lock lock(mutex_);
    const auto is_there = [&] { return !events_.empty() || ended_; };
    if (milliseconds < 0) {
      changed_.wait(lock, is_there);
    } else {
      changed_.wait_for(lock, std::chrono::milliseconds(milliseconds), is_there);
    }
    if (events_.empty()) {
      return std::exchange(lost_end_, false) ? craftbundle::kOutOfMemory : nullptr;
    }
    shown_ = craftbundle::json_line(events_.front());
    events_.pop_front();
    return shown_.c_str();
  }

  void log(craftbundle::LogLevel level, std::string_view message) noexcept override {
    using craftbundle::LogLevel;
    const char* const word = level == LogLevel::debug  ? "debug"
                             : level == LogLevel::info ? "info"
                                                       : "warning";
    tell([&]() -> craftbundle::Json {
      return {{"event", "log"}, {"level", word}, {"message", message}};
    });
  }

  void progress(const craftbundle::Progress& progress) noexcept override {
    tell([&]() -> craftbundle::Json {
      return {{"event", "progress"},
              {"task", progress.task},
              {"done", progress.done},
              {"total", progress.total}};
    });
  }

 private:
  void run() noexcept {
    craftbundle::sink_of_call = this;
    try {
      try {
        end(result());
      } catch (const std::exception&) {
        end({{}, craftbundle::current_error()});
      }
    } catch (const std::bad_alloc&) {
      // next() says so.
      const std::scoped_lock lock(mutex_);
      ended_ = lost_end_ = true;
      changed_.notify_all();
    }
  }

  craftbundle::OperationEnd result() {
    using craftbundle::Json;
    const Json options =
        options_.empty() ? Json::object() : craftbundle::parse_json(options_, "options");
    const craftbundle::Host& host = installation_->host([this](craftbundle::Cancellation* search) {
      const std::scoped_lock lock(mutex_);
      search_ = search;
      if (search_ != nullptr && cancellation_.cancelled()) search_->cancel();
    });
    // Whatever the host does for this thread heeds this call's cancellation.
    const craftbundle::StageScope scope(&cancellation_, std::nullopt);
    return craftbundle::perform(operation_, options, {host, *this, cancellation_});
  }

  void end(const craftbundle::OperationEnd& end) {
    craftbundle::Json event = {{"event", "end"}};
    if (!end.result.is_null()) event["result"] = end.result;
    if (end.error) event["error"] = craftbundle::full_error_json(*end.error);
    const std::scoped_lock lock(mutex_);
    events_.push_back(std::move(event));
    ended_ = true;
    changed_.notify_all();
  }

  // What does not fit into memory is not told.
  template <typename Event>
  void tell(Event event) noexcept {
    try {
      add(event());
    } catch (const std::bad_alloc&) {
    }
  }

  void add(craftbundle::Json event) {
    const std::scoped_lock lock(mutex_);
    for (auto known = events_.rbegin(); known != events_.rend(); ++known) {
      if ((*known)["event"] != "progress" || event["event"] != "progress") continue;
      if ((*known)["task"] != event["task"]) continue;
      *known = std::move(event);
      return;
    }
    events_.push_back(std::move(event));
    changed_.notify_all();
  }

  const std::shared_ptr<craftbundle::Installation> installation_;
  const std::string operation_;
  const std::string options_;
  craftbundle::Cancellation cancellation_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<craftbundle::Json> events_;
  bool ended_ = false;
  bool lost_end_ = false;  // there was no memory for the last event
  craftbundle::Cancellation* search_ = nullptr;
  std::string shown_;  // only next() uses it
  std::thread thread_;
};

namespace {

std::string text_or_empty(const char* text) { return text == nullptr ? std::string() : text; }

}  // namespace

int craftbundle_c_version() { return CRAFTBUNDLE_C_VERSION; }
const char* craftbundle_version() { return CRAFTBUNDLE_VERSION; }

craftbundle_host* craftbundle_host_new(const char* options) {
  try {
    return new craftbundle_host{
        std::make_shared<craftbundle::Installation>(text_or_empty(options))};
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void craftbundle_host_free(craftbundle_host* host) { delete host; }

craftbundle_call* craftbundle_start(craftbundle_host* host, const char* operation,
                                    const char* options) {
  try {
    auto call =
        std::make_unique<craftbundle_call>(host == nullptr ? nullptr : host->installation,
                                           text_or_empty(operation), text_or_empty(options));
    if (host == nullptr || operation == nullptr) {
      call->end_with(
          craftbundle::Error(craftbundle::ErrorKind::usage, "call.null",
                             host == nullptr ? "the host is NULL" : "the operation is NULL"));
    } else {
      call->start();
    }
    return call.release();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

const char* craftbundle_next(craftbundle_call* call, int milliseconds) {
  try {
    return call == nullptr ? nullptr : call->next(milliseconds);
  } catch (const std::bad_alloc&) {
    return craftbundle::kOutOfMemory;
  }
}

void craftbundle_cancel(craftbundle_call* call) {
  if (call != nullptr) call->cancel();
}

void craftbundle_call_free(craftbundle_call* call) { delete call; }
