#include "arguments.h"

#include "craftbundle/detail/base/text.h"
#include "usage.h"

namespace craftbundle::app {

OptionValue parse_option(const std::string& given) {
  const std::size_t equals = given.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(ErrorKind::usage, "option.syntax",
                "option " + craftbundle::quoted(given) + " has no value",
                "write it as NAME=VALUE; 'craftbundle plugins info EXPORTER' lists the options");
  }
  return {given.substr(0, equals), given.substr(equals + 1)};
}

std::vector<OptionValue> parse_options(const std::vector<std::string>& given) {
  std::vector<OptionValue> options;
  for (const std::string& option : given) options.push_back(parse_option(option));
  return options;
}

void LayoutArguments::declare(CLI::App& command) {
  command
      .add_option("--layout", name,
                  "Layout to write, or several in one directory: A+B; 'craftbundle plugins list' "
                  "shows them")
      ->type_name("LAYOUT");
  command.add_option("--layout-option", options, "Option of the layout; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command
      .add_option("--shard-size", shard_size,
                  "Largest file of weights, of layouts that can have several: 5GB, 500MB")
      ->type_name("SIZE");
}

LayoutChoice LayoutArguments::choice() const {
  LayoutChoice choice{name, parse_options(options)};
  if (!shard_size.empty()) choice.options.push_back({"shard-size", shard_size});
  return choice;
}

void SourceArguments::declare_xps(CLI::App& command) {
  command.add_option("--xps", xps, "Directory of Dora signatures, for sources like //sig/9f2c")
      ->type_name("DIR");
}

void SourceArguments::declare_state(CLI::App& command) {
  command
      .add_option("--state", state,
                  "Which state of a training checkpoint to export; ema is the moving average")
      ->check(one_of({"best", "ema", "last"}))
      ->type_name("STATE");
}

void SourceArguments::declare_dtype(CLI::App& command) {
  command
      .add_option("--dtype", dtype,
                  "Element type of the weights; codebook counters and integers keep theirs")
      ->transform(element_type({"float32", "float16", "bfloat16"}))
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
  command
      .add_option("--merge", merge,
                  "LoRA adapter of PEFT to merge into the weights; may be repeated, in this order")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("ADAPTER");
  command.add_flag("--fold-weight-norm", fold_weight_norm,
                   "Replace weight_g and weight_v of a weight norm by the weight they make");
}

void SourceArguments::declare_foreign(CLI::App& command) {
  command
      .add_option("--config-from", config_from,
                  "Where weights without a configuration get it: a bundle, a file, or YAML")
      ->type_name("SOURCE");
  command.add_flag("--as-is", as_is,
                   "Take a model that no rule covers as it is: names, shapes and fit unchecked");
}

Source SourceArguments::resolve(const std::string& given, Session& session) const {
  return resolve_source(given, lookup(), session.host());
}

void CheckArguments::declare(CLI::App& command, const std::string& what) {
  command.add_option("--check", given, what)
      ->check(one_of({"crc", "structure"}))
      ->type_name("CHECK");
}

void TargetArguments::declare(CLI::App& command, const std::string& what) {
  CLI::Option* target =
      command.add_option("-o,--output", output, what)->required()->type_name("PATH");
  if (!may_be_standard_output) target->check(no_standard_output("a bundle is a directory"));
  command.add_flag("--force", force, "Replace what is at the target once the new one is complete");
  command.add_flag("--no-sync", no_sync, "Do not wait until the disk has everything");
  command.add_flag("--no-clone", no_clone, kNoCloneHelp);
  check.declare(command,
                "What of the sources is checked on the way: every CRC-32, or only the structure, "
                "so that nothing is read for checking alone; is recorded");
  command.add_flag("--json", json, "Print the report as JSON");
}

PublishOptions TargetArguments::publish(Session& session) const {
  return {.force = force,
          .durability = no_sync ? Durability::no_sync : Durability::sync,
          .sink = &session.console(),
          .cancellation = &session.cancellation(),
          .check = check.check(),
          .extents = no_clone ? Extents::own : Extents::shared};
}

}  // namespace craftbundle::app
