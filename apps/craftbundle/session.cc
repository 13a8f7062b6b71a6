#include "session.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "audio.h"
#include "style.h"

namespace craftbundle::app {
namespace {

// false: the reader went away.
bool write_out(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EPIPE) {
      return false;
    } else if (errno != EINTR) {
      throw system_error(errno, "standard output");
    }
  }
  return true;
}

}  // namespace

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
    options.open_audio = &open_audio;
    host_ = std::make_unique<Host>(std::move(options));
  }
  return *host_;
}

void Session::print(std::string_view text, bool raw) {
  std::string shown;
  const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
  if (!raw && (is_terminal || has_colours(STDOUT_FILENO))) {
    text = shown = shown_text(text, is_terminal);
  }
  write_out(text);
}

void Session::copy(const InputFile& file) {
  constexpr std::uint64_t kPiece = 1 << 20;
  std::string piece;
  for (std::uint64_t done = 0; done < file.size(); done += piece.size()) {
    cancellation_.check();
    piece.resize(std::min(kPiece, file.size() - done));
    file.read(done, std::as_writable_bytes(std::span(piece)));
    if (!write_out(piece)) return;
  }
}

}  // namespace craftbundle::app
