#include "craftbundle/detail/pipeline/script_run.h"

#include <chrono>
#include <cstdlib>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

std::optional<std::string> read_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

Path journal_directory(const ScriptRun::Options& options, const Script& script) {
  if (!options.state_directory.empty()) {
    return absolute_path(options.state_directory);
  }
  return script.directory / ".craftbundle" / script.file.filename();
}

}  // namespace

ScriptRun::ScriptRun(const Host& host, const StageReaders& kinds, const Options& options)
    : host_(host),
      sink_(*options.sink),
      given_(options.script),
      script_(read_script(options.script, options.settings, problems_)),
      journal_(journal_directory(options, script_)),
      contents_(journal_.known_files(), *options.cancellation, options.check),
      workflow_(make_workflow(script_, kinds, read_environment, problems_)) {}

void ScriptRun::require_sound() const {
  if (problems_.empty()) return;
  const std::size_t count = problems_.sorted().size();
  throw Error(ErrorKind::usage, "run.script",
              path_text(given_) + " has " + (count == 1 ? "a problem" : counted(count, "problem")) +
                  ", nothing was run");
}

Error ScriptRun::all_problems() const {
  std::string text = path_text(given_) + " cannot be run:";
  for (const ScriptProblem& problem : problems_.sorted()) {
    text += "\n" + to_text(problem, script_.sources);
    text.pop_back();
  }
  return Error(ErrorKind::usage, "run.script", text);
}

Plan ScriptRun::plan(const PlanOptions& options) {
  YamlNode command_line;
  command_line.mark.source = script_.sources.add("command line", {});
  // While stages run, they have the word.
  contents_.tell(&sink_);
  Plan plan = make_plan(context(), options, command_line, problems_);
  contents_.tell(&Sink::none());
  return plan;
}

RunReport ScriptRun::run(const Plan& plan, const RunOptions& options, RunObserver& observer) {
  RunReport report;
  report.script = given_.string();
  report.producer = "craftbundle " CRAFTBUNDLE_VERSION;
  report.started = utc_now();
  report.jobs = options.runner.jobs;
  const auto begin = std::chrono::steady_clock::now();
  report.stages = run_plan(context(), plan, options, observer);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return report;
}

}  // namespace craftbundle
