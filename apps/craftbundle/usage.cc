#include "usage.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/shell_text.h"
#include "craftbundle/detail/tensor/dtype_words.h"
#include "manual.h"

namespace craftbundle::app {
namespace {

// Names that other tools have for options of ours.
constexpr std::array<std::pair<std::string_view, std::string_view>, 15> kOtherNames = {{
    {"--codec", "--compression"},
    {"--compression-model", "--compression"},
    {"--language-model", "--lm"},
    {"--model", "--lm"},
    {"--out", "--output"},
    {"--output-dir", "--output"},
    {"--outdir", "--output"},
    {"--to", "--output"},
    {"--dest", "--output"},
    {"--format", "--layout"},
    {"--precision", "--dtype"},
    {"--half", "--dtype"},
    {"--fp16", "--dtype"},
    {"--overwrite", "--force"},
    {"--lora", "--merge"},
}};

// "craftbundle plugins list"
std::string full_name(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent == nullptr ? command.get_name() : full_name(*parent) + " " + command.get_name();
}

std::vector<std::string> names_of(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  return names;
}

// Those of the command, and those of the program, which are taken behind it too.
std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* app = &command; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      const std::vector<std::string> more = names_of(*option);
      names.insert(names.end(), more.begin(), more.end());
    }
  }
  return names;
}

std::vector<std::string> command_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* sub : command.get_subcommands({})) names.push_back(sub->get_name());
  return names;
}

// "SOURCE" of "SOURCE:{a,b}".
std::string type_word(const CLI::Option& option) {
  const std::string name = option.get_type_name();
  return name.substr(0, name.find(':'));
}

// The options that say what a command without arguments works on: components of a bundle.
std::vector<const CLI::Option*> source_options(const CLI::App& command) {
  std::vector<const CLI::Option*> sources;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_positional()) return {};
    const bool is_one = option->get_items_expected_max() == 1 && type_word(*option) == "SOURCE";
    if (is_one) sources.push_back(option);
  }
  return sources;
}

bool is_option(const std::string& word) { return word.size() > 1 && word.front() == '-'; }

Error error_of(std::string_view code, std::string message, std::string hint) {
  return Error(ErrorKind::usage, code, std::move(message), std::move(hint));
}

std::string help_hint(const CLI::App& command) {
  return "'" + full_name(command) + " --help' lists what there is";
}

// Commands that have the option, of all there are.
std::vector<std::string> commands_with(const CLI::App& app, const std::string& option) {
  std::vector<std::string> commands;
  for (const CLI::App* sub : app.get_subcommands({})) {
    const std::vector<std::string> names = option_names(*sub);
    if (std::ranges::count(names, option) != 0) commands.push_back(full_name(*sub));
    const std::vector<std::string> below = commands_with(*sub, option);
    commands.insert(commands.end(), below.begin(), below.end());
  }
  return commands;
}

Error unknown_option(const CLI::App& app, const CLI::App& command, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  const std::vector<std::string> known = option_names(command);
  std::string hint = did_you_mean(name, known);
  const auto other =
      std::ranges::find(kOtherNames, name, [](const auto& pair) { return pair.first; });
  const bool is_renamed =
      other != kOtherNames.end() && std::ranges::count(known, other->second) != 0;
  if (is_renamed) hint = "did you mean " + craftbundle::quoted(other->second) + "?";
  const std::vector<std::string> elsewhere = commands_with(app, name);
  if (!elsewhere.empty() && !is_renamed) hint = "it is an option of " + list_text(elsewhere);
  return error_of("usage.option",
                  full_name(command) + " has no option " + craftbundle::quoted(name),
                  hint.empty() ? help_hint(command) : hint);
}

Error unknown_command(const CLI::App& command, const std::string& word) {
  const std::vector<std::string> commands = command_names(command);
  const std::string near = did_you_mean(word, commands);
  const bool is_nested = command.get_parent() != nullptr;
  return error_of("usage.command",
                  is_nested ? full_name(command) + " has no command " + craftbundle::quoted(word)
                            : "there is no command " + craftbundle::quoted(word),
                  near.empty() ? "there is " + list_text(commands, 32) : near);
}

// A word that is neither an option nor a command, where the command has no place for it.
Error unexpected_word(const CLI::App& command, const std::string& word) {
  std::vector<std::string> places;
  std::vector<std::string> sources;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_positional()) places.push_back(type_word(*option));
  }
  for (const CLI::Option* option : source_options(command)) {
    sources.push_back(names_of(*option).front());
  }
  std::string hint = help_hint(command);
  if (!places.empty()) {
    hint = "it takes " + join(places, " and ") + "; a name with spaces in it needs quotes";
  } else if (!sources.empty()) {
    hint = "say what it is with " + join(sources, ", ");
  }
  return error_of("usage.arguments",
                  full_name(command) + " does not take " + craftbundle::quoted(word), hint);
}

// What a command cannot do without and was not given.
std::vector<std::string> missing(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_required() || option->count() > 0) continue;
    names.push_back(option->get_positional()
                        ? type_word(*option)
                        : names_of(*option).front() + " " + type_word(*option));
  }
  return names;
}

// A message of CLI11 as ours begin: "--state cannot be ...".
std::string parser_text(const CLI::ParseError& error) {
  std::string text = printable(error.what(), 1000);
  while (text.ends_with('\n') || text.ends_with('.')) text.pop_back();
  return text;
}

std::string refusal(const std::string& given, const std::vector<std::string>& choices) {
  const std::string near = did_you_mean(given, choices);
  return craftbundle::quoted(given) + " is none of " + list_text(choices, 32) +
         (near.empty() ? "" : "; " + near);
}

CLI::Validator choice(std::vector<std::string> choices,
                      std::function<std::string(const std::string&)> meant) {
  std::string shown = "{" + join(choices, ",") + "}";
  return CLI::Validator(
      [choices = std::move(choices), meant = std::move(meant)](std::string& value) {
        const std::string word = meant(value);
        if (std::ranges::count(choices, word) == 0) return refusal(value, choices);
        value = word;
        return std::string();
      },
      std::move(shown));
}

// Types of options and arguments that are paths, or may be.
bool is_path(const CLI::Option& option) {
  constexpr std::array<std::string_view, 9> kTypes = {
      "SOURCE", "PATH", "DIR", "DIR|FILE", "SCRIPT", "WAV", "[AUDIO]", "ORIGINAL", "ADAPTER"};
  return std::ranges::count(kTypes, type_word(option)) != 0;
}

}  // namespace

const CLI::App& given_command(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  return *command;
}

std::string usage_line(const CLI::App& command) {
  std::string places;
  std::string options;
  for (const CLI::Option* option : command.get_options()) {
    const std::string word = type_word(*option);
    if (option->get_positional()) {
      places += option->get_required() ? " " + word : " [" + word + "]";
    } else if (option->get_required()) {
      options += " " + names_of(*option).back() + " " + word;
    }
  }
  std::string sources;
  for (const CLI::Option* option : source_options(command)) {
    sources += " [" + names_of(*option).front() + " " + type_word(*option) + "]";
  }
  const bool is_program = command.get_parent() == nullptr;
  if (!command.get_subcommands({}).empty()) {
    places = " " + (is_program ? "COMMAND" : join(command_names(command), "|"));
  }
  return full_name(command) + places + sources + options + " [OPTIONS]";
}

Error usage_error(const CLI::App& app, const CLI::ParseError& error,
                  const std::vector<std::string>& words) {
  const CLI::App& command = given_command(app);
  const std::vector<std::string> extras = app.remaining(true);
  const auto first = [&](auto matches) {
    return std::ranges::find_if(words, [&](const std::string& word) {
      return matches(word) && std::ranges::count(extras, word) != 0;
    });
  };
  const auto option = first(is_option);
  if (option != words.end()) return unknown_option(app, command, *option);
  const bool has_commands = !command.get_subcommands({}).empty();
  if (const auto word = first([](const std::string&) { return true; }); word != words.end()) {
    return has_commands ? unknown_command(command, *word) : unexpected_word(command, *word);
  }
  if (has_commands) {
    return error_of("usage.command", full_name(command) + " needs a command",
                    "there is " + list_text(command_names(command), 32));
  }
  const std::vector<std::string> lacking = missing(command);
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && !lacking.empty()) {
    return error_of("usage.arguments", full_name(command) + " needs " + join(lacking, " and "),
                    help_hint(command));
  }
  // The last word is an option whose value is missing.
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr && !words.empty()) {
    for (const CLI::App* one = &command; one != nullptr; one = one->get_parent()) {
      for (const CLI::Option* given : one->get_options()) {
        if (given->get_positional() || !given->check_name(words.back())) continue;
        return error_of("usage.arguments", words.back() + " needs a value: " + type_word(*given),
                        help_hint(command));
      }
    }
  }
  return error_of("usage.arguments", parser_text(error), help_hint(command));
}

CLI::Validator one_of(std::vector<std::string> choices) {
  return choice(std::move(choices), [](const std::string& value) { return value; });
}

CLI::Validator element_type(std::vector<std::string> choices) {
  return choice(std::move(choices), [](const std::string& value) {
    const std::optional<DType> dtype = dtype_from_word(value);
    return dtype ? std::string(name(*dtype)) : value;
  });
}

CLI::Validator no_standard_output(const std::string& why) {
  return CLI::Validator(
      [why](const std::string& value) {
        return value == "-" ? "standard output does not do, " + why + "; a file of that name is ./-"
                            : std::string();
      },
      "");
}

void expand_paths(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (is_path(*option))
      option->transform([](const std::string& path) { return expand_home(path); });
  }
  for (CLI::App* sub : app.get_subcommands({})) expand_paths(*sub);
}

void add_help(CLI::App& app, Command& command) {
  CLI::App* help = app.add_subcommand("help", "Show how a command is called");
  const auto words = std::make_shared<std::vector<std::string>>();
  help->add_option("command", *words, "Command")->type_name("COMMAND");
  const auto manual = std::make_shared<bool>(false);
  help->add_flag("--man", *manual, "Print the manual page instead, for man -l -");
  help->callback([&app, words, manual, &command] {
    command.run = [&app, words, manual](Session& session) {
      if (*manual) {
        session.print(manual_page(app, app.version()));
        return kExitDone;
      }
      const CLI::App* shown = &app;
      for (const std::string& word : *words) {
        const auto subs = shown->get_subcommands({});
        const auto sub =
            std::ranges::find(subs, word, [](const CLI::App* one) { return one->get_name(); });
        if (sub == subs.end()) throw unknown_command(*shown, word);
        shown = *sub;
      }
      // App::help() would be about this very command.
      session.print(
          shown->get_formatter()->make_help(shown, full_name(*shown), CLI::AppFormatMode::Normal));
      return kExitDone;
    };
  });
  app.add_subcommand("version", "Print the version")->callback([&app, &command] {
    command.run = [&app](Session& session) {
      session.print(app.version() + "\n");
      return kExitDone;
    };
  });
}

}  // namespace craftbundle::app
