// Which function of a plugin a thread is in, for those who have to say what brought the process
// down.
#pragma once

#include <string>
#include <string_view>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// While it lives, this thread is in a plugin. Marks may be nested, as a layout may need a codec.
class PluginCallMark {
 public:
  // `culprit` as "/path/x.so: exporter 'x'", `function` as "prepare()".
  PluginCallMark(std::string_view culprit, std::string_view function);
  PluginCallMark(const PluginCallMark&) = delete;
  PluginCallMark& operator=(const PluginCallMark&) = delete;
  ~PluginCallMark();

 private:
  std::string text_;
  const char* before_;
};

// What this thread is in, NUL-terminated: "/path/x.so: exporter 'x': prepare()"; nullptr when it is
// in no plugin. Async-signal-safe.
const char* running_plugin_call() noexcept;

}  // namespace craftbundle
