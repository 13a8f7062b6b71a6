// craftbundle inspect: what is in a checkpoint or bundle.
#include "inspect.h"

#include <boost/filesystem.hpp>
#include <memory>

#include "commands.h"
#include "craftbundle/bundle/read.h"

namespace craftbundle::app {
namespace {

constexpr const char* kFooter = R"(
Nothing in the file is run or imported. Names that would run code when Python loads the file are
listed and marked.

Examples:
  craftbundle inspect xps/9f2c/checkpoint.th
  craftbundle inspect my_model
  craftbundle inspect --config xps/9f2c/checkpoint.th > config.yaml)";

bool is_bundle_directory(const std::string& given, const Host& host) {
  boost::system::error_code ignored;
  return boost::filesystem::is_directory(given, ignored) && !is_source_directory(given, host);
}

int run(const InspectArguments& arguments, Session& session) {
  if (arguments.config) return inspect_config(arguments, session);
  if (is_bundle_directory(arguments.source, session.host()))
    return inspect_bundle(arguments, session);
  return inspect_source(arguments, session);
}

}  // namespace

void add_inspect(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("inspect", "Show what is in a checkpoint or bundle");
  const auto arguments = std::make_shared<InspectArguments>();
  sub->add_option("source", arguments->source, "Checkpoint, bundle directory, signature or name")
      ->required()
      ->type_name("SOURCE");
  CLI::Option* config = sub->add_flag(
      "--config", arguments->config, "Print only the configuration, as the exported file holds it");
  sub->add_flag("--json", arguments->json, "Print JSON")->excludes(config);
  arguments->how.declare_xps(*sub);
  sub->footer(kFooter);
  sub->callback([arguments, &command] {
    command.json = arguments->json;
    command.run = [arguments](Session& session) { return run(*arguments, session); };
  });
}

}  // namespace craftbundle::app
