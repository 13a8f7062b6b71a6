// craftbundle-scan: describes an exporter plugin, or checks it against the contract.
//
// The library is loaded in a child (this program again), so that a plugin which crashes, hangs or
// prints cannot spoil the result.

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/filesystem/operations.hpp>
#include <chrono>
#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/host/scan.h"
#include "craftbundle/detail/io/output_file.h"

namespace {

using craftbundle::Error;
using craftbundle::Path;

constexpr int kDone = 0;
constexpr int kRefused = 1;
constexpr int kUsage = 2;
constexpr int kCheckFailed = 4;

struct Arguments {
  std::string library;
  std::string output;
  std::vector<std::string> sources;
  bool check = false;
};

craftbundle::ScanOptions scan_options() {
  craftbundle::ScanOptions options;
  options.scanner = boost::filesystem::read_symlink("/proc/self/exe");
  options.show_output = true;
  return options;
}

int describe(const Path& library, const Path& output) {
  craftbundle::ScanOptions options = scan_options();
  // A build keeps the machine busy, and the plugin may need a library as large as LibTorch.
  options.time_limit = std::chrono::minutes(1);
  const std::string text = to_sidecar(scan_library(library, options));
  craftbundle::OutputFile file(output.parent_path(), craftbundle::Durability::no_sync);
  file.write(text);
  file.publish(output, /*replace=*/true);
  return kDone;
}

int check(const Path& library, const std::vector<std::string>& sources) {
  bool passed = true;
  const std::vector<Path> files(sources.begin(), sources.end());
  for (const craftbundle::PluginCheck& check : check_plugin(library, files, scan_options())) {
    std::cout << (check.passed ? "ok      " : "FAILED  ") << check.name << ": " << check.description
              << '\n';
    if (!check.passed) std::cout << "        " << check.detail << '\n';
    passed = passed && check.passed;
  }
  return passed ? kDone : kCheckFailed;
}

int run(const Arguments& arguments) {
  const Path library = boost::filesystem::absolute(arguments.library);
  if (arguments.check) return check(library, arguments.sources);
  const Path output = arguments.output.empty() ? craftbundle::sidecar_path(library)
                                               : boost::filesystem::absolute(arguments.output);
  return describe(library, output);
}

// The child: says what it has to say and ends, before anything else of the plugin can run.
[[noreturn]] void answer(const std::vector<std::string>& request) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core_dump{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core_dump);
  craftbundle::answer_scan(request);
  ::_exit(kDone);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words.front() == craftbundle::kScanRequest) {
    answer({words.begin() + 1, words.end()});
  }

  Arguments arguments;
  CLI::App app("Describes an exporter plugin of Craftbundle: writes LIBRARY.plugin.yaml beside it.",
               "craftbundle-scan");
  app.add_option("library", arguments.library, "Plugin library")->required();
  auto* const output = app.add_option("-o,--output", arguments.output, "File to write instead");
  auto* const checks =
      app.add_flag("--check", arguments.check,
                   "Write nothing; check the plugin against the contract and report");
  app.add_option("--source", arguments.sources, "Further checkpoints to check with")->needs(checks);
  checks->excludes(output);
  try {
    app.parse(argc, argv);
    return run(arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  } catch (const Error& error) {
    std::cerr << "craftbundle-scan: " << error.message() << " [" << error.code() << "]\n";
    if (!error.hint().empty()) std::cerr << "hint: " << error.hint() << '\n';
  } catch (const std::exception& error) {
    std::cerr << "craftbundle-scan: " << error.what() << '\n';
  }
  return kRefused;
}
