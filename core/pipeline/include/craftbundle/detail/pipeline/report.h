// What a run did, for people and programs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/pipeline/stage.h"

namespace CRAFTBUNDLE_API craftbundle {

enum class StageState {
  done,        // it ran
  up_to_date,  // it need not run
  failed,
  interrupted,  // by the user, while it ran
  blocked,      // something it needs failed
  not_run,      // the run ended before
  left_out,     // its `when` says so, or that of something it needs; or it was not chosen
};
// "done", "up to date", "failed", ...
std::string_view to_string(StageState state);

struct StageReport {
  std::string name;
  std::string group;  // its name as written ("lm-${size}"); equal for the stages of a matrix
  std::string kind;
  std::string what;
  StageState state = StageState::not_run;
  std::vector<std::string> reasons;  // why it ran, or why not, one clause each
  std::vector<std::size_t> needs;    // places in RunReport::stages
  bool may_fail = false;             // allow_failure
  int attempts = 0;
  double start = 0;    // seconds since the run began; of the first attempt
  double seconds = 0;  // of all attempts; of the recorded run when up to date
  std::vector<StageOutput> outputs;
  StageResult result;  // as recorded when up to date
  std::optional<Error> error;
  Path log;  // what its programs printed; empty when there is nothing
};

struct RunReport {
  std::string script;    // path as given
  std::string producer;  // "craftbundle 0.1.0"
  std::string started;   // "2026-11-23T19:10:00Z"
  double seconds = 0;
  int jobs = 1;  // 0: another engine ran the stages
  std::vector<StageReport> stages;

  std::uint64_t count(StageState state) const;
  std::uint64_t bytes() const;  // written in this run
};

// What decides the exit code: the error of the first stage that failed and was not allowed to, or
// that the run was interrupted.
std::optional<Error> failure(const RunReport& report);

// UTF-8, two-space indent, newline at the end; docs/run_script.md lists the fields.
std::string to_json(const RunReport& report);

// One page (XHTML) that needs nothing beside itself: no scripts, no network. `page_directory`:
// where it will lie, so that it can refer to logs by relative paths; empty: not known.
std::string to_html(const RunReport& report, const Path& page_directory = {});

}  // namespace craftbundle
