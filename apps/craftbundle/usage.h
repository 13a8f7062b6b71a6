// What is wrong with a command line, and how a command is called.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "commands.h"
#include "craftbundle/detail/base/error.h"

namespace craftbundle::app {

// The command that was given, as far as it is known; `app` when none is.
const CLI::App& given_command(const CLI::App& app);

// "craftbundle export SOURCE -o PATH [OPTIONS]"
std::string usage_line(const CLI::App& command);

// What `error`, thrown by app.parse(), means to whoever typed `words`: a word that is no option or
// command is named before what is missing because of it.
Error usage_error(const CLI::App& app, const CLI::ParseError& error,
                  const std::vector<std::string>& words);

// One of `choices`; says which one may be meant.
CLI::Validator one_of(std::vector<std::string> choices);
// The same for names of element types, of which other words are taken too: "fp16", "half".
CLI::Validator element_type(std::vector<std::string> choices);

// Refuses "-", which stands for standard output; `why`: "a bundle is a directory".
CLI::Validator no_standard_output(const std::string& why);

// Makes options and arguments that are paths know "~", which shells leave alone in --output=~/x.
void expand_paths(CLI::App& app);

// The commands `help` and `version`.
void add_help(CLI::App& app, Command& command);

}  // namespace craftbundle::app
