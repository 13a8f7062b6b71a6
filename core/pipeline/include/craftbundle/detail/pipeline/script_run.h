// Everything that is done with one run script: reading it, planning, running, remembering.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/pipeline/plan.h"
#include "craftbundle/detail/pipeline/script.h"

namespace CRAFTBUNDLE_API craftbundle {

class ScriptRun {
 public:
  struct Options {
    Path script;
    std::vector<std::string> settings;  // as read_script()
    Path state_directory;               // empty: .craftbundle/SCRIPT beside the script
    const Cancellation* cancellation = &Cancellation::never();
    Sink* sink = &Sink::none();              // of planning
    ContentCheck check = ContentCheck::crc;  // as Contents
  };

  // Reads the script. What is wrong with it is in problems(). Throws Error(system) when it cannot
  // be read. `host`, the cancellation and the sink must live as long.
  ScriptRun(const Host& host, const StageReaders& kinds, const Options& options);

  const Script& script() const { return script_; }
  const Workflow& workflow() const { return workflow_; }
  const ScriptProblems& problems() const { return problems_; }
  Journal& journal() { return journal_; }

  // Throws Error(usage, "run.script") when there are problems; the message only counts them.
  void require_sound() const;
  // The problems as one error, for callers who show nothing else.
  Error all_problems() const;

  // As make_plan(); adds to problems(). REQUIRES: no problems before.
  Plan plan(const PlanOptions& options);

  // Runs what a plan says, and reports it. REQUIRES: as run_plan().
  RunReport run(const Plan& plan, const RunOptions& options, RunObserver& observer);

  // What the journal tells of all stages, whoever ran them: for engines that run each by itself.
  RunReport recorded() const;

 private:
  PlanContext context() { return {workflow_, host_, journal_, contents_, forecasts_}; }
  void keep_learnt(bool is_whole);

  const Host& host_;
  Sink& sink_;
  Path given_;
  ScriptProblems problems_;
  Script script_;
  Journal journal_;
  std::optional<Learnt> learnt_;  // by earlier runs
  Contents contents_;
  Forecasts forecasts_;
  Workflow workflow_;
};

}  // namespace craftbundle
