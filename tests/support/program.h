// Running the program under test.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "craftbundle/detail/io/path.h"
#include "support/temporary_directory.h"

namespace craftbundle::testing {

struct ProgramResult {
  int exit_code = -1;  // -1: ended by a signal
  int signal = 0;
  std::string output;  // standard output
  std::string errors;  // standard error
};

// A program that was started in a directory of its own choice. It sees a clean environment: nothing
// of the user's plugins or settings.
class Program {
 public:
  using Environment = std::map<std::string, std::string>;

  Program(const std::vector<std::string>& command, const Path& directory,
          const Environment& environment = {}) {
    Environment clean = {{"LC_ALL", "C"}, {"HOME", capture_.path().string()}};
    for (const char* inherited : {"PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"}) {
      if (const char* value = std::getenv(inherited)) clean[inherited] = value;
    }
    for (const auto& [name, value] : environment) clean[name] = value;
    std::vector<std::string> settings;
    for (const auto& [name, value] : clean) settings.push_back(name + "=" + value);
    std::vector<char*> arguments = pointers(command);
    std::vector<char*> variables = pointers(settings);
    // Created before the fork: the program may be killed before it runs.
    write_file(capture_ / "output", "");
    write_file(capture_ / "errors", "");
    const std::string output = (capture_ / "output").string();
    const std::string errors = (capture_ / "errors").string();
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("cannot fork");
    if (pid_ != 0) return;
    const int in = ::open("/dev/null", O_RDONLY);
    const int out = ::open(output.c_str(), O_WRONLY);
    const int err = ::open(errors.c_str(), O_WRONLY);
    if (::dup2(in, 0) == 0 && ::dup2(out, 1) == 1 && ::dup2(err, 2) == 2 &&
        ::chdir(directory.c_str()) == 0) {
      ::execvpe(arguments[0], arguments.data(), variables.data());
    }
    ::_exit(127);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    if (pid_ > 0) {
      kill(SIGKILL);
      wait();
    }
  }

  void kill(int signal) const { ::kill(pid_, signal); }

  ProgramResult wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0) {
      if (errno != EINTR) throw std::runtime_error("cannot wait");
    }
    pid_ = -1;
    ProgramResult result;
    if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
    result.output = read_file(capture_ / "output");
    result.errors = read_file(capture_ / "errors");
    return result;
  }

 private:
  static std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
    result.push_back(nullptr);
    return result;
  }

  TemporaryDirectory capture_;
  pid_t pid_ = -1;
};

inline ProgramResult run_program(const std::vector<std::string>& command, const Path& directory,
                                 const Program::Environment& environment = {}) {
  return Program(command, directory, environment).wait();
}

}  // namespace craftbundle::testing
