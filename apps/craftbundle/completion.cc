// craftbundle completion: a script that makes the shell complete commands and options.
#include <CLI/CLI.hpp>

#include "commands.h"

namespace craftbundle::app {
namespace {

constexpr const char* kFooter = R"(
Example:
  craftbundle completion bash > ~/.local/share/bash-completion/completions/craftbundle)";

std::string words_of(const CLI::App& app) {
  std::string words;
  for (const CLI::App* sub : app.get_subcommands({})) words += sub->get_name() + " ";
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words += "--" + name + " ";
    for (const std::string& name : option->get_snames()) words += "-" + name + " ";
  }
  return words;
}

// A case for `app` and those below it; `path` is how the words so far read, "plugins list".
std::string cases(const CLI::App& app, const std::string& path) {
  std::string text = "    '" + path + "') words='" + words_of(app) + "' ;;\n";
  for (const CLI::App* sub : app.get_subcommands({})) {
    text += cases(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name());
  }
  return text;
}

std::string bash_script(const CLI::App& app) {
  std::string commands;
  for (const CLI::App* sub : app.get_subcommands({})) {
    commands += (commands.empty() ? "" : "|") + sub->get_name();
    for (const CLI::App* below : sub->get_subcommands({})) commands += "|" + below->get_name();
  }
  return "_craftbundle() {\n"
         "  local path='' words word\n"
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
         "    case $word in\n      " +
         commands +
         ") path=\"${path:+$path }$word\" ;;\n"
         "    esac\n"
         "  done\n"
         "  case $path in\n" +
         cases(app, "") +
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
         "}\n"
         "complete -o default -F _craftbundle craftbundle\n";
}

}  // namespace

void add_completion(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("completion", "Print a completion script for the shell");
  sub->require_subcommand(1);
  sub->footer(kFooter);
  sub->add_subcommand("bash", "For bash")->callback([&app, &command] {
    command.run = [&app](Session& session) {
      session.print(bash_script(app));
      return kExitDone;
    };
  });
}

}  // namespace craftbundle::app
