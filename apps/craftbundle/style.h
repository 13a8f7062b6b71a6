// Colours, and the width of the terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace craftbundle::app {

enum class Tone { error, warning, good, hint, heading, faint };

// Whether what goes to this descriptor may have colours: it is a terminal that can move its cursor,
// and neither NO_COLOR nor CLICOLOR=0 is set. CLICOLOR_FORCE makes it so for anything.
bool has_colours(int descriptor);
// Whether the terminal can move its cursor (TERM is not "dumb").
bool is_cursor_terminal(int descriptor);

// Columns of the terminal; 0 when it is none, or does not say.
std::size_t columns_of(int descriptor);

// `text` in a tone, as marks that shown_text() makes colours of; `text` itself without `coloured`.
// `text` must have gone through printable(), which leaves no such marks.
std::string paint(Tone tone, std::string_view text, bool coloured);
// For standard output.
std::string paint(Tone tone, std::string_view text);

// Columns that `text` takes: characters without marks; wide characters count as one.
std::size_t shown_width(std::string_view text);

// `text` with colours in place of its marks; for a terminal nothing else is left that it would
// obey.
std::string shown_text(std::string_view text, bool is_terminal);

}  // namespace craftbundle::app
