#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <optional>
#include <string_view>
#include <thread>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/descriptor.h"
#include "place.h"

namespace craftbundle {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kAnswerMark = "craftbundle-scan answers ";
constexpr std::size_t kMaxAnswerBytes = 4 << 20;
// How often a wait looks at the cancellation flag.
constexpr std::chrono::milliseconds kPollStep{50};
// How often a child that closed its end is asked whether it has ended.
constexpr std::chrono::milliseconds kEndStep{1};

// What a dying copy printed last, at most.
constexpr std::size_t kLastWords = 400;

// Whom a child's end is blamed on.
struct Culprit {
  std::string context;   // "/path/x.so"
  std::string function;  // "probe() ", or nothing

  Error error(std::string_view code, const std::string& what) const {
    return Error(ErrorKind::plugin, code, function + what).add_context(context);
  }
};

// What posix_spawn is told: descriptors, a process group of its own, default signals.
class SpawnSetup {
 public:
  SpawnSetup(int answer_fd, bool show_output) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
    // First, in case the pipe got one of the standard descriptors.
    ::posix_spawn_file_actions_adddup2(&actions_, answer_fd, kAnswerDescriptor);
    ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (show_output) {
      ::posix_spawn_file_actions_adddup2(&actions_, STDERR_FILENO, STDOUT_FILENO);
    } else {
      ::posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
      ::posix_spawn_file_actions_addopen(&actions_, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    }
    ::posix_spawn_file_actions_addclosefrom_np(&actions_, kAnswerDescriptor + 1);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
  ~SpawnSetup() {
    ::posix_spawnattr_destroy(&attributes_);
    ::posix_spawn_file_actions_destroy(&actions_);
  }
  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

// A running child. The destructor ends it and everything in its process group.
class Child {
 public:
  Child(const Path& program, const std::vector<std::string>& arguments, int answer_fd,
        bool show_output) {
    std::vector<std::string> text = {program.string(), std::string(kScanRequest)};
    text.insert(text.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& argument : text) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const SpawnSetup setup(answer_fd, show_output);
    const int failure = ::posix_spawn(&pid_, program.c_str(), setup.actions(), setup.attributes(),
                                      argv.data(), environ);
    if (failure != 0) {
      throw Error(ErrorKind::plugin, "plugin.scanner",
                  system_error(failure, path_text(program)).message(),
                  "Craftbundle needs its scanner to look at libraries without a description; "
                  "install it again");
    }
  }
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { reap(); }

  // The time that it has computed for; nullopt when that cannot be told.
  std::optional<std::chrono::nanoseconds> computed() const {
    clockid_t clock{};
    timespec time{};
    if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return {};
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  }

  bool has_ended() const {
    siginfo_t info{};
    // WNOWAIT keeps the process id from being used again until the group was ended.
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid_;
  }

  // Ends what is left of the process group; the status as waitpid gives it.
  int reap() {
    int status = 0;
    if (pid_ < 0) return status;
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
};

std::optional<std::size_t> parse_length(std::string_view text) {
  std::size_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

// Takes "<length>:<text>" off the front of `rest`.
std::optional<std::string> take_item(std::string_view& rest) {
  const std::size_t colon = rest.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::optional<std::size_t> length = parse_length(rest.substr(0, colon));
  if (!length || *length > rest.size() - colon - 1) return std::nullopt;
  std::string item(rest.substr(colon + 1, *length));
  rest.remove_prefix(colon + 1 + *length);
  return item;
}

[[noreturn]] void report_end(const Culprit& culprit, int status, const std::string& printed = {}) {
  const std::string last_words = printed.empty() ? "" : "; the last it printed: " + printed;
  if (WIFSIGNALED(status)) {
    const char* const name = ::sigabbrev_np(WTERMSIG(status));
    throw culprit.error("plugin.crash", "crashed with signal " +
                                            (name == nullptr ? std::to_string(WTERMSIG(status))
                                                             : "SIG" + std::string(name)) +
                                            last_words);
  }
  throw culprit.error("plugin.exit", "ended the process, with exit status " +
                                         std::to_string(WEXITSTATUS(status)) + last_words);
}

// Cancellation and the time limit of one child.
class Patience {
 public:
  Patience(const Culprit& culprit, std::chrono::milliseconds limit,
           const Cancellation& cancellation)
      : culprit_(culprit),
        limit_(limit),
        cancellation_(cancellation),
        deadline_(Clock::now() + limit) {}

  // How long to wait before asking again. Throws when there is no reason to wait on.
  std::chrono::milliseconds next() const {
    cancellation_.check();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now());
    if (left.count() > 0) return std::min(left, kPollStep);
    throw culprit_.error("plugin.hang",
                         "did not finish within " + std::to_string(limit_.count()) + " ms");
  }

  void wait_for_end(const Child& child) const {
    while (!child.has_ended()) std::this_thread::sleep_for(std::min(next(), kEndStep));
  }

 private:
  const Culprit& culprit_;
  std::chrono::milliseconds limit_;
  const Cancellation& cancellation_;
  Clock::time_point deadline_;
};

// Whether a child waits for something, as it does for ever when another thread held a lock, or was
// initializing a static, while the copy was made.
class Idleness {
 public:
  explicit Idleness(const Child& child) : child_(child) {}

  bool is_long() {
    if (Clock::now() - since_ < kLong) return false;
    const std::optional<std::chrono::nanoseconds> computed = child_.computed();
    const bool is_idle = computed && *computed - computed_ < kLittle;
    computed_ = computed.value_or(computed_);
    since_ = Clock::now();
    return is_idle;
  }

 private:
  static constexpr std::chrono::milliseconds kLong{500};
  static constexpr std::chrono::milliseconds kLittle{5};  // whoever has work gets more
  const Child& child_;
  std::chrono::nanoseconds computed_{0};
  Clock::time_point since_ = Clock::now();
};

// Reads until the answer is whole; nullopt when the child ended or closed its end before, or when
// `give_up` says so while there is nothing to read.
std::optional<Answer> receive(
    int fd, const Child& child, const Culprit& culprit, const Patience& patience,
    const std::function<bool()>& give_up = [] { return false; }) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (true) {
    // Before the wait: what an ended child wrote is there already.
    const bool ended = child.has_ended();
    pollfd waiting{fd, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, ended ? 0 : static_cast<int>(patience.next().count()));
    // Something that the child started may hold the pipe open for ever.
    if (ready == 0 && (ended || give_up())) return std::nullopt;
    if (ready <= 0) continue;
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::nullopt;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (std::optional<Answer> answer = decode(text)) return answer;
    if (text.size() > kMaxAnswerBytes) {
      throw culprit.error("plugin.exit", "wrote over the scanner's answer");
    }
  }
}

constexpr std::string_view kThrew = "threw";

Answer answer_of(const Error& error) {
  return {std::string(kThrew),
          {std::to_string(static_cast<int>(error.kind())), error.code(), error.message(),
           error.hint()}};
}

Error error_in(const Answer& answer) {
  int kind = 0;
  const std::string& number = answer.text.at(0);
  std::from_chars(number.data(), number.data() + number.size(), kind);
  return Error(static_cast<ErrorKind>(kind), answer.text.at(1), answer.text.at(2),
               answer.text.at(3));
}

void end_copy(int status, void* /*unused*/) { ::_exit(status); }

// Makes a copy of this process harmless to the rest of it.
void settle_copy(pid_t original, int output) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != original) ::_exit(EXIT_FAILURE);
  // The handlers are the program's, which is told of signals itself.
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &by_default, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  // Runs first: what the program does when it ends, as writing what is still in its buffers, is
  // not for a copy to do.
  ::on_exit(&end_copy, nullptr);
}

// The end of what was printed to `output`, in one line.
std::string printed_to(int output) {
  const off_t size = ::lseek(output, 0, SEEK_END);
  const off_t begin = std::max<off_t>(0, size - static_cast<off_t>(kLastWords));
  std::string text(kLastWords, '\0');
  const ssize_t count = size > 0 ? ::pread(output, text.data(), text.size(), begin) : 0;
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  while (text.ends_with('\n') || text.ends_with(' ')) text.pop_back();
  return text.empty() ? text : printable(text, kLastWords);
}

void send(int fd, const Answer& answer) {
  const std::string text = encode(answer);
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t count = ::write(fd, rest.data(), rest.size());
    if (count < 0 && errno != EINTR) return;
    if (count > 0) rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

// The copy's side of ask_copy().
[[noreturn]] void answer_as_copy(int fd, const std::function<Answer()>& body) {
  Answer answer;
  try {
    answer = body();
  } catch (const Error& error) {
    answer = answer_of(error);
  }
  send(fd, answer);
  ::_exit(EXIT_SUCCESS);
}

}  // namespace

std::string encode(const Answer& answer) {
  const auto item = [](const std::string& text) {
    return std::to_string(text.size()) + ":" + text;
  };
  std::string body = item(answer.word);
  for (const std::string& text : answer.text) body += item(text);
  return std::string(kAnswerMark) + item(body);
}

std::optional<Answer> decode(std::string_view text) {
  if (!text.starts_with(kAnswerMark)) return std::nullopt;
  text.remove_prefix(kAnswerMark.size());
  const std::optional<std::string> body = take_item(text);
  if (!body) return std::nullopt;
  std::string_view rest = *body;
  std::vector<std::string> items;
  while (!rest.empty()) {
    std::optional<std::string> item = take_item(rest);
    if (!item) return std::nullopt;
    items.push_back(*std::move(item));
  }
  if (items.empty()) return std::nullopt;
  Answer answer{std::move(items.front()), {}};
  answer.text.assign(std::make_move_iterator(items.begin() + 1),
                     std::make_move_iterator(items.end()));
  return answer;
}

void send_answer(const Answer& answer) { send(kAnswerDescriptor, answer); }

Answer ask_scanner(const Path& library, const std::vector<std::string>& request,
                   const ScanOptions& options) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_error(errno, "cannot make a pipe");
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  Child child(options.scanner.empty() ? scanner_program() : options.scanner, request, writing.get(),
              options.show_output);
  writing = Descriptor();
  const Culprit culprit{path_text(library), ""};
  const Patience patience(culprit, options.time_limit, *options.cancellation);
  if (std::optional<Answer> answer = receive(reading.get(), child, culprit, patience)) {
    return *std::move(answer);
  }
  patience.wait_for_end(child);
  report_end(culprit, child.reap());
}

namespace {

// One copy; nullopt when it waited for so long that another one may do better. `is_last`: wait for
// this one as long as there is patience.
std::optional<Answer> ask_one_copy(const CopyCall& call, std::mutex& mutex,
                                   const std::function<Answer()>& body, const Patience& patience,
                                   const Culprit& culprit, bool is_last) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_error(errno, "cannot make a pipe");
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  const Descriptor output(::memfd_create("craftbundle-output", MFD_CLOEXEC));
  const pid_t original = ::getpid();
  std::unique_lock lock(mutex);
  const pid_t pid = ::fork();
  lock.unlock();
  if (pid == 0) {
    settle_copy(original, output.get());
    answer_as_copy(writing.get(), body);
  }
  if (pid < 0) {
    throw system_error(errno, "cannot start a process for " + call.culprit,
                       "plugins that are not part of the installation run in one of their own");
  }
  Child child(pid);
  // So does the copy; whoever comes first: it must be so before the group is ended.
  ::setpgid(pid, pid);
  writing = Descriptor();
  Idleness idleness(child);
  bool gave_up = false;
  std::optional<Answer> answer = receive(reading.get(), child, culprit, patience,
                                         [&] { return gave_up = !is_last && idleness.is_long(); });
  if (answer || gave_up) return answer;
  patience.wait_for_end(child);
  const int status = child.reap();
  report_end(culprit, status, printed_to(output.get()));
}

}  // namespace

Answer ask_copy(const CopyCall& call, std::mutex& mutex, const std::function<Answer()>& body) {
  constexpr int kCopies = 4;
  const Culprit culprit{call.culprit, call.function + " "};
  const Patience patience(culprit, call.time_limit, call.cancellation);
  std::optional<Answer> answer;
  for (int copy = 1; !answer; ++copy) {
    answer = ask_one_copy(call, mutex, body, patience, culprit, copy == kCopies);
  }
  if (answer->word == kThrew && answer->text.size() == 4) throw error_in(*answer);
  return *std::move(answer);
}

}  // namespace craftbundle
