// craftbundle: exports training checkpoints to model bundles. Reads the command line, runs one
// command and turns what it throws into an exit code.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>
#include <string_view>

#include "commands.h"
#include "completion.h"
#include "craftbundle/detail/base/fault.h"
#include "craftbundle/detail/json/json.h"
#include "last_words.h"
#include "session.h"
#include "signals.h"
#include "usage.h"

namespace craftbundle::app {
namespace {

constexpr const char* kFooter = R"(
Examples:
  craftbundle bundle --lm xps/9f2c/checkpoint.th --compression xps/77aa/checkpoint.th -o my_model
  craftbundle export xps/77aa/checkpoint.th -o out/compression_state_dict.bin
  craftbundle inspect my_model
  craftbundle verify my_model --run
  craftbundle run release.yaml

Exit codes: 0 done, 1 export failed, 2 usage, 3 input refused (malformed or unsafe),
4 verification failed, 130 interrupted.)";

// A file opened later must not become standard output by accident.
void open_standard_descriptors() {
  int fd = 0;
  while (fd >= 0 && fd <= STDERR_FILENO) fd = ::open("/dev/null", O_RDWR);
  if (fd >= 0) ::close(fd);
}

void add_global_options(CLI::App& app, GlobalOptions& options) {
  app.set_version_flag("-V,--version", "craftbundle " CRAFTBUNDLE_VERSION,
                       "Print the version and exit");
  app.add_option("--plugin-dir", options.plugin_directories,
                 "Look for exporter plugins here first; may be repeated")
      ->type_name("DIR")
      ->allow_extra_args(false);
  app.add_option_function<std::string>(
         "--log-format",
         [&options](const std::string& format) {
           options.console.format = format == "json" ? LogFormat::json : LogFormat::text;
         },
         "How to report on standard error: text, or json (an object on each line)")
      ->check(one_of({"text", "json"}))
      ->type_name("FORMAT");
  app.add_flag("-q,--quiet", options.console.quiet, "Print errors only");
  app.add_flag("-v,--verbose", options.console.verbose, "Print what is done along the way");
  app.add_flag_callback(
      "--no-progress", [&options] { options.console.progress = false; }, "Show no progress");
  // Also accepted behind the command's name.
  app.fallthrough();
}

int fail(Session& session, const Command& command, const Error& error) {
  session.console().error(error);
  if (command.json) {
    try {
      session.print(json_document({{"error", error_json(error)}}));
    } catch (const Error&) {
      // Standard error has told already.
    }
  }
  return exit_code(error.kind());
}

int run(Session& session, const Command& command) {
  try {
    return command.run(session);
  } catch (const std::exception&) {
    return fail(session, command, current_error());
  }
}

// Nothing is said to a shell that asks how a word may go on, whatever is wrong.
int complete(const CLI::App& app, const std::vector<std::string>& words) {
  try {
    std::cout << complete_words(app, words);
  } catch (const std::exception&) {
    return kExitFailed;
  }
  return kExitDone;
}

int main(int argc, char** argv) {
  open_standard_descriptors();
  const Cancellation& cancellation = install_signal_handlers();
  CLI::App app("Turns training checkpoints into complete, checked model bundles.", "craftbundle");
  app.footer(kFooter);
  app.require_subcommand(1);
  GlobalOptions options;
  Command command;
  add_global_options(app, options);
  add_export(app, command);
  add_bundle(app, command);
  add_convert(app, command);
  add_inspect(app, command);
  add_verify(app, command);
  add_card(app, command);
  add_run(app, command);
  add_explain(app, command);
  add_graph(app, command);
  add_plugins(app, command);
  add_completion(app, command);
  add_help(app, command);
  expand_paths(app);
  if (argc > 1 && std::string_view(argv[1]) == kCompleteWords) {
    return complete(app, {argv + 2, argv + argc});
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {
    return app.exit(request);  // --help and --version
  } catch (const CLI::ParseError& error) {
    Console console(options.console);
    console.error(usage_error(app, error, {argv + 1, argv + argc}));
    if (!console.is_json()) console.problem("  usage: " + usage_line(given_command(app)));
    return kExitUsage;
  }
  prepare_for_the_worst(Console(options.console));
  int code = kExitDone;
  {
    Session session(options, cancellation);
    code = run(session, command);
  }
  if (code == kExitInterrupted) exit_interrupted(code);
  return code;
}

}  // namespace
}  // namespace craftbundle::app

int main(int argc, char** argv) { return craftbundle::app::main(argc, argv); }
