#include "arguments.h"

#include <boost/filesystem.hpp>

#include "craftbundle/base/text.h"

namespace craftbundle::app {
namespace {

OptionValue parse_option(const std::string& given) {
  const std::size_t equals = given.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(ErrorKind::usage, "option.syntax",
                "option " + craftbundle::quoted(given) + " has no value",
                "write it as NAME=VALUE; 'craftbundle plugins info EXPORTER' lists the options");
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

void SourceArguments::declare_dtype(CLI::App& command) {
  command
      .add_option("--dtype", dtype,
                  "Element type of the weights; codebook counters and integers keep theirs")
      ->check(CLI::IsMember({"float32", "float16", "bfloat16"}))
      ->type_name("TYPE");
}

void SourceArguments::declare_weights(CLI::App& command) {
  command
      .add_option("--dtype-of", dtype_of,
                  "Element types by name of the tensor; the first pattern that matches decides")
      ->type_name("PATTERN=TYPE,...");
  command
      .add_option("--average", average,
                  "Further checkpoints of the same model: the weights become the mean over all")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("SOURCE");
  command.add_flag("--fold-weight-norm", fold_weight_norm,
                   "Replace weight_g and weight_v of a weight norm by the weight they make");
}

std::string SourceArguments::average_files() const {
  SourceOptions options;
  if (!xps.empty()) options.xps = Path(xps);
  std::vector<Path> files;
  for (const std::string& given : average) {
    const std::optional<Path> file = source_file(given, options);
    boost::system::error_code ignored;
    if (!file || !boost::filesystem::exists(*file, ignored)) {
      throw Error(ErrorKind::input, "source.not_found",
                  "--average: " + craftbundle::quoted(given) + " is no checkpoint that is there",
                  "give checkpoints of the same model, separated by commas");
    }
    files.push_back(*file);
  }
  return files_value(files);
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
  const auto add = [&](const char* name, const std::string& value) {
    if (value.empty() || (source.several && !is_checkpoint)) return;
    request.options.push_back({name, value});
  };
  add("dtype", source.dtype);
  add("dtype-of", source.dtype_of);
  add("average", source.average_files());
  add("fold-weight-norm", source.fold_weight_norm ? "true" : "");
  for (const std::string& option : options) request.options.push_back(parse_option(option));
  return session.host().prepare(request);
}

}  // namespace craftbundle::app
