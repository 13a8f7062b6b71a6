#include "craftbundle/detail/host/scan.h"

#include <boost/filesystem/exception.hpp>
#include <boost/filesystem/operations.hpp>
#include <cstdio>

#include "checks.h"
#include "child.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/host/library.h"
#include "sidecar_file.h"

namespace craftbundle {
namespace {

constexpr std::string_view kDescribe = "describe";
constexpr std::string_view kCheck = "check";

Answer describe(const Path& library) {
  try {
    return {"described", {to_sidecar(PluginLibrary::load(library)->info())}};
  } catch (const Error& error) {
    return {"refused", {error.code(), error.message(), error.hint()}};
  }
}

// request: "check", library, check, log, files... What the plugin prints goes to the log's output.
Answer check(const Path& library, const std::vector<std::string>& request) {
  const CheckLog log(request.at(3));
  log.catch_output();
  std::vector<std::string> not_checked;
  const CheckOutcome outcome =
      run_check({library, {request.begin() + 4, request.end()}, log, not_checked}, request.at(2));
  std::fflush(nullptr);
  Answer answer{outcome ? "failed" : "passed", {outcome.value_or("")}};
  answer.text.insert(answer.text.end(), not_checked.begin(), not_checked.end());
  return answer;
}

// What the sidecar says, where there is one that can be read: its check says why there is none.
std::optional<PluginInfo> described(const Path& library) {
  try {
    return read_sidecar(boost::filesystem::canonical(library));
  } catch (const boost::filesystem::filesystem_error&) {
    return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

// "plugin.abi"
bool is_code(std::string_view text) {
  return !text.empty() &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.") == text.npos;
}

std::string odd_answer(const Answer& answer) {
  return "the scanner answered " + quoted(answer.word);
}

}  // namespace

PluginInfo description_in(const Answer& answer, const Path& library) {
  if (answer.word == "described" && answer.text.size() == 1) {
    return parse_sidecar(answer.text[0], library);
  }
  if (answer.word == "refused" && answer.text.size() == 3 && is_code(answer.text[0])) {
    throw Error(ErrorKind::plugin, answer.text[0], printable_lines(answer.text[1]),
                printable_lines(answer.text[2]));
  }
  throw Error(ErrorKind::plugin, "plugin.scanner", odd_answer(answer));
}

std::optional<std::string> failure_in(const Answer& answer) {
  if (answer.word == "passed" && !answer.text.empty()) return std::nullopt;
  if (answer.word != "failed" || answer.text.empty()) return odd_answer(answer);
  return printable_lines(answer.text[0]);
}

PluginInfo scan_library(const Path& library, const ScanOptions& options) {
  return description_in(ask_scanner(library, {std::string(kDescribe), library.string()}, options),
                        library);
}

namespace {

// What the children of all checks printed to standard output, first of all during which call.
void report_output(const std::string& printed, const std::string& during, PluginCheck& check) {
  check.passed = printed.empty();
  if (check.passed) return;
  check.detail = "printed " + quoted(printed) + ", which spoils what programs read";
  check.during = during;
}

}  // namespace

std::vector<PluginCheck> check_plugin(const Path& library, const std::vector<Path>& sources,
                                      const ScanOptions& options) {
  OddSources odd(described(library));
  std::vector<PluginCheck> checks = all_checks();
  std::string printed;
  std::string printed_during;
  for (PluginCheck& check : checks) {
    if (check.name == kQuietCheck) {
      report_output(printed, printed_during, check);
      continue;
    }
    const CheckLog log(odd.log());
    log.clear();
    std::vector<std::string> request = {std::string(kCheck), library.string(), check.name,
                                        odd.log().string()};
    for (const Path& source : odd.files()) request.push_back(source.string());
    for (const Path& source : sources) request.push_back(source.string());
    try {
      const Answer answer = ask_scanner(library, request, options);
      const std::optional<std::string> failure = failure_in(answer);
      check.passed = !failure;
      check.detail = failure.value_or("");
      for (std::size_t i = 1; i < answer.text.size(); ++i) {
        check.not_checked.push_back(printable(answer.text[i], 1'000));
      }
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::plugin || error.code() == "plugin.scanner") throw;
      check.detail = error.message();
    }
    if (printed.empty()) {
      printed = log.output();
      printed_during = log.last_call();
    }
    if (check.passed) continue;
    check.during = log.last_call();
    check.kept = odd.keep(log.last_input());
    check.holds = odd.holds(check.kept);
  }
  return checks;
}

void answer_scan(const std::vector<std::string>& request) {
  if (request.size() >= 2 && request[0] == kDescribe) {
    send_answer(describe(request[1]));
  } else if (request.size() >= 4 && request[0] == kCheck) {
    send_answer(check(request[1], request));
  }
}

}  // namespace craftbundle
