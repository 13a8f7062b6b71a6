// Running a graph of stages: order, parallelism, retries, time limits. Knows nothing of what stages
// do, so that it can be tested with stages that are functions.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/pipeline/graph.h"
#include "craftbundle/detail/pipeline/report.h"

namespace CRAFTBUNDLE_API craftbundle {

// Told what happens. Thread: called from any thread, never two calls at the same time, but for
// progress(), which comes concurrently with everything. Must not throw.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  // `attempt` counts from 1. `bytes` is what is forecast, 0 when unknown.
  virtual void started(std::size_t stage, int attempt, std::uint64_t bytes) noexcept = 0;
  virtual void progress(std::size_t stage, const Progress& progress) noexcept = 0;
  virtual void log(std::size_t stage, LogLevel level, std::string_view message) noexcept = 0;
  // An attempt failed and another one follows after `pause`.
  virtual void retrying(std::size_t stage, const Error& error,
                        std::chrono::milliseconds pause) noexcept = 0;
  // A stage has its final state: it ran, failed, need not run or cannot.
  virtual void finished(std::size_t stage, const StageReport& report) noexcept = 0;
};

// What the runner must know of a stage.
struct RunnerStage {
  std::vector<GraphNode::Need> needs;
  int retries = 0;
  std::chrono::milliseconds timeout{0};  // of an attempt; 0: none
  bool may_fail = false;
  std::uint64_t bytes = 0;  // forecast
};

// Does what stages are for.
class StageWork {
 public:
  virtual ~StageWork() = default;
  // Does one attempt of a stage, and sets `report.state` to done or up_to_date and whatever else
  // there is to report. Throws Error when it fails. Called concurrently for different stages.
  virtual void run(std::size_t stage, StageReport& report, Sink& sink,
                   const Cancellation& cancellation) = 0;
};

struct RunnerOptions {
  int jobs = 1;             // stages at the same time
  bool keep_going = false;  // after a failure run what does not need the failed stage
  const Cancellation* cancellation = &Cancellation::never();
  std::chrono::milliseconds retry_pause{1000};  // before the second attempt; doubles
};

// Runs every stage whose report is `not_run`, each after what it needs, and fills in the reports
// (one for each stage). A stage is `blocked` when a stage it needs failed, unless only the order
// counts and that one was allowed to fail. Errors of the kinds system and plugin are worth another
// attempt, others are not. An attempt that takes too long fails with Error(system, "run.timeout").
// After a failure that is not allowed no stage begins unless `keep_going`; after a cancellation
// none does. REQUIRES: no cycle.
void run_stages(const std::vector<RunnerStage>& stages, StageWork& work, RunObserver& observer,
                const RunnerOptions& options, std::vector<StageReport>& reports);

}  // namespace craftbundle
