// craftbundle card: the model card of a bundle, without a run script.
#include <boost/filesystem/operations.hpp>
#include <memory>

#include "arguments.h"
#include "commands.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/io/output_file.h"
#include "craftbundle/detail/pipeline/card.h"

namespace craftbundle::app {
namespace {

namespace fs = boost::filesystem;

constexpr const char* kFooter = R"(
What a person writes above or below the marked part of a card stays when the card is written again.

Examples:
  craftbundle card my_model --metadata license=cc-by-nc-4.0 --metadata 'tags=[music, audiocraft]'
  craftbundle card my_model --print)";

struct Arguments {
  std::string bundle;
  std::string output;
  CardOptions card;
  std::vector<std::string> metadata;
  bool force = false;
  bool print = false;
};

// "NAME=VALUE", the value as YAML.
YamlNode::Entry metadata_entry(const std::string& text) {
  const auto fail = [&](const std::string& what) {
    return Error(ErrorKind::usage, "usage.arguments",
                 "--metadata " + craftbundle::quoted(text) + ": " + what,
                 "write it as NAME=VALUE, the value as in YAML: 'tags=[a, b]'");
  };
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) throw fail("is no NAME=VALUE");
  YamlNode::Entry entry;
  entry.key.text = text.substr(0, equals);
  const std::string value = text.substr(equals + 1);
  if (value.empty()) return entry;
  YamlOptions options;
  options.error = [&](const YamlMark& /*mark*/, const std::string& what) { return fail(what); };
  entry.value = parse_yaml(value, options);
  return entry;
}

void write_card(const std::string& card, const Path& target, bool force) {
  std::string text = card;
  boost::system::error_code ignored;
  bool replace = force;
  if (fs::exists(target, ignored) && !force) {
    const InputFile there(target);
    std::optional<std::string> updated = update_card(there.read_text(0, there.size()), card);
    if (!updated) {
      throw Error(ErrorKind::usage, "target.exists",
                  path_text(target) + " was written or changed by hand",
                  "--force replaces it, --print shows the card");
    }
    text = *std::move(updated);
    replace = true;
  }
  OutputFile file(target.has_parent_path() ? target.parent_path() : Path("."), Durability::sync);
  file.write(text);
  file.publish(target, replace);
}

int run(Arguments arguments, Session& session) {
  arguments.card.metadata.type = YamlNode::Type::map;
  for (const std::string& text : arguments.metadata) {
    arguments.card.metadata.entries.push_back(metadata_entry(text));
  }
  const std::string card = make_card(arguments.bundle, arguments.card, session.host());
  if (arguments.print) {
    session.print(card);
    return kExitDone;
  }
  const Path target =
      arguments.output.empty() ? Path(arguments.bundle) / "README.md" : Path(arguments.output);
  write_card(card, target, arguments.force);
  if (!session.quiet()) session.print(path_text(target) + ": model card\n");
  return kExitDone;
}

}  // namespace

void add_card(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("card", "Write a model card (README.md) for a bundle");
  const auto arguments = std::make_shared<Arguments>();
  sub->add_option("bundle", arguments->bundle, "Directory of the bundle")
      ->required()
      ->type_name("DIR");
  sub->add_option("-o,--output", arguments->output,
                  "File to write, instead of README.md in the bundle")
      ->type_name("FILE");
  sub->add_option("--title", arguments->card.title, "Title, instead of the directory's name")
      ->type_name("TEXT");
  sub->add_option("--description", arguments->card.description, "Markdown below the title")
      ->type_name("TEXT");
  sub->add_option("--metadata", arguments->metadata,
                  "Value for model hubs, like license=mit; the value is YAML; repeatable")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  sub->add_option("--config", arguments->card.config,
                  "Key of the training's configuration to show, or all; repeatable")
      ->type_name("KEY")
      ->allow_extra_args(false);
  sub->add_flag("--force", arguments->force, "Replace a card that was changed by hand");
  sub->add_flag("--print", arguments->print, "Print the card and write nothing");
  sub->footer(kFooter);
  sub->callback([arguments, &command] {
    command.run = [arguments](Session& session) { return run(*arguments, session); };
  });
}

}  // namespace craftbundle::app
