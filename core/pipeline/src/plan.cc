#include "craftbundle/detail/pipeline/plan.h"

#include <algorithm>
#include <boost/filesystem.hpp>
#include <map>
#include <set>

#include "components.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/fault.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/pipeline/place.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using Decision = PlannedStage::Decision;

// Stands for the contents of what is not there.
constexpr std::string_view kMissing = "missing";

bool is_there(const Path& path) {
  boost::system::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

bool is_inside(const Path& path, const Path& directory) {
  return path != directory && path.string().starts_with(directory.string() + "/");
}

// The outputs whose contents are the stage's: a directory with further outputs in it stands for
// these.
std::vector<StageOutput> own_outputs(const Stage& stage) {
  std::vector<StageOutput> outputs = stage.outputs();
  const std::vector<StageOutput> all = outputs;
  std::erase_if(outputs, [&](const StageOutput& output) {
    return std::any_of(all.begin(), all.end(), [&](const StageOutput& other) {
      return is_inside(other.path, output.path);
    });
  });
  return outputs;
}

const std::string* value_of(const std::vector<KeyPart>& parts, const std::string& name) {
  for (const KeyPart& part : parts) {
    if (part.name == name) return &part.value;
  }
  return nullptr;
}

// Where a file lies that a stage read last time: what lay beside an input lies there again.
// nullopt: it no longer has that input.
std::optional<Path> path_of(const WorkflowStage& stage, const StageRead& read) {
  if (read.input.empty()) return read.file;
  for (const StageInput& input : stage.inputs) {
    if (input.name != read.input) continue;
    boost::system::error_code ignored;
    const bool is_directory = fs::is_directory(input.path, ignored);
    return (is_directory ? input.path : input.path.parent_path()) / read.file;
  }
  return std::nullopt;
}

std::vector<StageRead> found_again(const WorkflowStage& stage, std::vector<StageRead> read) {
  for (StageRead& file : read) {
    if (const auto path = path_of(stage, file)) file.file = *path;
  }
  return read;
}

// The part of a stage that an error of its forecast is about: the exporter, the option that is its
// subject, the component whose role is its context, else the value of the kind's key.
const YamlNode& place_of(const WorkflowStage& stage, const Error& error) {
  const auto entry_of = [&](const char* key) -> const YamlNode* {
    const auto found = stage.keys.find(key);
    return found == stage.keys.end() ? nullptr : &found->second;
  };
  if (error.code().starts_with("exporter.")) {
    if (const YamlNode* exporter = entry_of("exporter")) return *exporter;
  }
  if (const YamlNode* options = entry_of("options")) {
    for (const YamlNode::Entry& option : options->entries) {
      if (error.subject() == "option:" + option.key.text) return option.key;
    }
  }
  for (const YamlNode::Entry& component : stage.main.entries) {
    if (!error.contexts().empty() && error.contexts().front() == component.key.text) {
      return component.value;
    }
  }
  return stage.main;
}

std::chrono::milliseconds timeout_of(const WorkflowStage& stage) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(stage.timeout * 1000));
}

// What is known of a stage at a moment.
struct Verdict {
  std::vector<KeyPart> key;          // complete only when nothing is pending
  std::vector<std::string> reasons;  // to run; none: it is up to date
  std::vector<std::string> pending;  // stages whose results it waits for
  std::optional<StageRecord> record;
};

// Decides about stages. The same code serves the plan and, once what a stage needs has run, the
// run.
class Judge {
 public:
  explicit Judge(const PlanContext& context) : context_(context) {}

  // `is_settled` tells whether the outputs of a stage are final.
  template <typename IsSettled>
  Verdict judge(std::size_t index, bool rerun, const IsSettled& is_settled) const {
    const WorkflowStage& stage = context_.workflow.stages[index];
    Verdict verdict;
    verdict.record = context_.journal.read(stage.name);
    for (const GraphNode::Need& need : stage.needs) {
      if (!is_settled(need.node)) {
        verdict.pending.push_back(context_.workflow.stages[need.node].name);
      }
    }
    verdict.key = stage.stage->key();
    for (KeyPart& part : verdict.key) {
      if (part.kind == KeyPart::Kind::secret) part.value = context_.journal.digest(part.value);
    }
    verdict.key.insert(verdict.key.begin(), {"kind", stage.kind});
    for (const StageOutput& output : stage.stage->outputs()) {
      verdict.key.push_back(
          {"place of " + output.name, output.path.string(), KeyPart::Kind::place});
    }
    add_needs(stage, verdict, is_settled);
    add_inputs(stage, verdict);
    find_reasons(stage, rerun, verdict);
    return verdict;
  }

 private:
  template <typename IsSettled>
  void add_needs(const WorkflowStage& stage, Verdict& verdict, const IsSettled& is_settled) const {
    for (const GraphNode::Need& need : stage.needs) {
      // What it uses of the other is among its inputs.
      if (need.output || !is_settled(need.node)) continue;
      const WorkflowStage& other = context_.workflow.stages[need.node];
      const std::optional<StageRecord> record = context_.journal.read(other.name);
      const bool done = record && record->state == StageRecord::State::done;
      verdict.key.push_back(
          {"stage " + other.name, done ? fingerprint_of(*record) : "failed", KeyPart::Kind::stage});
    }
  }

  void add_inputs(const WorkflowStage& stage, Verdict& verdict) const {
    const auto is_pending = [&](const std::string& name) {
      return std::find(verdict.pending.begin(), verdict.pending.end(), name) !=
             verdict.pending.end();
    };
    for (const StageInput& input : stage.inputs) {
      if (is_pending(input.stage)) continue;
      verdict.key.push_back(
          {"contents of " + input.name, input_id(stage, input), KeyPart::Kind::contents});
    }
  }

  std::string input_id(const WorkflowStage& stage, const StageInput& input) const {
    if (!is_there(input.path)) return std::string(kMissing);
    std::vector<Path> own;
    for (const StageOutput& output : stage.stage->outputs()) own.push_back(output.path);
    const std::optional<std::size_t> maker =
        input.stage.empty() ? std::nullopt : context_.workflow.find(input.stage);
    const Stage* made_by = maker ? context_.workflow.stages[*maker].stage.get() : nullptr;
    if (input.is_source) return context_.contents.source_id(input.path, own);
    if (made_by == nullptr || input.whole) return context_.contents.id(input.path, own);
    std::string id;
    for (const StageOutput& output : own_outputs(*made_by)) {
      if (output.path != input.path && !is_inside(output.path, input.path)) continue;
      id += (id.empty() ? "" : " ") +
            (is_there(output.path) ? context_.contents.id(output.path) : std::string(kMissing));
    }
    return id.empty() ? context_.contents.id(input.path, own) : id;
  }

  void find_reasons(const WorkflowStage& stage, bool rerun, Verdict& verdict) const {
    std::vector<std::string>& reasons = verdict.reasons;
    if (!verdict.record) {
      reasons.push_back("it has not run yet");
      return;
    }
    const StageRecord& record = *verdict.record;
    if (record.state == StageRecord::State::started) reasons.push_back("its last run was cut off");
    if (record.state == StageRecord::State::failed) {
      reasons.push_back("it failed last time: " + printable(record.error));
    }
    if (rerun) reasons.push_back("--rerun asks for it");
    if (stage.stage->always()) reasons.push_back("it says 'always'");
    compare_keys(record, verdict);
    compare_read(stage, record, verdict);
    compare_tools(record, reasons);
    if (record.state == StageRecord::State::done) compare_outputs(stage, record, reasons);
  }

  static std::string change_of(const KeyPart& part, const std::string& before) {
    switch (part.kind) {
      case KeyPart::Kind::contents:
        return part.value == kMissing ? " are missing" : " have changed";
      case KeyPart::Kind::stage:
        return " was done in another way";
      case KeyPart::Kind::secret:
        return " has changed";
      case KeyPart::Kind::setting:
      case KeyPart::Kind::place:
        break;
    }
    return " was " + quoted(before) + ", is " + quoted(part.value);
  }

  static void compare_keys(const StageRecord& record, Verdict& verdict) {
    for (const KeyPart& part : verdict.key) {
      const std::string* before = value_of(record.key, part.name);
      if (before == nullptr) {
        verdict.reasons.push_back(printable(part.name) + " is new");
      } else if (*before != part.value) {
        verdict.reasons.push_back(printable(part.name) + change_of(part, *before));
      }
    }
    if (!verdict.pending.empty()) return;
    for (const KeyPart& part : record.key) {
      if (value_of(verdict.key, part.name) == nullptr) {
        verdict.reasons.push_back(printable(part.name) + " is gone");
      }
    }
  }

  // What it read last time beside its inputs is what it would read now as long as nothing else has
  // changed.
  void compare_read(const WorkflowStage& stage, const StageRecord& record, Verdict& verdict) const {
    for (const StageRead& read : record.read) {
      if (is_pending(stage, read, verdict)) continue;
      const std::optional<Path> path = path_of(stage, read);
      const bool is_gone = !path || !is_there(*path);
      if (!is_gone && context_.contents.id(*path) == read.id) continue;
      verdict.reasons.push_back("contents of " + printable(read.name) +
                                (is_gone ? " are missing" : " have changed"));
    }
  }

  static bool is_pending(const WorkflowStage& stage, const StageRead& read,
                         const Verdict& verdict) {
    return std::ranges::any_of(stage.inputs, [&](const StageInput& input) {
      return input.name == read.input && std::ranges::count(verdict.pending, input.stage) != 0;
    });
  }

  void compare_tools(const StageRecord& record, std::vector<std::string>& reasons) const {
    for (const KeyPart& tool : record.result.tools) {
      const std::optional<std::string> now = tool_revision(tool.name);
      if (!now) {
        reasons.push_back(printable(tool.name) + " is not there any more");
      } else if (*now != tool.value) {
        reasons.push_back(printable(tool.name) + " had revision " + printable(tool.value) +
                          ", has " + *now);
      }
    }
  }

  std::optional<std::string> tool_revision(const std::string& tool) const {
    const std::optional<std::string> revision = revision_among<ExporterInfo>(tool);
    return revision ? revision : revision_among<LayoutInfo>(tool);
  }

  template <typename Info>
  std::optional<std::string> revision_among(const std::string& tool) const {
    for (const auto& offer : context_.host.offers<Info>()) {
      if (tool_name(*offer.info) == tool) return std::to_string(offer.info->revision);
    }
    return std::nullopt;
  }

  void compare_outputs(const WorkflowStage& stage, const StageRecord& record,
                       std::vector<std::string>& reasons) const {
    for (const StageOutput& output : own_outputs(*stage.stage)) {
      const std::string* id = value_of(record.outputs, output.name);
      if (!is_there(output.path)) {
        reasons.push_back(path_text(output.path) + " is missing");
      } else if (id == nullptr || !context_.contents.still_is(output.path, *id)) {
        reasons.push_back(path_text(output.path) + " is not what it was");
      }
    }
  }

  const PlanContext& context_;
};

// A stage that was killed after its outputs appeared and before the journal could say so is done:
// outputs appear complete, so one that was not there before is the one that it made.
void recover(const PlanContext& context) {
  for (const WorkflowStage& stage : context.workflow.stages) {
    if (!stage.stage || !stage.stage->is_atomic()) continue;
    std::optional<StageRecord> record = context.journal.read(stage.name);
    if (!record || record->state != StageRecord::State::started) continue;
    const std::vector<StageOutput> outputs = own_outputs(*stage.stage);
    const bool complete =
        !outputs.empty() &&
        std::all_of(outputs.begin(), outputs.end(), [&](const StageOutput& output) {
          const std::optional<FileState> now = file_state(output.path);
          if (!now) return false;
          return std::none_of(record->files.begin(), record->files.end(),
                              [&](const FileState& before) {
                                return before.path == now->path && before.same_file(*now);
                              });
        });
    if (!complete) continue;
    for (const StageOutput& output : outputs) remove_left_overs(output.path);
    record->files.clear();
    record->outputs.clear();
    for (const StageOutput& output : outputs) {
      record->outputs.push_back({output.name, context.contents.written_id(output.path)});
      for (FileState& file : context.contents.states(output.path)) {
        record->files.push_back(std::move(file));
      }
    }
    record->state = StageRecord::State::done;
    record->finished = utc_now();
    context.journal.write(*record);
  }
}

// Tells plugins apart, and builds of them.
std::string print_of(const std::vector<FoundPlugin>& plugins) {
  std::vector<KeyPart> key;
  for (const FoundPlugin& plugin : plugins) {
    for (const Path& path : {plugin.library, sidecar_path(plugin.library)}) {
      const std::optional<FileState> state = file_state(path);
      key.push_back({path.string(), state ? state_text(*state) : std::string(kMissing)});
    }
  }
  return fingerprint(key);
}

class Planner {
 public:
  Planner(const PlanContext& context, const PlanOptions& options, ScriptProblems& problems)
      : context_(context),
        options_(options),
        problems_(problems),
        judge_(context),
        plugins_(print_of(context.host.plugins())) {}

  Plan plan(const YamlNode& command_line) {
    const std::vector<bool> chosen = choose(command_line);
    if (!problems_.empty()) return {};
    recover(context_);
    Plan plan;
    plan.stages.resize(context_.workflow.stages.size());
    for (std::size_t i = 0; i < plan.stages.size(); ++i) decide(i, chosen[i], plan);
    return plan;
  }

 private:
  std::vector<bool> choose(const YamlNode& command_line) {
    const std::vector<WorkflowStage>& stages = context_.workflow.stages;
    if (options_.only.empty() && options_.until.empty()) {
      return std::vector<bool>(stages.size(), true);
    }
    std::vector<bool> until(stages.size());
    match(options_.until, "--until", command_line, until);
    std::vector<bool> chosen = with_needs(context_.workflow.graph(), std::move(until));
    match(options_.only, "--only", command_line, chosen);
    return chosen;
  }

  void match(const std::vector<std::string>& patterns, const std::string& option,
             const YamlNode& command_line, std::vector<bool>& chosen) {
    const std::vector<WorkflowStage>& stages = context_.workflow.stages;
    for (const std::string& pattern : patterns) {
      const std::vector<std::size_t> named = context_.workflow.named(pattern);
      for (const std::size_t stage : named) chosen[stage] = true;
      if (!named.empty()) continue;
      const std::string near = context_.workflow.suggestion(pattern, true);
      std::vector<std::string> names;
      for (const WorkflowStage& stage : stages) names.push_back(stage.name);
      problems_.add(command_line, "run.pattern", option + ": no stage is called " + quoted(pattern),
                    near.empty() ? "there is " + list_text(names, 32) : near);
    }
  }

  void decide(std::size_t index, bool chosen, Plan& plan) {
    const WorkflowStage& stage = context_.workflow.stages[index];
    PlannedStage& planned = plan.stages[index];
    if (!stage.stage || !chosen) {
      planned.decision = Decision::left_out;
      planned.reasons = {stage.left_out ? to_text(*stage.left_out) : "it was not chosen"};
      return;
    }
    const auto is_settled = [&](std::size_t need) {
      const Decision decision = plan.stages[need].decision;
      return decision == Decision::up_to_date || decision == Decision::left_out;
    };
    const ScriptProblems::OfStage of(problems_, stage.name);
    // What is not chosen is taken as it is, so it has to be there.
    check_inputs(stage, is_settled);
    Verdict verdict = judge_.judge(index, options_.rerun, is_settled);
    planned.reasons = std::move(verdict.reasons);
    if (verdict.record) planned.read = found_again(stage, verdict.record->read);
    if (!planned.reasons.empty()) {
      planned.decision = Decision::run;
    } else if (!verdict.pending.empty()) {
      planned.decision = Decision::maybe;
      planned.reasons = {"it needs " + list_text(verdict.pending) + ", which may change"};
    } else {
      planned.decision = Decision::up_to_date;
      planned.reasons = {"nothing it depends on has changed since " + verdict.record->finished};
      // Should it run again one day, what was learnt of it is still of use.
      if (is_final(stage, verdict)) context_.forecasts.find(forecast_print(stage, verdict));
      return;
    }
    check_outputs(stage, verdict.record);
    if (planned.decision == Decision::run) look_ahead(stage, verdict, planned);
  }

  template <typename IsSettled>
  void check_inputs(const WorkflowStage& stage, const IsSettled& is_settled) {
    for (const StageInput& input : stage.inputs) {
      const std::optional<std::size_t> maker =
          input.stage.empty() ? std::nullopt : context_.workflow.find(input.stage);
      if (maker && !is_settled(*maker)) continue;
      if (is_there(input.path)) continue;
      if (maker) {
        problems_.add(stage.main, "run.input",
                      "stage " + quoted(stage.name) + " needs " + path_text(input.path) +
                          ", which stage " + quoted(input.stage) + " has not made yet",
                      "choose it with --until instead of --only");
        continue;
      }
      if (const std::optional<Error> error = source_problem(stage)) {
        add_problem(stage, *error);
        return;
      }
      const std::string written = input.path.filename().string();
      problems_.add(
          stage.main, "run.input",
          quoted(input.name) + " is no stage, and there is no file " + path_text(input.path),
          context_.workflow.suggestion(written, true));
    }
  }

  // A problem that forecasting a stage met.
  void add_problem(const WorkflowStage& stage, const Error& error) {
    const YamlNode& place = place_of(stage, error);
    // Of a component that another stage describes, it is that stage's.
    const std::optional<std::size_t> other = context_.workflow.find(place.text);
    if (other && context_.workflow.stages[*other].name != stage.name && faulty_.contains(*other)) {
      return;
    }
    faulty_.insert(*context_.workflow.find(stage.name));
    ScriptProblem problem = make_problem(place, error);
    // What was meant as a stage's name is looked for among files and names of models in the end.
    if (error.code().starts_with("source.") && place.text.find('/') == std::string::npos) {
      const std::string meant = context_.workflow.suggestion(place.text, false);
      if (!meant.empty()) {
        problem.message += "; it is no stage either";
        problem.hint = meant;
      }
    }
    problems_.add(std::move(problem));
  }

  // What a stage that takes sources says of one that is not there.
  std::optional<Error> source_problem(const WorkflowStage& stage) const {
    try {
      stage.stage->forecast(context_.host);
    } catch (const Error& error) {
      if (error.code().starts_with("source.")) return error;
    }
    return std::nullopt;
  }

  // What lies at an output and is not what this script left there is not overwritten.
  void check_outputs(const WorkflowStage& stage, const std::optional<StageRecord>& record) {
    if (options_.force || !stage.stage->is_atomic() || stage.stage->keeps_foreign()) return;
    for (const StageOutput& output : own_outputs(*stage.stage)) {
      if (!is_there(output.path)) continue;
      const std::string* id = record ? value_of(record->outputs, output.name) : nullptr;
      if (id != nullptr && context_.contents.still_is(output.path, *id)) continue;
      problems_.add(stage.where, "target.exists",
                    "stage " + quoted(stage.name) + " would replace " + path_text(output.path) +
                        (id == nullptr ? ", which this script has not made"
                                       : ", which was changed since this script made it"),
                    "move it away, or pass --force to replace it");
    }
  }

  void look_ahead(const WorkflowStage& stage, const Verdict& verdict, PlannedStage& planned) {
    if (!is_final(stage, verdict)) return;
    const std::string print = forecast_print(stage, verdict);
    if (const Forecast* known = context_.forecasts.find(print)) {
      planned.forecast = *known;
      return;
    }
    try {
      std::optional<std::chrono::milliseconds> limit;
      if (stage.timeout > 0) limit = timeout_of(stage);
      const StageScope scope(nullptr, limit);
      planned.forecast = context_.forecasts.add(print, stage.stage->forecast(context_.host));
    } catch (const Error& error) {
      // No fault of the script.
      if (error.kind() == ErrorKind::interrupted || is_fault_of_machine(error)) throw;
      // Nor is a plugin that fails: that stage does then, and others need not wait for its repair.
      if (error.kind() == ErrorKind::plugin && error.code().starts_with("plugin.")) {
        planned.forecast.notes.push_back("a plugin fails: " + error.message());
        return;
      }
      add_problem(stage, error);
    }
  }

  // Whether all that it reads is there and stays as it is.
  static bool is_final(const WorkflowStage& stage, const Verdict& verdict) {
    return std::ranges::all_of(stage.inputs, [&](const StageInput& input) {
      return is_there(input.path) && std::ranges::count(verdict.pending, input.stage) == 0;
    });
  }

  // Of all that decides a forecast. Opening checkpoints is what takes time, and what is made of the
  // same in the same way at another place is forecast once.
  std::string forecast_print(const WorkflowStage& stage, const Verdict& verdict) const {
    std::vector<KeyPart> key = verdict.key;
    std::erase_if(key, [](const KeyPart& part) { return part.kind == KeyPart::Kind::place; });
    key.push_back({"outputs", std::to_string(stage.stage->outputs().size())});
    key.push_back({"plugins", plugins_});
    // What lies beside a file may be read too.
    for (const StageInput& input : stage.inputs) key.push_back({"at", input.path.string()});
    return fingerprint(key);
  }

  const PlanContext& context_;
  const PlanOptions& options_;
  ScriptProblems& problems_;
  Judge judge_;
  std::string plugins_;           // which there are
  std::set<std::size_t> faulty_;  // stages that have a problem of their own
};

// Runs stages of a workflow and keeps the journal.
class Work final : public StageWork {
 public:
  Work(const PlanContext& context, const RunOptions& options)
      : context_(context), options_(options), judge_(context) {
    for (const WorkflowStage& stage : context.workflow.stages) {
      if (!stage.stage) continue;
      for (const StageOutput& output : stage.stage->outputs()) places_.push_back(output.path);
    }
  }

  void run(std::size_t index, StageReport& report, Sink& sink,
           const Cancellation& cancellation) override {
    const WorkflowStage& stage = context_.workflow.stages[index];
    // Everything it needs has its final state by now.
    const Verdict verdict = judge_.judge(index, options_.rerun, [](std::size_t) { return true; });
    if (verdict.reasons.empty()) {
      report.state = StageState::up_to_date;
      report.reasons = {"nothing it depends on has changed"};
      report.result = verdict.record->result;
      report.seconds = verdict.record->seconds;
      return;
    }
    report.reasons = verdict.reasons;
    run_now(stage, verdict, report, sink, cancellation);
    report.state = StageState::done;
  }

 private:
  void run_now(const WorkflowStage& stage, const Verdict& verdict, StageReport& report, Sink& sink,
               const Cancellation& cancellation) {
    using Clock = std::chrono::steady_clock;
    const std::vector<StageOutput> outputs = own_outputs(*stage.stage);
    for (const StageOutput& output : outputs) {
      if (stage.stage->keeps_foreign()) put_back(output.path, kept_file(stage));
    }
    StageRecord record;
    record.stage = stage.name;
    record.key = verdict.key;
    if (verdict.record) record.outputs = verdict.record->outputs;
    for (const StageOutput& output : outputs) {
      if (auto before = file_state(output.path)) record.files.push_back(*std::move(before));
    }
    const bool replace = may_replace(stage, verdict.record);
    context_.journal.write(record);
    keep_foreign_within(stage);
    const Path log = context_.journal.log(stage.name);
    boost::system::error_code ignored;
    fs::remove(log, ignored);
    const Clock::time_point begin = Clock::now();
    try {
      // Before outputs appear: should the run be killed then, it is known what they are made of.
      const auto remember = [&](std::vector<StageRead> read) {
        if (read.empty()) return;
        record.read = std::move(read);
        for (StageRead& file : record.read) {
          file.id = context_.contents.opened_id(*file.opened);
          file.opened.reset();
        }
        context_.journal.write(record);
      };
      StageRun run{stage.name, context_.host, sink, cancellation, options_.durability,
                   replace,    places_,       log,  remember,     options_.extents};
      const StageScope scope(&cancellation, {});
      record.result = stage.stage->run(run);
    } catch (const Error& error) {
      if (is_there(log)) report.log = log;
      record.state = StageRecord::State::failed;
      record.error = error.message();
      if (error.kind() == ErrorKind::interrupted) record.error = "it was interrupted";
      context_.journal.write(record);
      throw;
    }
    if (is_there(log)) report.log = log;
    record.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    finish(stage, outputs, record);
    boost::system::error_code unneeded;
    if (stage.stage->keeps_foreign()) fs::remove(kept_file(stage), unneeded);
    report.result = record.result;
  }

  // What people wrote at an output that lies in a directory which is replaced is kept beside the
  // journal until the stage runs that knows what to do with it.
  Path kept_file(const WorkflowStage& stage) const {
    return context_.journal.directory() / (stage.name + ".kept");
  }

  void keep_foreign_within(const WorkflowStage& stage) {
    for (const WorkflowStage& other : context_.workflow.stages) {
      if (!other.stage || !other.stage->keeps_foreign()) continue;
      for (const StageOutput& output : other.stage->outputs()) {
        const bool is_replaced = std::ranges::any_of(
            stage.stage->outputs(),
            [&](const StageOutput& replaced) { return is_inside(output.path, replaced.path); });
        if (is_replaced && is_there(output.path)) copy_text(output.path, kept_file(other));
      }
    }
  }

  static void put_back(const Path& output, const Path& kept) {
    if (is_there(output) || !is_there(kept)) return;
    create_parents(output);
    copy_text(kept, output);
  }

  static void copy_text(const Path& from, const Path& to) {
    const InputFile input(from);
    OutputFile file(to.parent_path(), Durability::sync);
    file.write(input.read_text(0, input.size()));
    file.publish(to, true);
  }

  void finish(const WorkflowStage& stage, const std::vector<StageOutput>& outputs,
              StageRecord& record) {
    record.state = StageRecord::State::done;
    record.finished = utc_now();
    record.files.clear();
    record.outputs.clear();
    const auto remember = [&](const Path& path) {
      for (FileState& file : context_.contents.states(path)) {
        record.files.push_back(std::move(file));
      }
    };
    for (const StageOutput& output : outputs) {
      if (!is_there(output.path) || record.result.kept) continue;
      record.outputs.push_back({output.name, context_.contents.written_id(output.path)});
      remember(output.path);
    }
    for (const StageInput& input : stage.inputs) remember(input.path);
    for (const StageRead& read : found_again(stage, record.read)) remember(read.file);
    context_.journal.write(record);
  }

  // Whether what lies at the outputs may go: it is what this script left there, or --force says so.
  bool may_replace(const WorkflowStage& stage, const std::optional<StageRecord>& record) {
    if (options_.force) return true;
    bool ours = true;
    for (const StageOutput& output : own_outputs(*stage.stage)) {
      if (!is_there(output.path)) continue;
      const std::string* id = record ? value_of(record->outputs, output.name) : nullptr;
      ours = ours && id != nullptr && context_.contents.still_is(output.path, *id);
    }
    return ours;
  }

  const PlanContext& context_;
  const RunOptions& options_;
  Judge judge_;
  std::vector<Path> places_;  // of all outputs
};

}  // namespace

std::string_view to_string(PlannedStage::Decision decision) {
  switch (decision) {
    case Decision::run:
      return "run";
    case Decision::up_to_date:
      return "up to date";
    case Decision::maybe:
      return "maybe";
    case Decision::left_out:
      return "left out";
  }
  return "run";
}

std::uint64_t Plan::bytes() const {
  std::uint64_t total = 0;
  for (const PlannedStage& stage : stages) total += stage.forecast.bytes;
  return total;
}

Plan make_plan(const PlanContext& context, const PlanOptions& options, const YamlNode& command_line,
               ScriptProblems& problems) {
  return Planner(context, options, problems).plan(command_line);
}

StageReport describe(const WorkflowStage& stage) {
  StageReport report;
  report.name = stage.name;
  report.group = stage.group;
  report.kind = stage.kind;
  report.what = stage.stage ? stage.stage->what() : stage.kind;
  report.may_fail = stage.may_fail;
  for (const GraphNode::Need& need : stage.needs) report.needs.push_back(need.node);
  if (stage.stage) report.outputs = stage.stage->outputs();
  return report;
}

std::vector<StageReport> run_plan(const PlanContext& context, const Plan& plan,
                                  const RunOptions& options, RunObserver& observer) {
  std::vector<RunnerStage> stages;
  std::vector<StageReport> reports;
  for (std::size_t i = 0; i < context.workflow.stages.size(); ++i) {
    const WorkflowStage& stage = context.workflow.stages[i];
    const PlannedStage& planned = plan.stages[i];
    StageReport report = describe(stage);
    report.reasons = planned.reasons;
    if (planned.decision == Decision::left_out) report.state = StageState::left_out;
    if (planned.decision == Decision::up_to_date) {
      report.state = StageState::up_to_date;
      if (const auto record = context.journal.read(stage.name)) {
        report.result = record->result;
        report.seconds = record->seconds;
      }
    }
    stages.push_back(
        {stage.needs, stage.retries, timeout_of(stage), stage.may_fail, planned.forecast.bytes});
    reports.push_back(std::move(report));
  }
  Work work(context, options);
  run_stages(stages, work, observer, options.runner, reports);
  return reports;
}

}  // namespace craftbundle
