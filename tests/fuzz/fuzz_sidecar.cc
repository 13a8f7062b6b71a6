#include <string_view>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/host/sidecar.h"
#include "fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace craftbundle;
  try {
    // What is read can be written, and reads as the same.
    const PluginInfo info =
        parse_sidecar({reinterpret_cast<const char*>(data), size}, "x.plugin.yaml");
    if (parse_sidecar(to_sidecar(info), "x.plugin.yaml") != info) __builtin_trap();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::plugin || error.code() != "plugin.sidecar") __builtin_trap();
  }
  return 0;
}
