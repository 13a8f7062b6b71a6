#include "session.h"

#include <unistd.h>

#include <cerrno>

#include "craftbundle/detail/base/text.h"

namespace craftbundle::app {

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
      return kExitUsage;
    case ErrorKind::input:
      return kExitRefused;
    case ErrorKind::mismatch:
      return kExitMismatch;
    case ErrorKind::interrupted:
      return kExitInterrupted;
    case ErrorKind::system:
    case ErrorKind::plugin:
    case ErrorKind::internal:
      return kExitFailed;
  }
  return kExitFailed;
}

Session::Session(const GlobalOptions& options, const Cancellation& cancellation)
    : options_(options), cancellation_(cancellation), console_(options.console) {}

PluginSearch Session::search() const {
  PluginSearch search;
  for (const std::string& directory : options_.plugin_directories) {
    search.directories.push_back(absolute_path(directory).lexically_normal());
  }
  return search;
}

std::vector<std::string> Session::search_directories() const {
  std::vector<std::string> directories;
  for (const Path& directory : search().directories) directories.push_back(directory.string());
  return directories;
}

const Host& Session::host() {
  if (!host_) {
    Host::Options options;
    options.search = search();
    options.sink = &console_;
    options.cancellation = &cancellation_;
    host_ = std::make_unique<Host>(std::move(options));
  }
  return *host_;
}

void Session::print(std::string_view text, bool raw) {
  std::string shown;
  if (!raw && ::isatty(STDOUT_FILENO) == 1) text = shown = printable_lines(text);
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EPIPE) {
      return;
    } else if (errno != EINTR) {
      throw system_error(errno, "standard output");
    }
  }
}

}  // namespace craftbundle::app
