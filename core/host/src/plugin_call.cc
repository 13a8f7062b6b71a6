#include "craftbundle/detail/host/plugin_call.h"

namespace craftbundle {
namespace {

// A signal handler reads it, which must not be the first to allocate it.
[[gnu::tls_model("initial-exec")]] thread_local const char* running = nullptr;

}  // namespace

PluginCallMark::PluginCallMark(std::string_view culprit, std::string_view function)
    : text_(std::string(culprit) + ": " + std::string(function)), before_(running) {
  running = text_.c_str();
}

PluginCallMark::~PluginCallMark() { running = before_; }

const char* running_plugin_call() noexcept { return running; }

}  // namespace craftbundle
