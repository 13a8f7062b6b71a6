// craftbundle export: one component as a file.
#include <memory>

#include "arguments.h"
#include "commands.h"
#include "craftbundle/bundle/bundle.h"
#include "report.h"

namespace craftbundle::app {
namespace {

constexpr const char* kFooter = R"(
SOURCE is a checkpoint of a training, an exported file, a directory that holds checkpoint.th,
a Dora signature (//sig/9f2c with --xps), or the name of a pretrained model.

Examples:
  craftbundle export xps/77aa/checkpoint.th -o out/compression_state_dict.bin
  craftbundle export xps/9f2c/checkpoint.th --state ema -o out/state_dict.bin
  craftbundle export xps/9f2c/checkpoint.th --dtype float16 -o out/state_dict.bin
  craftbundle export xps/77aa/checkpoint.th --layout torchscript -o out/codec.ts
  craftbundle export //sig/9f2c --xps /checkpoints/xps -o out/state_dict.bin --json)";

struct Arguments {
  std::string source;
  SourceArguments how;
  TargetArguments target;
  std::string exporter;
  std::vector<std::string> options;
  LayoutArguments layout;
};

int run(const Arguments& arguments, Session& session) {
  const LayoutChoice layout = arguments.layout.choice(session);
  const PreparedComponent component = prepare(arguments.source, arguments.how, std::nullopt,
                                              arguments.exporter, arguments.options, session);
  PublishOptions options;
  arguments.target.fill(options, session);
  const ExportReport report =
      write_component(component, layout, session.host(), arguments.target.output, options);
  const ManifestComponent described = describe_component(component);
  if (arguments.target.json) {
    Json json = export_json(described, report);
    json["layout"] = layout.name;
    session.print(dump_pretty(json));
  } else if (!session.quiet()) {
    session.print(export_text(described, report, layout.name));
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
  arguments->layout.declare(*sub);
  arguments->how.declare_xps(*sub);
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
