#include "craftbundle/detail/pipeline/script_run.h"

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <chrono>
#include <cstdlib>
#include <ctime>

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

std::vector<FileState> looked_up(const Learnt& learnt, ContentCheck check) {
  std::vector<FileState> files;
  for (const auto& [path, state] : learnt.files) {
    // Who wants contents looks at what was only known by its times.
    if (check == ContentCheck::crc && state.id.starts_with(kStateId)) continue;
    files.push_back(state);
  }
  return files;
}

// "2026-11-23T19:10:00Z" in seconds since 1970; 0: it is none.
double seconds_of(const std::string& time) {
  std::tm parts = {};
  return ::strptime(time.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts) == nullptr
             ? 0
             : static_cast<double>(::timegm(&parts));
}

}  // namespace

ScriptRun::ScriptRun(const Host& host, const StageReaders& kinds, const Options& options)
    : host_(host),
      sink_(*options.sink),
      given_(options.script),
      script_(read_script(options.script, options.settings, problems_)),
      journal_(journal_directory(options, script_)),
      learnt_(read_learnt(journal_.directory(), sink_)),
      contents_(journal_.known_files(), *options.cancellation, options.check,
                looked_up(learnt_.value_or(Learnt()), options.check)),
      forecasts_(learnt_.value_or(Learnt()).forecasts),
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
  keep_learnt(options.only.empty() && options.until.empty() && problems_.empty());
  return plan;
}

// What a whole plan has not asked for is of no use to the script any more.
void ScriptRun::keep_learnt(bool is_whole) {
  Learnt learnt;
  for (FileState& state : contents_.states()) learnt.files.emplace(state.path, std::move(state));
  learnt.forecasts = forecasts_.learnt();
  if (!is_whole && learnt_) {
    learnt.files.insert(learnt_->files.begin(), learnt_->files.end());
    learnt.forecasts.insert(learnt_->forecasts.begin(), learnt_->forecasts.end());
  }
  // Where there was none, an empty one is kept too: which files a run leaves does not hang on how
  // new its sources are.
  if (learnt_ == learnt) return;
  write_learnt(learnt, journal_.directory(), sink_);
  learnt_ = std::move(learnt);
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

RunReport ScriptRun::recorded() const {
  RunReport report;
  report.script = given_.string();
  report.producer = "craftbundle " CRAFTBUNDLE_VERSION;
  report.jobs = 0;
  std::vector<double> begins(workflow_.stages.size(), 0);
  double first = 0;
  double last = 0;
  for (std::size_t i = 0; i < workflow_.stages.size(); ++i) {
    const WorkflowStage& stage = workflow_.stages[i];
    StageReport entry = describe(stage);
    const std::optional<StageRecord> record =
        stage.stage ? journal_.read(stage.name) : std::nullopt;
    if (!stage.stage) {
      entry.state = StageState::left_out;
      if (stage.left_out) entry.reasons = {to_text(*stage.left_out)};
    } else if (record && record->state == StageRecord::State::done) {
      entry.state = StageState::done;
      entry.result = record->result;
      entry.seconds = record->seconds;
      entry.attempts = 1;
      if (const double end = seconds_of(record->finished); end > 0) {
        begins[i] = end - record->seconds;
        first = first == 0 ? begins[i] : std::min(first, begins[i]);
        last = std::max(last, end);
      }
    } else if (record && record->state == StageRecord::State::failed) {
      entry.state = StageState::failed;
      entry.error = Error(ErrorKind::system, "run.recorded", record->error);
    } else if (record) {
      entry.reasons = {"it is running, or was cut off"};
    }
    boost::system::error_code ignored;
    const Path log = journal_.log(stage.name);
    if (boost::filesystem::exists(log, ignored)) entry.log = log;
    report.stages.push_back(std::move(entry));
  }
  for (std::size_t i = 0; i < begins.size(); ++i) {
    if (begins[i] > 0) report.stages[i].start = begins[i] - first;
  }
  report.seconds = last - first;
  report.started = utc_now();
  return report;
}

}  // namespace craftbundle
