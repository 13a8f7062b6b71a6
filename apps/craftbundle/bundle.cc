// craftbundle bundle: all components of a model as a directory.
#include <algorithm>
#include <memory>
#include <utility>

#include "arguments.h"
#include "commands.h"
#include "craftbundle/detail/base/text.h"
#include "report.h"

namespace craftbundle::app {
namespace {

constexpr const char* kFooter = R"(
A source is a checkpoint of a training, an exported file, a directory that holds checkpoint.th or
a bundle, a Dora signature (//sig/9f2c with --xps), the name of a pretrained model, or that of a
model in the cache of the hub, which the text encoder always is. Nothing is downloaded. That the
components fit is checked before anything is written.

Examples:
  craftbundle bundle --lm xps/9f2c/checkpoint.th --compression xps/77aa/checkpoint.th -o my_model
  craftbundle bundle --lm //sig/9f2c --xps /checkpoints/xps --compression NAME -o my_model
  craftbundle bundle --lm xps/9f2c --lm-option state=ema --compression old_model/compression_state_dict.bin \
      -o my_model --force
  craftbundle bundle --lm old_model --compression old_model --text-encoder NAME --layout LAYOUT \
      -o my_model)";

// One of the roles that have options of their own.
struct Half {
  std::string source;
  std::string exporter;
  std::vector<std::string> options;

  void declare(CLI::App& command, const std::string& name, const std::string& what) {
    command.add_option("--" + name, source, "Source of " + what)->type_name("SOURCE");
    command
        .add_option("--" + name + "-option", options,
                    "Option of the exporter of " + what + "; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    command.add_option("--" + name + "-exporter", exporter, "Exporter to use for " + what)
        ->type_name("EXPORTER");
  }
};

struct Arguments {
  Half lm;
  Half compression;
  Half text_encoder;
  std::vector<std::string> others;    // "role=source"
  std::vector<std::string> for_role;  // "role:name=value"
  SourceArguments how;
  LayoutArguments layout;
  TargetArguments target;
  bool allow_mismatch = false;
  bool embed = false;
};

// --for ROLE:NAME=VALUE for options of one component; NAME `exporter` names its exporter.
void take_own(const Arguments& arguments, const std::string& role, Half& half) {
  for (const std::string& given : arguments.for_role) {
    if (!given.starts_with(role + ":")) continue;
    const std::string option = given.substr(role.size() + 1);
    constexpr std::string_view kExporter = "exporter=";
    if (option.starts_with(kExporter)) {
      half.exporter = option.substr(kExporter.size());
    } else {
      half.options.push_back(option);
    }
  }
}

// The components asked for, in the order of the command line: role and how to get it.
std::vector<std::pair<std::string, Half>> all_halves(const Arguments& arguments) {
  std::vector<std::pair<std::string, Half>> halves;
  if (!arguments.lm.source.empty()) halves.emplace_back(kLanguageModelRole, arguments.lm);
  if (!arguments.compression.source.empty()) {
    halves.emplace_back(kCompressionRole, arguments.compression);
  }
  if (!arguments.text_encoder.source.empty()) {
    halves.emplace_back(kTextEncoderRole, arguments.text_encoder);
  }
  for (const std::string& other : arguments.others) {
    const std::size_t equals = other.find('=');
    if (equals == std::string::npos) {
      throw Error(ErrorKind::usage, "option.syntax",
                  "component " + craftbundle::quoted(other) + " has no source",
                  "write it as ROLE=SOURCE");
    }
    halves.emplace_back(other.substr(0, equals), Half{other.substr(equals + 1), {}, {}});
  }
  return halves;
}

// Each --for must be about a component that is there.
void check_roles_of(const Arguments& arguments,
                    const std::vector<std::pair<std::string, Half>>& halves) {
  for (const std::string& given : arguments.for_role) {
    const std::size_t colon = given.find(':');
    const std::string role = given.substr(0, colon);
    const bool known =
        std::ranges::any_of(halves, [&](const auto& half) { return half.first == role; });
    if (colon != std::string::npos && known) continue;
    throw Error(
        ErrorKind::usage, "option.syntax",
        "--for " + craftbundle::quoted(given) +
            (colon == std::string::npos ? std::string(" names no component")
                                        : ": there is no component " + craftbundle::quoted(role)),
        "write it as ROLE:NAME=VALUE, for example compression:dtype=float32");
  }
}

std::vector<ComponentChoice> choices(const Arguments& arguments, const Host& host) {
  std::vector<std::pair<std::string, Half>> halves = all_halves(arguments);
  if (halves.empty()) {
    throw Error(ErrorKind::usage, "bundle.empty", "no component was given",
                "name sources with --lm and --compression");
  }
  check_roles_of(arguments, halves);
  std::vector<ComponentChoice> components;
  for (auto& [role, half] : halves) {
    take_own(arguments, role, half);
    components.push_back(
        choose(half.source, arguments.how, role, half.exporter, parse_options(half.options), host));
  }
  return components;
}

int run(const Arguments& arguments, Session& session) {
  const BundleJob job = {.components = choices(arguments, session.host()),
                         .output = arguments.target.output,
                         .layout = arguments.layout.choice(),
                         .allow_mismatch = arguments.allow_mismatch,
                         .embed = arguments.embed,
                         .publish = arguments.target.publish(session)};
  print_bundle(bundle(session.host(), job), arguments.target.json, session);
  return kExitDone;
}

}  // namespace

void add_bundle(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("bundle", "Write a complete bundle as a directory");
  const auto arguments = std::make_shared<Arguments>();
  arguments->lm.declare(*sub, std::string(kLanguageModelRole), "the language model");
  arguments->compression.declare(*sub, std::string(kCompressionRole), "the compression model");
  arguments->text_encoder.declare(*sub, "text-encoder", "the text encoder");
  sub->add_option("--component", arguments->others,
                  "Source of a further component; may be repeated")
      ->type_name("ROLE=SOURCE")
      ->allow_extra_args(false);
  sub->add_option("--for", arguments->for_role,
                  "Option of one component, or its exporter (ROLE:exporter=NAME); may be repeated")
      ->type_name("ROLE:NAME=VALUE")
      ->allow_extra_args(false);
  arguments->target.declare(*sub, "Directory to create; missing parents are created");
  arguments->layout.declare(*sub);
  arguments->how.declare_state(*sub);
  arguments->how.declare_dtype(*sub);
  arguments->how.several = true;
  arguments->how.declare_xps(*sub);
  sub->add_flag("--allow-mismatch", arguments->allow_mismatch,
                "Write the bundle even when its components do not fit; is recorded");
  sub->add_flag("--embed", arguments->embed, kEmbedHelp);
  sub->footer(kFooter);
  sub->callback([arguments, &command] {
    command.json = arguments->target.json;
    command.run = [arguments](Session& session) { return run(*arguments, session); };
  });
}

}  // namespace craftbundle::app
