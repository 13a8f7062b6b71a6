// A question to craftbundle-scan in a child process, and its answer.
#pragma once

#include <string>
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

// Starts the scanner with `request` and waits for its answer; the child and whatever it started are
// gone afterwards. Throws Error(plugin) as scan_library(), with `library` as the culprit.
Answer ask_scanner(const Path& library, const std::vector<std::string>& request,
                   const ScanOptions& options);

}  // namespace craftbundle
