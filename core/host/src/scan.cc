#include "craftbundle/detail/host/scan.h"

#include <unistd.h>

#include <boost/filesystem/exception.hpp>
#include <boost/filesystem/operations.hpp>
#include <cerrno>

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

Answer check(const Path& library, const std::vector<std::string>& request) {
  const CheckOutcome outcome =
      run_check(library, request.at(2), {request.begin() + 3, request.end()});
  return {outcome ? "failed" : "passed", {outcome.value_or("")}};
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

void send(const Answer& answer) {
  const std::string text = encode(answer);
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t count = ::write(kAnswerDescriptor, rest.data(), rest.size());
    if (count < 0 && errno != EINTR) return;
    if (count > 0) rest.remove_prefix(static_cast<std::size_t>(count));
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
  if (answer.word == "passed" && answer.text.size() == 1) return std::nullopt;
  if (answer.word != "failed" || answer.text.size() != 1) return odd_answer(answer);
  return printable_lines(answer.text[0]);
}

PluginInfo scan_library(const Path& library, const ScanOptions& options) {
  return description_in(ask_scanner(library, {std::string(kDescribe), library.string()}, options),
                        library);
}

std::vector<PluginCheck> check_plugin(const Path& library, const std::vector<Path>& sources,
                                      const ScanOptions& options) {
  const OddSources odd(described(library));
  std::vector<PluginCheck> checks = all_checks();
  for (PluginCheck& check : checks) {
    std::vector<std::string> request = {std::string(kCheck), library.string(), check.name};
    for (const Path& source : odd.files()) request.push_back(source.string());
    for (const Path& source : sources) request.push_back(source.string());
    try {
      const std::optional<std::string> failure = failure_in(ask_scanner(library, request, options));
      check.passed = !failure;
      check.detail = failure.value_or("");
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::plugin || error.code() == "plugin.scanner") throw;
      check.detail = error.message();
    }
  }
  return checks;
}

void answer_scan(const std::vector<std::string>& request) {
  if (request.size() >= 2 && request[0] == kDescribe) {
    send(describe(request[1]));
  } else if (request.size() >= 3 && request[0] == kCheck) {
    send(check(request[1], request));
  }
}

}  // namespace craftbundle
