#include "signals.h"

#include <csignal>
#include <cstdlib>

namespace craftbundle::app {
namespace {

constexpr int kEndingSignals[] = {SIGINT, SIGTERM, SIGHUP};

Cancellation cancellation;
volatile std::sig_atomic_t received = 0;

void set_action(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigaction(signal, &action, nullptr);
}

void on_signal(int signal) {
  received = signal;
  cancellation.cancel();
  for (const int ending : kEndingSignals) set_action(ending, SIG_DFL);
}

}  // namespace

const Cancellation& install_signal_handlers() {
  for (const int ending : kEndingSignals) {
    struct sigaction inherited {};
    ::sigaction(ending, nullptr, &inherited);
    // nohup and background jobs of a shell start programs with signals ignored on purpose.
    if (inherited.sa_handler != SIG_IGN) set_action(ending, on_signal);
  }
  set_action(SIGPIPE, SIG_IGN);
  set_action(SIGXFSZ, SIG_IGN);
  return cancellation;
}

void exit_interrupted(int otherwise) {
  if (received == SIGTERM || received == SIGHUP) {
    set_action(received, SIG_DFL);
    std::raise(received);
  }
  std::exit(otherwise);
}

}  // namespace craftbundle::app
