#include "craftbundle/detail/io/program.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "craftbundle/detail/base/error.h"
#include "naming.h"

extern char** environ;

namespace craftbundle {
namespace {

using Clock = std::chrono::steady_clock;

bool can_run(const Path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

std::vector<std::string> environment_of(const ProgramCall& call) {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string variable = *entry;
    const std::string name = variable.substr(0, variable.find('='));
    const bool replaced = std::any_of(call.environment.begin(), call.environment.end(),
                                      [&](const auto& added) { return added.first == name; });
    if (!replaced) variables.push_back(variable);
  }
  for (const auto& [name, value] : call.environment) variables.push_back(name + "=" + value);
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// What the child needs, made before there is one: between fork and exec it must not allocate.
struct Prepared {
  const char* program;
  char* const* arguments;
  char* const* environment;
  const char* directory;  // nullptr: stay
  int input;
  int output;
  int failure;  // end of a pipe that takes the errno of what fails
  pid_t parent;
};

[[noreturn]] void become(const Prepared& prepared) {
  const auto give_up = [&] {
    const int error = errno;
    [[maybe_unused]] const ssize_t told = ::write(prepared.failure, &error, sizeof(error));
    ::_exit(127);
  };
  ::setpgid(0, 0);
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up();
  // The parent may have died before that.
  if (::getppid() != prepared.parent) ::_exit(127);
  // Signals that this process ignores would stay ignored.
  for (const int signal : {SIGPIPE, SIGXFSZ, SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::dup2(prepared.input, STDIN_FILENO) < 0 || ::dup2(prepared.output, STDOUT_FILENO) < 0 ||
      ::dup2(prepared.output, STDERR_FILENO) < 0) {
    give_up();
  }
  if (prepared.directory != nullptr && ::chdir(prepared.directory) != 0) give_up();
  ::execve(prepared.program, prepared.arguments, prepared.environment);
  give_up();
  ::_exit(127);
}

ProgramEnd end_of(int status) {
  if (WIFSIGNALED(status)) return {128 + WTERMSIG(status), WTERMSIG(status)};
  return {WEXITSTATUS(status), 0};
}

ProgramEnd wait_for(pid_t child, const Cancellation& cancellation) {
  constexpr auto kLongestPause = std::chrono::milliseconds(20);
  constexpr auto kPatience = std::chrono::seconds(5);
  auto pause = std::chrono::milliseconds(1);
  std::optional<Clock::time_point> kill_at;
  while (true) {
    int status = 0;
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) {
      // What the program left running in its group goes with it when the user wants the end.
      if (kill_at) ::kill(-child, SIGKILL);
      cancellation.check();
      return end_of(status);
    }
    if (ended < 0 && errno != EINTR) throw system_error(errno, "waiting for a program");
    if (!kill_at && cancellation.cancelled()) {
      ::kill(-child, SIGTERM);
      kill_at = Clock::now() + kPatience;
    } else if (kill_at && Clock::now() >= *kill_at) {
      ::kill(-child, SIGKILL);
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(kLongestPause, pause * 2);
  }
}

}  // namespace

std::optional<Path> find_program(const std::string& name, const Path& directory) {
  if (name.empty()) return std::nullopt;
  if (name.find('/') != std::string::npos) {
    const Path path = Path(name).is_absolute() || directory.empty() ? Path(name) : directory / name;
    return can_run(path) ? std::optional(path) : std::nullopt;
  }
  const char* variable = std::getenv("PATH");
  const std::string search = variable == nullptr ? "/usr/bin:/bin" : variable;
  for (std::size_t begin = 0; begin <= search.size();) {
    const std::size_t end = std::min(search.find(':', begin), search.size());
    const std::string folder = search.substr(begin, end - begin);
    // An empty element would mean the current directory.
    if (!folder.empty() && can_run(Path(folder) / name)) return Path(folder) / name;
    begin = end + 1;
  }
  return std::nullopt;
}

ProgramEnd run_program(const ProgramCall& call, const Cancellation& cancellation) {
  const std::string name = call.arguments.empty() ? std::string() : call.arguments.front();
  const std::optional<Path> program = find_program(name, call.directory);
  if (!program) {
    throw Error(ErrorKind::usage, "program.not_found", "there is no program " + quoted(name),
                "install it, or give its path");
  }
  std::vector<std::string> words = call.arguments;
  std::vector<std::string> variables = environment_of(call);
  const std::vector<char*> arguments = pointers(words);
  const std::vector<char*> environment = pointers(variables);
  const Descriptor input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Descriptor output(
      ::open(call.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (input.get() < 0 || output.get() < 0) throw system_error(errno, path_text(call.output));
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error(errno, "pipe");
  const Descriptor told(ends[0]);
  Descriptor failure(ends[1]);
  const Prepared prepared = {
      program->c_str(),   arguments.data(),
      environment.data(), call.directory.empty() ? nullptr : call.directory.c_str(),
      input.get(),        output.get(),
      failure.get(),      ::getpid()};
  const pid_t child = ::fork();
  if (child < 0) throw system_error(errno, "starting " + quoted(name));
  if (child == 0) become(prepared);
  ::setpgid(child, child);
  failure = Descriptor();
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::read(told.get(), &error, sizeof(error));
  } while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof(error))) {
    ::waitpid(child, nullptr, 0);
    throw system_error(
        error, "starting " + quoted(name) +
                   (call.directory.empty() ? std::string() : " in " + path_text(call.directory)));
  }
  return wait_for(child, cancellation);
}

}  // namespace craftbundle
