#include "last_words.h"

#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/fault.h"
#include "craftbundle/detail/host/plugin_call.h"
#include "session.h"

namespace craftbundle::app {
namespace {

// A message with a gap for what runs. All text is made beforehand: nothing can be made then.
struct LastWords {
  std::string before;
  std::string after;
};

struct Crash {
  int signal;
  LastWords words;
};

struct Prepared {
  std::string memory;
  std::array<Crash, 7> crashes{Crash{SIGSEGV, {}}, Crash{SIGBUS, {}},  Crash{SIGFPE, {}},
                               Crash{SIGILL, {}},  Crash{SIGABRT, {}}, Crash{SIGSYS, {}},
                               Crash{SIGTRAP, {}}};
  LastWords exit;
  // For a stack that overflows.
  std::array<std::byte, 64 << 10> stack{};
};

// Never destroyed: the last to need it runs after everything else.
Prepared& prepared() {
  static Prepared& words = *new Prepared;
  return words;
}

void write_all(const char* text, std::size_t size) {
  while (size > 0) {
    const ssize_t written = ::write(STDERR_FILENO, text, size);
    if (written <= 0) return;
    text += written;
    size -= static_cast<std::size_t>(written);
  }
}

// `call` has a path and names in quotes. What would have to be escaped, in a line for people or in
// JSON, is left out.
void say(const LastWords& words, const char* call) {
  write_all(words.before.data(), words.before.size());
  for (const char* c = call; *c != '\0'; ++c) {
    if (static_cast<unsigned char>(*c) >= ' ' && *c != '"' && *c != '\\') write_all(c, 1);
  }
  write_all(words.after.data(), words.after.size());
}

void on_crash(int signal) {
  if (const char* const call = running_plugin_call()) {
    for (const Crash& crash : prepared().crashes) {
      if (crash.signal == signal) say(crash.words, call);
    }
  }
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

void on_exit(int /*status*/, void* /*unused*/) {
  const char* const call = running_plugin_call();
  if (call == nullptr) return;
  say(prepared().exit, call);
  std::_Exit(kExitFailed);
}

void on_quick_exit() { on_exit(0, nullptr); }

// A lack of memory is no bug, whose place a core dump would show. Nothing is left: files have no
// name before they are complete, or the next command removes them.
[[noreturn]] void terminate() {
  if (std::current_exception()) {
    try {
      throw;
    } catch (const std::bad_alloc&) {
      write_all(prepared().memory.data(), prepared().memory.size());
      std::_Exit(kExitFailed);
    } catch (...) {
      // As ever.
    }
  }
  std::abort();
}

LastWords plugin_words(const Console& console, std::string_view code, const std::string& what) {
  constexpr std::string_view kGap = "@";
  std::string text =
      console.error_text(Error(ErrorKind::plugin, code, std::string(kGap) + " " + what)) + "\n";
  const std::size_t gap = text.find(kGap);
  return {text.substr(0, gap), text.substr(gap + kGap.size())};
}

}  // namespace

void prepare_for_the_worst(const Console& console) {
  Prepared& words = prepared();
  words.memory = console.error_text(memory_error()) + "\n";
  std::set_terminate(&terminate);
  stack_t stack{};
  stack.ss_sp = words.stack.data();
  stack.ss_size = words.stack.size();
  ::sigaltstack(&stack, nullptr);
  for (Crash& crash : words.crashes) {
    crash.words =
        plugin_words(console, "plugin.crash",
                     "crashed with signal SIG" + std::string(::sigabbrev_np(crash.signal)));
    struct sigaction action {};
    ::sigaction(crash.signal, nullptr, &action);
    // Sanitizers have handlers of their own.
    if (action.sa_handler != SIG_DFL) continue;
    action = {};
    action.sa_handler = &on_crash;
    action.sa_flags = SA_ONSTACK;
    ::sigaction(crash.signal, &action, nullptr);
  }
  words.exit = plugin_words(console, "plugin.exit", "ended the process");
  ::on_exit(&on_exit, nullptr);
  ::at_quick_exit(&on_quick_exit);
}

}  // namespace craftbundle::app
