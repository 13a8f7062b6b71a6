// craftbundle export: one component as a file.
#include <memory>

#include "arguments.h"
#include "commands.h"
#include "report.h"

namespace craftbundle::app {
namespace {

constexpr const char* kFooter = R"(
SOURCE is a checkpoint of a training, an exported file, a directory that holds checkpoint.th,
the files that an exporter takes or a bundle, a Dora signature (//sig/9f2c with --xps), the name
of a pretrained model, or that of a model in the cache of the hub.

Examples:
  craftbundle export xps/77aa/checkpoint.th -o out/compression_state_dict.bin
  craftbundle export xps/9f2c/checkpoint.th --state ema -o out/state_dict.bin
  craftbundle export xps/9f2c/checkpoint.th --dtype float16 -o out/state_dict.bin
  craftbundle export xps/77aa/checkpoint.th --layout torchscript -o out/codec.ts
  craftbundle export last.ckpt --config-from my_model -o out/state_dict.bin
  craftbundle export //sig/9f2c --xps /checkpoints/xps -o out/state_dict.bin --json)";

struct Arguments {
  std::string source;
  SourceArguments how;
  TargetArguments target;
  std::string component;
  std::string exporter;
  std::vector<std::string> options;
  LayoutArguments layout;
};

int run(const Arguments& arguments, Session& session) {
  const ExportJob job = {.component = choose(arguments.source, arguments.how, arguments.component,
                                             arguments.exporter, arguments.options, session.host()),
                         .output = arguments.target.output,
                         .layout = arguments.layout.choice(),
                         .publish = arguments.target.publish(session)};
  const ExportReport report = export_component(session.host(), job);
  if (arguments.target.json) {
    session.print(json_document(export_json(report, job.layout.name)));
  } else if (!session.quiet()) {
    session.print(export_text(report, job.layout.name));
  }
  return kExitDone;
}

}  // namespace

void add_export(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("export", "Write one component of a bundle as a file");
  const auto arguments = std::make_shared<Arguments>();
  sub->add_option("source", arguments->source, "What to export")->required()->type_name("SOURCE");
  arguments->target.declare(
      *sub, "File to write, or directory for a layout of several; missing parents are created");
  arguments->how.declare_state(*sub);
  arguments->how.declare_dtype(*sub);
  arguments->how.declare_weights(*sub);
  arguments->how.declare_foreign(*sub);
  arguments->layout.declare(*sub);
  arguments->how.declare_xps(*sub);
  sub->add_option("--component", arguments->component,
                  "Role of the component, of a source that holds several or does not tell (lm, "
                  "compression, ...)")
      ->type_name("ROLE");
  sub->add_option("--exporter", arguments->exporter, "Exporter to use instead of the best one")
      ->type_name("NAME");
  sub->add_option("-O,--option", arguments->options, "Option of the exporter; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  sub->footer(kFooter);
  sub->callback([arguments, &command] {
    command.json = arguments->target.json;
    command.run = [arguments](Session& session) { return run(*arguments, session); };
  });
}

}  // namespace craftbundle::app
