// A question to craftbundle-scan in a child process, and its answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/host/scan.h"

namespace craftbundle {

// The descriptor a child answers on.
inline constexpr int kAnswerDescriptor = 3;

// What a child said. Only a whole answer becomes one.
struct Answer {
  std::string word;               // "described", "refused", ...
  std::vector<std::string> text;  // depends on the word
};

std::string encode(const Answer& answer);
// The answer in `text`, when it is there whole.
std::optional<Answer> decode(std::string_view text);

// What an answer means. It comes from a process in which foreign code ran: nothing of it is taken
// for granted. Throws Error(plugin): what the library was refused for, "plugin.sidecar", or
// "plugin.scanner" for an answer that is none to what was asked.
PluginInfo description_in(const Answer& answer, const Path& library);
// Why a check failed.
std::optional<std::string> failure_in(const Answer& answer);

// Starts the scanner with `request` and waits for its answer; the child and whatever it started are
// gone afterwards. Throws Error(plugin) as scan_library(), with `library` as the culprit.
Answer ask_scanner(const Path& library, const std::vector<std::string>& request,
                   const ScanOptions& options);

}  // namespace craftbundle
