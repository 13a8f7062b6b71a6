#include "manual.h"

#include <CLI/CLI.hpp>
#include <sstream>
#include <string_view>

#include "usage.h"

namespace craftbundle::app {
namespace {

constexpr std::string_view kEnvironment = R"(.SH ENVIRONMENT
.TP
.B CRAFTBUNDLE_PLUGIN_PATH
Directories of plugins, absolute and separated by colons, after those of
.BR \-\-plugin\-dir .
.TP
.B AUDIOCRAFT_DORA_DIR
Directory that holds xps, for sources like //sig/9f2c.
.TP
.B AUDIOCRAFT_REFERENCE_DIR
Directory of sources like //reference/PATH.
.TP
.BR HF_HUB_CACHE ", " HF_HOME
Where the cache of the model hub lies.
.TP
.BR NO_COLOR ", " CLICOLOR ", " CLICOLOR_FORCE
No colours when NO_COLOR has a value or CLICOLOR is 0; colours for pipes too when CLICOLOR_FORCE is 1.
.TP
.B TMPDIR
Directory of temporary files.
)";

// Text as roff shows it.
std::string roff(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const bool begins_line = shown.empty() || shown.back() == '\n';
    if (begins_line && (c == '.' || c == '\'')) shown += "\\&";
    if (c == '\\') {
      shown += "\\e";
    } else if (c == '-') {
      shown += "\\-";
    } else {
      shown += c;
    }
  }
  return shown;
}

// Lines as they are, in a fixed pitch; headings ("Examples:") in bold.
std::string verbatim(const std::string& text) {
  std::string shown;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) {
      shown += ".sp\n";
    } else if (line.front() != ' ' && line.back() == ':') {
      shown += ".B " + roff(line) + "\n";
    } else {
      shown += roff(line) + "\n";
    }
  }
  return ".nf\n" + shown + ".fi\n";
}

std::string options_text(const CLI::App& command) {
  std::string text;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group().empty()) continue;
    const std::string type = option->get_type_name();
    const std::string word = type.substr(0, type.find(':'));
    std::string names;
    for (const std::string& name : option->get_snames())
      names += (names.empty() ? "-" : ", -") + name;
    for (const std::string& name : option->get_lnames()) {
      names += (names.empty() ? "--" : ", --") + name;
    }
    const bool has_value = option->get_items_expected_max() > 0;
    text += ".TP\n";
    if (option->get_positional()) {
      text += ".I " + roff(word) + "\n";
    } else {
      text +=
          "\\fB" + roff(names) + "\\fR" + (has_value ? " \\fI" + roff(word) + "\\fR" : "") + "\n";
    }
    text += roff(option->get_description());
    if (type.size() > word.size()) text += " (" + roff(type.substr(word.size() + 1)) + ")";
    text += ".\n";
  }
  return text;
}

// Of a command and those below it.
std::string commands_text(const CLI::App& app) {
  std::string text;
  for (const CLI::App* command : app.get_subcommands({})) {
    text += ".SS " + roff(usage_line(*command)) + "\n" + roff(command->get_description()) + ".\n";
    text += options_text(*command);
    const std::string footer = command->get_footer();
    if (!footer.empty()) text += ".PP\n" + verbatim(footer);
    text += commands_text(*command);
  }
  return text;
}

}  // namespace

std::string manual_page(const CLI::App& app, const std::string& version) {
  return ".TH CRAFTBUNDLE 1 \"\" \"" + roff(version) + "\" \"User Commands\"\n" +
         ".SH NAME\ncraftbundle \\- exports training checkpoints as complete, checked model "
         "bundles\n" +
         ".SH SYNOPSIS\n.B craftbundle\n.I COMMAND\n[\\fIOPTIONS\\fR]\n" + ".SH DESCRIPTION\n" +
         roff(app.get_description()) + "\n.PP\n" + verbatim(app.get_footer()) + ".SH OPTIONS\n" +
         "Those of every command.\n" + options_text(app) + ".SH COMMANDS\n" + commands_text(app) +
         std::string(kEnvironment);
}

}  // namespace craftbundle::app
