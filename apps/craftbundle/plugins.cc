// craftbundle plugins: which exporters there are.
#include <algorithm>
#include <boost/filesystem.hpp>
#include <memory>

#include "arguments.h"
#include "commands.h"
#include "craftbundle/base/text.h"
#include "json.h"
#include "table.h"

namespace craftbundle::app {
namespace {

constexpr const char* kFooter = R"(
Examples:
  craftbundle plugins list
  craftbundle plugins info NAME
  craftbundle plugins dirs)";

Json options_json(const std::vector<OptionSpec>& options) {
  Json json = Json::array();
  for (const OptionSpec& option : options) {
    json.push_back({{"name", option.name},
                    {"type", to_string(option.type)},
                    {"default", option.default_value},
                    {"doc", option.doc},
                    {"choices", option.choices}});
  }
  return json;
}

Json stage_json(const StageKindInfo& info) {
  Json json;
  json["name"] = info.name;
  json["summary"] = info.summary;
  json["revision"] = info.revision;
  json["inputs"] = info.inputs;
  json["output"] = to_string(info.output);
  json["options"] = options_json(info.options);
  return json;
}

Json codec_json(const CodecLoaderInfo& info) {
  return {{"name", info.name}, {"summary", info.summary}, {"exporters", info.exporters}};
}

Json exporter_json(const ExporterInfo& info) {
  Json json;
  json["name"] = info.name;
  json["summary"] = info.summary;
  json["revision"] = info.revision;
  json["component"] = info.component;
  json["accepts"] = Json::array();
  for (const AcceptedSource& source : info.accepts) {
    json["accepts"].push_back(
        {{"kind", to_string(source.kind)}, {"what", source.what}, {"names", source.names}});
  }
  json["options"] = options_json(info.options);
  return json;
}

Json plugin_json(const FoundPlugin& plugin) {
  Json json;
  json["name"] = plugin.info.name;
  json["version"] = plugin.info.version;
  json["library"] = plugin.library.string();
  json["origin"] = plugin.origin;
  json["exporters"] = Json::array();
  for (const ExporterInfo& info : plugin.info.exporters) {
    json["exporters"].push_back(exporter_json(info));
  }
  json["stages"] = Json::array();
  for (const StageKindInfo& info : plugin.info.stages) json["stages"].push_back(stage_json(info));
  json["codecs"] = Json::array();
  for (const CodecLoaderInfo& info : plugin.info.codecs) json["codecs"].push_back(codec_json(info));
  return json;
}

int list_json(Session& session) {
  Json json;
  json["plugins"] = Json::array();
  for (const FoundPlugin& plugin : session.host().plugins()) {
    json["plugins"].push_back(plugin_json(plugin));
  }
  json["refused"] = Json::array();
  for (const RefusedPlugin& refused : session.host().refused()) {
    json["refused"].push_back({{"library", refused.library.string()},
                               {"origin", refused.origin},
                               {"code", refused.code},
                               {"reason", refused.reason}});
  }
  session.print(dump_pretty(json));
  return kExitDone;
}

std::string stages_text(const Host& host) {
  Table table({"stage", "leaves", "plugin", "version", "library"});
  for (const FoundPlugin& plugin : host.plugins()) {
    for (const StageKindInfo& info : plugin.info.stages) {
      table.add({info.name, std::string(to_string(info.output)), plugin.info.name,
                 printable(plugin.info.version), path_text(plugin.library)});
    }
  }
  return host.stage_kinds().empty() ? std::string() : table.text();
}

std::string codecs_text(const Host& host) {
  Table table({"codec", "runs", "plugin", "version", "library"});
  bool any = false;
  for (const FoundPlugin& plugin : host.plugins()) {
    for (const CodecLoaderInfo& info : plugin.info.codecs) {
      any = true;
      table.add({info.name, join(info.exporters, ", "), plugin.info.name,
                 printable(plugin.info.version), path_text(plugin.library)});
    }
  }
  return any ? table.text() : std::string();
}

int list(bool json, Session& session) {
  if (json) return list_json(session);
  Table table({"exporter", "makes", "plugin", "version", "library"});
  for (const FoundPlugin& plugin : session.host().plugins()) {
    for (const ExporterInfo& info : plugin.info.exporters) {
      table.add({info.name, info.component, plugin.info.name, printable(plugin.info.version),
                 path_text(plugin.library)});
    }
  }
  std::string text =
      session.host().plugins().empty()
          ? "no plugins; 'craftbundle plugins dirs' shows where they are looked for\n"
          : table.text() + stages_text(session.host()) + codecs_text(session.host());
  if (!session.host().refused().empty()) text += "refused\n";
  for (const RefusedPlugin& refused : session.host().refused()) {
    text += "  " + path_text(refused.library) + ": " + refused.reason + " [" + refused.code + "]\n";
  }
  session.print(text);
  return kExitDone;
}

std::string options_text(const std::vector<OptionSpec>& options) {
  std::string text;
  for (const OptionSpec& option : options) {
    text += "  " + option.name + "=" + std::string(to_string(option.type));
    if (!option.default_value.empty()) text += ", default " + printable(option.default_value);
    if (!option.choices.empty()) text += ", one of " + list_text(option.choices);
    text += "\n      " + printable(option.doc, 1000) + "\n";
  }
  return text;
}

std::string exporter_text(const FoundPlugin& plugin, const ExporterInfo& info) {
  Table table;
  table.add({"makes", info.component});
  table.add({"revision", std::to_string(info.revision)});
  table.add({"plugin", plugin.info.name + " " + printable(plugin.info.version)});
  table.add({"library", path_text(plugin.library) + " (" + plugin.origin + ")"});
  std::string text = info.name + ": " + printable(info.summary) + "\n" + table.text() + "takes\n";
  for (const AcceptedSource& source : info.accepts) {
    text += "  " + printable(source.what);
    if (!source.names.empty()) text += ": " + list_text(source.names, 32);
    text += "\n";
  }
  if (!info.options.empty()) text += "options\n" + options_text(info.options);
  return text;
}

std::string stage_text(const FoundPlugin& plugin, const StageKindInfo& info) {
  Table table;
  table.add({"stage that reads", printable(info.inputs)});
  table.add({"leaves", std::string(to_string(info.output))});
  table.add({"revision", std::to_string(info.revision)});
  table.add({"plugin", plugin.info.name + " " + printable(plugin.info.version)});
  table.add({"library", path_text(plugin.library) + " (" + plugin.origin + ")"});
  std::string text = info.name + ": " + printable(info.summary) + "\n" + table.text();
  if (!info.options.empty()) text += "options\n" + options_text(info.options);
  return text;
}

std::string codec_text(const FoundPlugin& plugin, const CodecLoaderInfo& info) {
  Table table;
  table.add({"runs what is exported by", list_text(info.exporters)});
  table.add({"plugin", plugin.info.name + " " + printable(plugin.info.version)});
  table.add({"library", path_text(plugin.library) + " (" + plugin.origin + ")"});
  return "codec " + info.name + ": " + printable(info.summary) + "\n" + table.text();
}

int info(const std::string& name, bool json, Session& session) {
  std::string text;
  Json found = Json::array();
  Json stages = Json::array();
  std::vector<std::string> names;
  for (const FoundPlugin& plugin : session.host().plugins()) {
    for (const ExporterInfo& exporter : plugin.info.exporters) {
      names.push_back(exporter.name);
      if (exporter.name != name && plugin.info.name != name) continue;
      text += exporter_text(plugin, exporter);
      found.push_back(exporter_json(exporter));
    }
    for (const StageKindInfo& stage : plugin.info.stages) {
      names.push_back(stage.name);
      if (stage.name != name && plugin.info.name != name) continue;
      text += stage_text(plugin, stage);
      stages.push_back(stage_json(stage));
    }
  }
  Json codecs = Json::array();
  for (const FoundPlugin& plugin : session.host().plugins()) {
    for (const CodecLoaderInfo& codec : plugin.info.codecs) {
      if (codec.name != name && plugin.info.name != name) continue;
      text += codec_text(plugin, codec);
      codecs.push_back(codec_json(codec));
    }
  }
  if (found.empty() && stages.empty() && codecs.empty()) {
    const std::string near = did_you_mean(name, names);
    throw Error(ErrorKind::usage, "exporter.unknown",
                "no exporter or plugin is named " + craftbundle::quoted(name),
                near.empty() ? "'craftbundle plugins list' shows what there is" : near);
  }
  session.print(json ? dump_pretty({{"exporters", found}, {"stages", stages}, {"codecs", codecs}})
                     : text);
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
  session.print(json ? dump_pretty({{"directories", list}}) : table.text());
  return kExitDone;
}

}  // namespace

void add_plugins(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("plugins", "Show which exporters there are");
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
      ->type_name("NAME");
  declare("dirs", "List the directories that are searched, in order",
          [json](Session& session) { return directories(*json, session); });
}

}  // namespace craftbundle::app
