// craftbundle convert: a bundle of one layout as one of another.
#include <memory>

#include "arguments.h"
#include "commands.h"
#include "report.h"

namespace craftbundle::app {
namespace {

constexpr const char* kFooter = R"(
DIR is a bundle in any layout that can be read. Its components are checked as 'verify' checks them
against their configuration, and written in the layout asked for.

Examples:
  craftbundle convert my_model --layout safetensors -o my_model_safetensors
  craftbundle convert my_model_safetensors --layout audiocraft -o my_model_again
  craftbundle convert my_model --embed -o my_model_offline)";

struct Arguments {
  std::string source;
  LayoutArguments layout;
  TargetArguments target;
  bool allow_mismatch = false;
  bool embed = false;
};

int run(const Arguments& arguments, Session& session) {
  const ConvertJob job = {.bundle = arguments.source,
                          .output = arguments.target.output,
                          .layout = arguments.layout.choice(),
                          .allow_mismatch = arguments.allow_mismatch,
                          .embed = arguments.embed,
                          .publish = arguments.target.publish(session)};
  print_bundle(convert(session.host(), job), arguments.target.json, session);
  return kExitDone;
}

}  // namespace

void add_convert(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("convert", "Write a bundle in another layout");
  const auto arguments = std::make_shared<Arguments>();
  sub->add_option("bundle", arguments->source, "Bundle to convert")->required()->type_name("DIR");
  arguments->target.declare(*sub, "Directory to create; missing parents are created");
  arguments->layout.declare(*sub);
  sub->add_flag("--allow-mismatch", arguments->allow_mismatch,
                "Convert a bundle whose components do not fit; is recorded");
  sub->add_flag("--embed", arguments->embed, kEmbedHelp);
  sub->footer(kFooter);
  sub->callback([arguments, &command] {
    command.json = arguments->target.json;
    command.run = [arguments](Session& session) { return run(*arguments, session); };
  });
}

}  // namespace craftbundle::app
