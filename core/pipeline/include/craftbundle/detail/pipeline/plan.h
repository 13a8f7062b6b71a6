// Which stages of a workflow have to run, and why; and running them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/pipeline/contents.h"
#include "craftbundle/detail/pipeline/journal.h"
#include "craftbundle/detail/pipeline/learnt.h"
#include "craftbundle/detail/pipeline/runner.h"
#include "craftbundle/detail/pipeline/workflow.h"

namespace CRAFTBUNDLE_API craftbundle {

struct PlanOptions {
  // Patterns of stage names. `only`: these and nothing else; `until`: these and what they need.
  // Both empty: all stages.
  std::vector<std::string> only;
  std::vector<std::string> until;
  bool rerun = false;  // run what is chosen even when it is up to date
  bool force = false;  // replace outputs that are there and were not made by this script
};

struct PlannedStage {
  enum class Decision {
    run,
    up_to_date,
    maybe,     // decided when what it needs has run
    left_out,  // by its condition, or not chosen
  };
  Decision decision = Decision::run;
  std::vector<std::string> reasons;  // one clause each
  Forecast forecast;                 // of what will run and can be looked at now
  std::vector<StageRead> read;       // beside the inputs, last time; with absolute paths
};
std::string_view to_string(PlannedStage::Decision decision);

struct Plan {
  std::vector<PlannedStage> stages;  // as Workflow::stages
  std::uint64_t bytes() const;       // that are known to be written
};

// What deciding about stages needs. Not owned.
struct PlanContext {
  const Workflow& workflow;
  const Host& host;
  Journal& journal;
  Contents& contents;
  Forecasts& forecasts;
};

// Decides about every stage and looks ahead where that is possible. What would make a stage fail
// goes to `problems`; also patterns that match no stage, inputs that are not there and outputs that
// would overwrite something ("run.pattern", "run.input", "target.exists").
// `command_line` is where problems of the options are shown.
Plan make_plan(const PlanContext& context, const PlanOptions& options, const YamlNode& command_line,
               ScriptProblems& problems);

struct RunOptions {
  RunnerOptions runner;
  bool force = false;
  bool rerun = false;
  Durability durability = Durability::sync;
  Extents extents = Extents::shared;
};

// What is known of a stage before it runs, for its report.
StageReport describe(const WorkflowStage& stage);

// Runs what the plan says and returns the reports of all stages. A stage whose inputs turn out to
// be unchanged after all is not run. REQUIRES: the plan has no problems, the journal is locked.
std::vector<StageReport> run_plan(const PlanContext& context, const Plan& plan,
                                  const RunOptions& options, RunObserver& observer);

}  // namespace craftbundle
