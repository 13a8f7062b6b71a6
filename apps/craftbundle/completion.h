// What completes a word of a command line.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace craftbundle::app {

// The command that completion scripts call.
inline constexpr const char* kCompleteWords = "complete-words";

// `words` stand behind the name of the program, the last one is to be completed and may be empty.
// Returns a line "files", "directories" or "words", which says what else completes it, and a line
// "VALUE<tab>DESCRIPTION" for each that is known. Throws what reading plugins or a script throws.
std::string complete_words(const CLI::App& app, const std::vector<std::string>& words);

}  // namespace craftbundle::app
