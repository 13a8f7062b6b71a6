// craftbundle bundle: all components of a model as a directory.
#include "craftbundle/bundle/bundle.h"

#include <memory>

#include "arguments.h"
#include "commands.h"
#include "craftbundle/base/text.h"
#include "report.h"

namespace craftbundle::app {
namespace {

constexpr const char* kFooter = R"(
A source is a checkpoint of a training, an exported file, a directory that holds checkpoint.th,
a Dora signature (//sig/9f2c with --xps), or the name of a pretrained model. That the components
fit is checked before anything is written.

Examples:
  craftbundle bundle --lm xps/9f2c/checkpoint.th --compression xps/77aa/checkpoint.th -o my_model
  craftbundle bundle --lm //sig/9f2c --xps /checkpoints/xps --compression NAME -o my_model
  craftbundle bundle --lm xps/9f2c --lm-option state=ema --compression old_model/compression_state_dict.bin \
      -o my_model --force)";

// One of the roles that have options of their own.
struct Half {
  std::string source;
  std::string exporter;
  std::vector<std::string> options;

  void declare(CLI::App& command, const std::string& role, const std::string& what) {
    command.add_option("--" + role, source, "Source of " + what)->type_name("SOURCE");
    command
        .add_option("--" + role + "-option", options,
                    "Option of the exporter of " + what + "; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    command.add_option("--" + role + "-exporter", exporter, "Exporter to use for " + what)
        ->type_name("NAME");
  }
};

struct Arguments {
  Half lm;
  Half compression;
  std::vector<std::string> others;  // "role=source"
  SourceArguments how;
  TargetArguments target;
  bool allow_mismatch = false;
};

std::vector<PreparedComponent> prepare_all(const Arguments& arguments, Session& session) {
  std::vector<PreparedComponent> components;
  const auto add_half = [&](const Half& half, std::string_view role) {
    if (half.source.empty()) return;
    components.push_back(prepare(half.source, arguments.how, std::string(role), half.exporter,
                                 half.options, session));
  };
  add_half(arguments.lm, kLanguageModelRole);
  add_half(arguments.compression, kCompressionRole);
  for (const std::string& other : arguments.others) {
    const std::size_t equals = other.find('=');
    if (equals == std::string::npos) {
      throw Error(ErrorKind::usage, "option.syntax",
                  "component " + craftbundle::quoted(other) + " has no source",
                  "write it as ROLE=SOURCE");
    }
    components.push_back(
        prepare(other.substr(equals + 1), arguments.how, other.substr(0, equals), {}, {}, session));
  }
  if (components.empty()) {
    throw Error(ErrorKind::usage, "bundle.empty", "no component was given",
                "name sources with --lm and --compression");
  }
  return components;
}

int run(const Arguments& arguments, Session& session) {
  const std::vector<PreparedComponent> components = prepare_all(arguments, session);
  BundleOptions options;
  arguments.target.fill(options, session);
  options.allow_mismatch = arguments.allow_mismatch;
  const BundleReport report = write_bundle(components, arguments.target.output, options);
  if (arguments.target.json) {
    session.print(dump_pretty(bundle_json(report)));
  } else if (!session.quiet()) {
    session.print(bundle_text(report));
  }
  return kExitDone;
}

}  // namespace

void add_bundle(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("bundle", "Write a complete bundle as a directory");
  const auto arguments = std::make_shared<Arguments>();
  arguments->lm.declare(*sub, std::string(kLanguageModelRole), "the language model");
  arguments->compression.declare(*sub, std::string(kCompressionRole), "the compression model");
  sub->add_option("--component", arguments->others,
                  "Source of a further component; may be repeated")
      ->type_name("ROLE=SOURCE")
      ->allow_extra_args(false);
  arguments->target.declare(*sub, "Directory to create; missing parents are created");
  arguments->how.declare_state(*sub);
  arguments->how.declare_dtype(*sub);
  arguments->how.several = true;
  arguments->how.declare_xps(*sub);
  sub->add_flag("--allow-mismatch", arguments->allow_mismatch,
                "Write the bundle even when its components do not fit; is recorded");
  sub->footer(kFooter);
  sub->callback([arguments, &command] {
    command.json = arguments->target.json;
    command.run = [arguments](Session& session) { return run(*arguments, session); };
  });
}

}  // namespace craftbundle::app
