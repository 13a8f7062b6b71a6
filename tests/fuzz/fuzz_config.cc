#include <string>
#include <string_view>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/omegaconf/config.h"
#include "craftbundle/detail/omegaconf/node.h"
#include "fuzz_target.h"

namespace {

using namespace craftbundle;

void require(bool condition) {
  if (!condition) __builtin_trap();
}

// Line breaks that OmegaConf writes into quotes and does not read back as they were.
bool has_other_line_breaks(std::string_view text) {
  for (const std::string_view line_break : {"\u0085", "\u2028", "\u2029"}) {
    if (text.find(line_break) != std::string_view::npos) return true;
  }
  return false;
}

// What to_yaml writes is read again, as the same tree.
void check_round_trip(const std::string& text) {
  if (text.size() > limits::kConfigTextBytes || has_other_line_breaks(text)) return;
  require(to_yaml(Config::from_yaml(text).root()) == text);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text;
  try {
    text = to_yaml(Config::from_yaml({reinterpret_cast<const char*>(data), size}).root());
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::input && error.code().starts_with("config."));
    return 0;
  }
  check_round_trip(text);
  return 0;
}
