#include "style.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

#include "craftbundle/detail/base/text.h"

namespace craftbundle::app {
namespace {

// Begins a mark, the letter of a tone follows, or kPlain. printable() escapes it in whatever is
// not ours.
constexpr char kMark = '\x01';
constexpr char kPlain = '.';

char letter_of(Tone tone) { return static_cast<char>('a' + static_cast<int>(tone)); }

std::string_view sequence_of(char letter) {
  if (letter == kPlain) return "\x1b[0m";
  switch (static_cast<Tone>(letter - 'a')) {
    case Tone::error:
      return "\x1b[1;31m";
    case Tone::warning:
      return "\x1b[33m";
    case Tone::good:
      return "\x1b[32m";
    case Tone::hint:
      return "\x1b[36m";
    case Tone::heading:
      return "\x1b[1m";
    case Tone::faint:
      return "\x1b[2m";
  }
  return {};
}

bool is_set(const char* variable) {
  const char* const value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

bool is_zero(const char* variable) {
  const char* const value = std::getenv(variable);
  return value != nullptr && std::string_view(value) == "0";
}

}  // namespace

bool is_cursor_terminal(int descriptor) {
  const char* const term = std::getenv("TERM");
  return ::isatty(descriptor) == 1 && (term == nullptr || std::string_view(term) != "dumb");
}

bool has_colours(int descriptor) {
  if (is_set("NO_COLOR")) return false;
  if (is_set("CLICOLOR_FORCE") && !is_zero("CLICOLOR_FORCE")) return true;
  return !is_zero("CLICOLOR") && is_set("TERM") && is_cursor_terminal(descriptor);
}

std::size_t columns_of(int descriptor) {
  winsize size{};
  if (::isatty(descriptor) != 1 || ::ioctl(descriptor, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

std::string paint(Tone tone, std::string_view text, bool coloured) {
  if (!coloured || text.empty()) return std::string(text);
  return std::string{kMark, letter_of(tone)} + std::string(text) + std::string{kMark, kPlain};
}

std::string paint(Tone tone, std::string_view text) {
  static const bool coloured = has_colours(STDOUT_FILENO);
  return paint(tone, text, coloured);
}

std::size_t shown_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == kMark) {
      ++i;
    } else if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) {
      ++width;
    }
  }
  return width;
}

std::string shown_text(std::string_view text, bool is_terminal) {
  std::string shown;
  while (!text.empty()) {
    const std::size_t mark = text.find(kMark);
    const bool is_ours = mark != std::string_view::npos && mark + 1 < text.size() &&
                         (text[mark + 1] == kPlain || (text[mark + 1] >= letter_of(Tone::error) &&
                                                       text[mark + 1] <= letter_of(Tone::faint)));
    const std::size_t end = is_ours ? mark : mark == std::string_view::npos ? mark : mark + 1;
    const std::string_view plain = text.substr(0, end);
    shown += is_terminal ? printable_lines(plain) : std::string(plain);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end);
    if (!is_ours) continue;
    shown += sequence_of(text[1]);
    text.remove_prefix(2);
  }
  return shown;
}

}  // namespace craftbundle::app
