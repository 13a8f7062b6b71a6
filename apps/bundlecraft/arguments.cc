#include "arguments.h"

#include "bundlecraft/base/text.h"

namespace bundlecraft::app {
namespace {

OptionValue parse_option(const std::string& given) {
  const std::size_t equals = given.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(ErrorKind::usage, "option.syntax",
                "option " + bundlecraft::quoted(given) + " has no value",
                "write it as NAME=VALUE; 'bundlecraft plugins info EXPORTER' lists the options");
  }
  return {given.substr(0, equals), given.substr(equals + 1)};
}

}  // namespace

void SourceArguments::declare_xps(CLI::App& command) {
  command.add_option("--xps", xps, "Directory of Dora signatures, for sources like //sig/9f2c")
      ->type_name("DIR");
}

void SourceArguments::declare_state(CLI::App& command) {
  command
      .add_option("--state", state,
                  "Which state of a training checkpoint to export; ema is the moving average")
      ->check(CLI::IsMember({"best", "ema", "last"}))
      ->type_name("STATE");
}

Source SourceArguments::resolve(const std::string& given, Session& session) const {
  SourceOptions options;
  if (!xps.empty()) options.xps = Path(xps);
  return resolve_source(given, options, session.host());
}

void TargetArguments::declare(CLI::App& command, const std::string& what) {
  command.add_option("-o,--output", output, what)->required()->type_name("PATH");
  command.add_flag("--force", force, "Replace what is at the target once the new one is complete");
  command.add_flag("--no-sync", no_sync, "Do not wait until the disk has everything");
  command.add_flag("--json", json, "Print the report as JSON");
}

void TargetArguments::fill(PublishOptions& options, Session& session) const {
  options.force = force;
  options.durability = no_sync ? Durability::no_sync : Durability::sync;
  options.sink = &session.console();
  options.cancellation = &session.cancellation();
}

PreparedComponent prepare(const std::string& given, const SourceArguments& source,
                          const std::optional<std::string>& component, const std::string& exporter,
                          const std::vector<std::string>& options, Session& session) {
  ComponentRequest request{source.resolve(given, session), component, {}, {}};
  if (!exporter.empty()) request.exporter = exporter;
  const bool is_checkpoint = request.source.kind() == AcceptedSource::Kind::checkpoint;
  if (!source.state.empty() && is_checkpoint) request.options.push_back({"state", source.state});
  for (const std::string& option : options) request.options.push_back(parse_option(option));
  return session.host().prepare(request);
}

}  // namespace bundlecraft::app
