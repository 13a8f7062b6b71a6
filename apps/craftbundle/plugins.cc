// craftbundle plugins: what plugins offer.
#include <algorithm>
#include <boost/filesystem.hpp>
#include <chrono>
#include <memory>

#include "arguments.h"
#include "commands.h"
#include "craftbundle/detail/api/json.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/transform.h"
#include "craftbundle/detail/host/scan.h"
#include "new_plugin.h"
#include "table.h"

namespace craftbundle::app {
namespace {

constexpr const char* kFooter = R"(
Examples:
  craftbundle plugins list
  craftbundle plugins info NAME
  craftbundle plugins dirs
  craftbundle plugins check build/my_codec.so a_checkpoint.th
  craftbundle plugins new my_codec --codec)";

// A field in one line. Lists of descriptions have a block() instead.
std::string cell(const std::string& text) { return printable(text); }

template <typename T>
requires std::is_enum_v<T> std::string cell(T word) { return std::string(to_string(word)); }

std::string cell(const std::vector<std::string>& texts) {
  std::vector<std::string> shown;
  for (const std::string& text : texts) shown.push_back(printable(text));
  return join(shown, ", ");
}

// {label, value} of each field of this kind of offer that fits in a line.
template <typename Info>
std::vector<std::pair<std::string, std::string>> own_cells(const Info& info) {
  std::vector<std::pair<std::string, std::string>> cells;
  Info::visit(info, [&](const Field& field, const auto& value) {
    if constexpr (requires { cell(value); }) {
      cells.emplace_back(field.label, cell(value));
    }
  });
  return cells;
}

template <typename Info>
std::string offers_text(const std::vector<FoundOffer<Info>>& offers) {
  if (offers.empty()) return {};
  Table table({std::string(Info::kKind), own_cells(*offers.front().info).front().first, "plugin",
               "version", "library"});
  for (const FoundOffer<Info>& offer : offers) {
    table.add({offer.info->name, own_cells(*offer.info).front().second, offer.plugin->info.name,
               printable(offer.plugin->info.version), path_text(offer.plugin->library)});
  }
  return table.text();
}

int list(bool json, Session& session) {
  const Host& host = session.host();
  if (json) {
    session.print(json_document(plugins_json(host)));
    return kExitDone;
  }
  std::string text;
  if (host.plugins().empty()) {
    text = "no plugins; 'craftbundle plugins dirs' shows where they are looked for\n";
  } else {
    PluginInfo().for_each_kind(
        [&]<typename Info>(const std::vector<Info>&) { text += offers_text(host.offers<Info>()); });
  }
  if (!host.refused().empty()) text += "refused\n";
  for (const RefusedPlugin& refused : host.refused()) {
    text += "  " + path_text(refused.library) + ": " + refused.reason + " [" + refused.code + "]\n";
  }
  session.print(text);
  return kExitDone;
}

std::string block(const std::vector<OptionSpec>& options) {
  std::string text = options.empty() ? "" : "options\n";
  for (const OptionSpec& option : options) {
    text += "  " + option.name + "=" + std::string(to_string(option.type));
    if (!option.default_value.empty()) text += ", default " + printable(option.default_value);
    if (!option.choices.empty()) text += ", one of " + list_text(option.choices);
    text += "\n      " + printable(option.doc, 1000) + "\n";
  }
  return text;
}

std::string block(const std::vector<AcceptedSource>& sources) {
  std::string text = "takes\n";
  for (const AcceptedSource& source : sources) {
    text += "  " + printable(source.what);
    if (!source.names.empty()) text += ": " + list_text(source.names, 32);
    text += "\n";
  }
  return text;
}

std::string block(const std::vector<LayoutInfo::Part>& parts) {
  Table table;
  for (const LayoutInfo::Part& part : parts) {
    table.add({part.role == "*" ? "any other" : printable(part.role), printable(part.file)});
  }
  return "components and their files\n" + table.text();
}

template <typename Info>
std::string info_text(const FoundOffer<Info>& offer) {
  const FoundPlugin& plugin = *offer.plugin;
  const Info& info = *offer.info;
  Table table;
  for (const auto& [label, value] : own_cells(info)) table.add({label, value});
  table.add({"revision", std::to_string(info.revision)});
  table.add({"plugin", plugin.info.name + " " + printable(plugin.info.version)});
  table.add({"library", path_text(plugin.library) + " (" + plugin.origin + ")"});
  std::string text = std::string(Info::kKind) + " " + info.name + ": " + printable(info.summary) +
                     "\n" + table.text();
  visit_fields(info, [&](const Field&, const auto& value) {
    if constexpr (requires { block(value); }) text += block(value);
  });
  if constexpr (std::is_same_v<Info, ExporterInfo>) {
    std::vector<std::string> names;
    for (const OptionSpec& option : transform_options()) names.push_back(option.name);
    text += "  and, as for every model, " + list_text(names) + "\n";
  }
  return text;
}

int info(const std::string& name, bool json, Session& session) {
  std::string text;
  std::vector<std::string> names;
  PluginInfo().for_each_kind([&]<typename Info>(const std::vector<Info>&) {
    for (const FoundOffer<Info>& offer : session.host().offers<Info>()) {
      names.push_back(offer.info->name);
      if (offer.info->name != name && offer.plugin->info.name != name) continue;
      text += info_text(offer);
    }
  });
  if (text.empty()) {
    const std::string near = did_you_mean(name, names);
    throw Error(ErrorKind::usage, "exporter.unknown",
                "no exporter or plugin is named " + craftbundle::quoted(name),
                near.empty() ? "'craftbundle plugins list' shows what there is" : near);
  }
  session.print(json ? json_document(offers_json(session.host(), name)) : text);
  return kExitDone;
}

int directories(bool json, Session& session) {
  Table table({"from", "there", "directory"});
  Json list = Json::array();
  for (const SearchDirectory& directory : search_directories(session.search(), session.console())) {
    boost::system::error_code ignored;
    const bool there = boost::filesystem::is_directory(directory.path, ignored);
    table.add({directory.origin, there ? "yes" : "no", path_text(directory.path)});
    list.push_back(
        {{"directory", directory.path.string()}, {"origin", directory.origin}, {"there", there}});
  }
  session.print(json ? json_document({{"directories", list}}) : table.text());
  return kExitDone;
}

// What `plugins new` is asked for.
struct NewPlugin {
  std::string name;
  std::string directory;  // empty: the name
  bool codec = false;
  bool layout = false;
  bool stage = false;
};

int start_project(const NewPlugin& plugin, Session& session) {
  const Path directory = absolute_path(plugin.directory.empty() ? plugin.name : plugin.directory);
  std::set<std::string> parts;
  if (plugin.codec) parts.insert("codec");
  if (plugin.layout) parts.insert("layout");
  if (plugin.stage) parts.insert("stage");
  write_plugin_project(plugin.name, parts, directory);
  const std::string place = shell_word(plugin.directory.empty() ? plugin.name : plugin.directory);
  // Where CMake finds the package, unless it looks there by itself.
  std::string package;
  boost::system::error_code failure;
  const Path prefix =
      boost::filesystem::canonical("/proc/self/exe", failure).parent_path().parent_path();
  const bool known = prefix == "/usr" || prefix == "/usr/local";
  if (!failure && !known &&
      boost::filesystem::is_directory(prefix / "include/craftbundle", failure)) {
    package = " -DCMAKE_PREFIX_PATH=" + shell_word(prefix.string());
  }
  session.print(place + ": a plugin that works: put your codec in its place\nnext\n  cmake -S " +
                place + " -B " + place + "/build" + package + " && cmake --build " + place +
                "/build && ctest --test-dir " + place + "/build\n  craftbundle --plugin-dir " +
                place + "/build plugins info " + plugin.name + "\n");
  return kExitDone;
}

struct CheckedPlugin {
  std::string library;
  std::vector<std::string> sources;
  bool strict = false;
};

// "ok", "failed", or "not all" when something was not there to be looked at.
std::string_view state_of(const PluginCheck& check) {
  if (!check.passed) return "failed";
  return check.not_checked.empty() ? "ok" : "not all";
}

Json check_json(const Path& library, const std::vector<PluginCheck>& checks, bool complete,
                bool passed) {
  Json json;
  json["library"] = library.string();
  json["passed"] = passed;
  json["complete"] = complete;
  json["checks"] = Json::array();
  for (const PluginCheck& check : checks) {
    Json entry;
    entry["name"] = check.name;
    entry["description"] = check.description;
    entry["state"] = state_of(check);
    entry["detail"] = check.detail;
    entry["during"] = check.during;
    entry["kept"] = check.kept.empty() ? Json() : Json(check.kept.string());
    entry["holds"] = check.holds;
    entry["not_checked"] = check.not_checked;
    json["checks"].push_back(std::move(entry));
  }
  return json;
}

std::string check_text(const std::vector<PluginCheck>& checks) {
  std::string text;
  for (const PluginCheck& check : checks) {
    const std::string word = check.passed ? std::string(state_of(check)) : "FAILED";
    text += word + std::string(9 - word.size(), ' ') + check.name + ": " + check.description + "\n";
    const std::string indent(9, ' ');
    if (!check.passed) text += indent + check.detail + "\n";
    if (!check.during.empty()) text += indent + "in " + check.during + "\n";
    if (!check.kept.empty()) {
      text += indent + "kept: " + path_text(check.kept) + ", which holds " + check.holds + "\n";
    }
    for (const std::string& missing : check.not_checked) {
      text += indent + "not checked: " + missing + "\n";
    }
  }
  return text;
}

int check(const CheckedPlugin& arguments, bool json, Session& session) {
  const Path library = absolute_path(arguments.library).lexically_normal();
  std::vector<Path> sources;
  for (const std::string& source : arguments.sources) {
    sources.push_back(absolute_path(source).lexically_normal());
    boost::system::error_code ignored;
    if (boost::filesystem::exists(sources.back(), ignored)) continue;
    throw Error(ErrorKind::usage, "check.source",
                craftbundle::quoted(source) +
                    " is not there, expected a file or directory that the "
                    "plugin is to be tried with");
  }
  ScanOptions options;
  options.time_limit = std::chrono::minutes(1);
  options.cancellation = &session.cancellation();
  options.show_output = true;
  const std::vector<PluginCheck> checks = check_plugin(library, sources, options);
  const bool passed = std::ranges::all_of(checks, &PluginCheck::passed);
  const bool complete =
      std::ranges::all_of(checks, [](const PluginCheck& one) { return one.not_checked.empty(); });
  if (json) {
    session.print(json_document(check_json(library, checks, complete, passed)));
  } else {
    session.print(check_text(checks) + (!passed ? "the plugin breaks the contract\n"
                                        : complete
                                            ? "the plugin keeps the contract\n"
                                            : "nothing failed, and not everything was checked\n"));
  }
  return passed && (complete || !arguments.strict) ? kExitDone : kExitMismatch;
}

}  // namespace

void add_plugins(CLI::App& app, Command& command) {
  CLI::App* sub =
      app.add_subcommand("plugins", "Show which exporters there are, and start new ones");
  sub->require_subcommand(1);
  sub->footer(kFooter);
  const auto json = std::make_shared<bool>(false);
  const auto name = std::make_shared<std::string>();
  const auto declare = [&](const char* word, const char* what, auto run) {
    CLI::App* verb = sub->add_subcommand(word, what);
    verb->add_flag("--json", *json, "Print JSON");
    verb->callback([json, run, &command] {
      command.json = *json;
      command.run = run;
    });
    return verb;
  };
  declare("list", "List exporters, and libraries that were refused",
          [json](Session& session) { return list(*json, session); });
  declare("info", "Show what an exporter takes and its options",
          [json, name](Session& session) { return info(*name, *json, session); })
      ->add_option("name", *name, "Exporter or plugin")
      ->required()
      ->type_name("OFFER");
  const auto plugin = std::make_shared<NewPlugin>();
  CLI::App* start = sub->add_subcommand("new", "Write a project for a plugin, to start from");
  start->add_option("name", plugin->name, "Name of the plugin and of its exporter")
      ->required()
      ->type_name("NAME");
  start->add_flag("--codec", plugin->codec, "With what runs the codec");
  start->add_flag("--layout", plugin->layout, "With a layout of its own");
  start->add_flag("--stage", plugin->stage, "With a kind of stage for run scripts");
  start->add_option("-o,--output", plugin->directory, "Directory to create instead of NAME")
      ->type_name("DIR");
  start->callback([plugin, &command] {
    command.run = [plugin](Session& session) { return start_project(*plugin, session); };
  });
  const auto checked = std::make_shared<CheckedPlugin>();
  CLI::App* verb =
      declare("check", "Hold a plugin library against the contract, in processes of their own",
              [json, checked](Session& session) { return check(*checked, *json, session); });
  verb->add_option("library", checked->library, "Plugin library")->required()->type_name("LIBRARY");
  verb->add_option("sources", checked->sources,
                   "Files and directories to try it with, beside odd ones that are made up")
      ->type_name("SOURCE");
  verb->add_flag("--strict", checked->strict,
                 "Exit with 4 also when something could not be checked");
  declare("dirs", "List the directories that are searched, in order",
          [json](Session& session) { return directories(*json, session); });
}

}  // namespace craftbundle::app
