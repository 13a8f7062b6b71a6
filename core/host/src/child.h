// A question to a child process, which is craftbundle-scan or a copy of this one, and its answer.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
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

// Sends the answer of a scanner.
void send_answer(const Answer& answer);

// Starts the scanner with `request` and waits for its answer; the child and whatever it started are
// gone afterwards. Throws Error(plugin) as scan_library(), with `library` as the culprit.
Answer ask_scanner(const Path& library, const std::vector<std::string>& request,
                   const ScanOptions& options);

// A call of foreign code that must not harm this process.
struct CopyCall {
  std::string culprit;   // "/path/x.so: exporter 'x'"
  std::string function;  // "probe()"
  std::chrono::milliseconds time_limit;
  const Cancellation& cancellation;
};

// Runs `body` in a copy of this process and returns its answer: a crash, a loop or the end of the
// process there harms nobody. The copy has this thread only. What other threads guard may be half
// changed in it, and locked for ever; `mutex` is held while the copy is made, so that what it guards
// is whole, and a copy that only waits is replaced by another one, up to three times. The copy
// has no standard input, and what it prints is lost but for the last words of one that dies. It and
// whatever it started are gone afterwards.
//
// Throws Error: plugin, naming culprit and function, "plugin.crash", "plugin.exit", "plugin.hang";
// interrupted on cancellation; system when there can be no further process; an Error that `body`
// threw, with kind, code, message and hint.
Answer ask_copy(const CopyCall& call, std::mutex& mutex, const std::function<Answer()>& body);

}  // namespace craftbundle
