#include "craftbundle/craftbundle.h"
#include "craftbundle/detail/pipeline/script_run.h"

namespace craftbundle {
namespace {

// Passes on what stages tell. Their progress comes together; who wants to know which stage a line
// is of reads it in front.
class SinkObserver final : public RunObserver {
 public:
  SinkObserver(const Workflow& workflow, Sink& sink) : workflow_(workflow), sink_(sink) {}

  void started(std::size_t stage, int /*attempt*/, std::uint64_t /*bytes*/) noexcept override {
    log(stage, LogLevel::debug, "begins");
  }
  void progress(std::size_t /*stage*/, const Progress& progress) noexcept override {
    sink_.progress(progress);
  }
  void log(std::size_t stage, LogLevel level, std::string_view message) noexcept override {
    sink_.log(level, workflow_.stages[stage].name + ": " + std::string(message));
  }
  void retrying(std::size_t stage, const Error& error,
                std::chrono::milliseconds /*pause*/) noexcept override {
    log(stage, LogLevel::warning, error.message() + "; it is tried again");
  }
  void finished(std::size_t stage, const StageReport& report) noexcept override {
    log(stage, LogLevel::debug, to_string(report.state));
  }

 private:
  const Workflow& workflow_;
  Sink& sink_;
};

}  // namespace

RunReport run(const Host& host, const RunJob& job) {
  ScriptRun script(
      host, standard_stages(host),
      {job.script, job.settings, job.state_directory, job.cancellation, job.sink, job.check});
  if (!script.problems().empty()) throw script.all_problems();
  script.journal().lock(false);
  const Plan plan = script.plan({job.only, job.until, job.rerun, job.force});
  if (!script.problems().empty()) throw script.all_problems();

  RunOptions options;
  options.runner.jobs = job.jobs;
  options.runner.keep_going = job.keep_going;
  options.runner.cancellation = job.cancellation;
  options.force = job.force;
  options.rerun = job.rerun;
  options.durability = job.durability;
  options.extents = job.extents;
  SinkObserver observer(script.workflow(), *job.sink);
  return script.run(plan, options, observer);
}

}  // namespace craftbundle
