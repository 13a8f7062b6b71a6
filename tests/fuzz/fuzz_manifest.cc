#include <string_view>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/bundle/manifest.h"
#include "fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace craftbundle;
  try {
    // What is read can be written, and reads as the same.
    const std::string text = to_json(parse_manifest({reinterpret_cast<const char*>(data), size}));
    if (to_json(parse_manifest(text)) != text) __builtin_trap();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::input || !error.code().starts_with("manifest.")) {
      __builtin_trap();
    }
  }
  return 0;
}
