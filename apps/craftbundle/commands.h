// The commands. Each add_...() declares a subcommand of `app`; when it is given, `command` becomes
// what to run.
#pragma once

#include "session.h"

namespace CLI {
class App;
}

namespace craftbundle::app {

void add_export(CLI::App& app, Command& command);
void add_bundle(CLI::App& app, Command& command);
void add_convert(CLI::App& app, Command& command);
void add_inspect(CLI::App& app, Command& command);
void add_verify(CLI::App& app, Command& command);
void add_card(CLI::App& app, Command& command);
void add_run(CLI::App& app, Command& command);
void add_explain(CLI::App& app, Command& command);
void add_graph(CLI::App& app, Command& command);
void add_plugins(CLI::App& app, Command& command);
void add_completion(CLI::App& app, Command& command);

}  // namespace craftbundle::app
