#include "craftbundle/detail/io/shell_text.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace craftbundle {
namespace {

// Empty `name`: the user of this process. Empty when it is not known.
std::string home_of(const std::string& name) {
  if (name.empty()) {
    const char* const home = ::secure_getenv("HOME");
    if (home != nullptr && *home != '\0') return home;
  }
  // More than any entry of a user takes.
  std::array<char, 1 << 14> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  const int failure =
      name.empty() ? ::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found)
                   : ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  return failure == 0 && found != nullptr && found->pw_dir != nullptr ? found->pw_dir : "";
}

bool is_capital(char c) { return c == '_' || (c >= 'A' && c <= 'Z'); }

}  // namespace

std::string expand_home(std::string_view path) {
  if (!path.starts_with('~')) return std::string(path);
  const std::size_t end = std::min(path.find('/'), path.size());
  const std::string home = home_of(std::string(path.substr(1, end - 1)));
  return home.empty() ? std::string(path) : home + std::string(path.substr(end));
}

std::optional<std::string> shell_variable(std::string_view path) {
  for (std::size_t at = path.find('$'); at != std::string_view::npos; at = path.find('$', at + 1)) {
    const std::string_view rest = path.substr(at + 1);
    const auto end = std::ranges::find_if_not(
        rest, [](char c) { return is_capital(c) || (c >= '0' && c <= '9'); });
    const auto length = static_cast<std::size_t>(end - rest.begin());
    const bool goes_on = length < rest.size() && rest[length] >= 'a' && rest[length] <= 'z';
    if (length > 0 && is_capital(rest.front()) && !goes_on)
      return std::string(rest.substr(0, length));
  }
  return std::nullopt;
}

}  // namespace craftbundle
