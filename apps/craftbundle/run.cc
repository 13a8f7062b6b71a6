// craftbundle run and craftbundle explain: the stages of a run script.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <memory>
#include <thread>

#include "arguments.h"
#include "commands.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/pipeline/emit.h"
#include "craftbundle/detail/pipeline/report.h"
#include "craftbundle/detail/pipeline/schema.h"
#include "craftbundle/detail/pipeline/script_run.h"
#include "graph.h"
#include "live_view.h"
#include "style.h"
#include "table.h"
#include "usage.h"

namespace craftbundle::app {
namespace {

namespace fs = boost::filesystem;
using Decision = PlannedStage::Decision;

constexpr const char* kDefaultScript = "craftbundle.yaml";

constexpr const char* kFooter = R"(
A run script is YAML: stages that export, bundle, verify, check and package models. Stages whose
inputs, options and outputs are unchanged are skipped; a run that was killed goes on where it was.

Examples:
  craftbundle run release.yaml --dry-run
  craftbundle run release.yaml -j 4 --set out=/exports/today
  craftbundle run release.yaml --until 'bundle-*' --keep-going
  craftbundle run release.yaml --emit slurm > release.sh)";

struct Arguments {
  std::string script;
  std::vector<std::string> settings;
  std::string state_directory;
  PlanOptions plan;
  std::string explain;  // a stage
  std::string emit;
  std::string report;
  int jobs = 1;
  bool keep_going = false;
  bool dry_run = false;
  bool no_sync = false;
  bool no_clone = false;
  CheckArguments check;
  bool json = false;
  bool schema = false;
  bool stage_of_engine = false;
};

// Tells all problems of a script at once.
void refuse_problems(const ScriptRun& loaded, Session& session) {
  const ScriptSources& sources = loaded.script().sources;
  for (const ScriptProblem& problem : loaded.problems().sorted()) {
    if (session.console().is_json()) {
      session.console().event({{"event", "problem"},
                               {"file", sources.name(problem.mark.source)},
                               {"line", problem.mark.line},
                               {"column", problem.mark.column},
                               {"code", problem.code},
                               {"message", problem.message},
                               {"hint", problem.hint},
                               {"stage", problem.stage},
                               {"others", problem.others}});
    } else {
      std::string text = to_text(problem, sources);
      text.pop_back();
      session.console().problem(text);
    }
  }
  loaded.require_sound();
}

// The script that was given, else the one of the usual name.
std::string script_of(const Arguments& arguments) {
  if (!arguments.script.empty()) return arguments.script;
  for (const char* name : {kDefaultScript, "craftbundle.yml"}) {
    boost::system::error_code ignored;
    if (fs::exists(name, ignored)) return name;
  }
  throw Error(ErrorKind::usage, "usage.arguments",
              std::string("no run script was given, and there is no ") + kDefaultScript + " here",
              "'craftbundle run --help' shows how");
}

// A script without problems.
struct Loaded : ScriptRun {
  Loaded(const Arguments& arguments, Session& session)
      : ScriptRun(session.host(), standard_stages(session.host()),
                  {script_of(arguments), arguments.settings, arguments.state_directory,
                   &session.cancellation(), &session.console(), arguments.check.check()}) {
    refuse_problems(*this, session);
  }
};

Plan plan_of(ScriptRun& loaded, const Arguments& arguments, Session& session) {
  Plan plan = loaded.plan(arguments.plan);
  refuse_problems(loaded, session);
  return plan;
}

// Plans
// ---------------------------------------------------------------------------------------------

std::string shown_path(const Path& path, const Path& directory) {
  const Path relative = path.lexically_relative(directory);
  return path_text(relative.empty() || *relative.begin() == ".." ? path : relative);
}

std::string bytes_text(std::uint64_t bytes) { return bytes == 0 ? "-" : human_bytes(bytes); }

// Bytes of a file, or of all files in a directory; 0 when nothing is there.
std::uint64_t size_on_disk(const Path& path) {
  boost::system::error_code failure;
  if (!fs::is_directory(path, failure)) {
    const std::uint64_t size = fs::file_size(path, failure);
    return failure ? 0 : size;
  }
  std::uint64_t bytes = 0;
  for (fs::recursive_directory_iterator entry(path, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    boost::system::error_code ignored;
    const std::uint64_t size =
        fs::is_regular_file(entry->path(), ignored) ? fs::file_size(entry->path(), ignored) : 0;
    if (!ignored) bytes += size;
  }
  return bytes;
}

// What a stage reads and leaves, as far as it is known.
struct StageSizes {
  const ScriptRun& loaded;
  const Plan& plan;

  std::uint64_t of_input(const StageInput& input) const {
    const auto maker = input.stage.empty() ? std::nullopt : loaded.workflow().find(input.stage);
    if (maker && plan.stages[*maker].decision != Decision::up_to_date) {
      return plan.stages[*maker].forecast.bytes;
    }
    return size_on_disk(input.path);
  }
  std::uint64_t read(std::size_t stage) const {
    std::uint64_t bytes = 0;
    for (const StageInput& input : loaded.workflow().stages[stage].inputs) bytes += of_input(input);
    return bytes;
  }
  // Of a stage that need not run, what is there.
  std::uint64_t left(std::size_t stage) const {
    if (plan.stages[stage].decision != Decision::up_to_date) {
      return plan.stages[stage].forecast.bytes;
    }
    const auto& made = loaded.workflow().stages[stage].stage;
    std::uint64_t bytes = 0;
    if (made == nullptr) return bytes;
    for (const StageOutput& output : made->outputs()) bytes += size_on_disk(output.path);
    return bytes;
  }
};

// Whether only some stages were asked for.
bool is_choice(const Arguments& arguments) {
  return !arguments.plan.only.empty() || !arguments.plan.until.empty();
}

std::string plan_text(const ScriptRun& loaded, const Plan& plan, bool chosen) {
  Table table({"stage", "decision", "what", "to", "reads", "bytes", "why"});
  const StageSizes sizes{loaded, plan};
  std::uint64_t read = 0;
  std::uint64_t there = 0;
  std::size_t run = 0;
  std::size_t maybe = 0;
  std::size_t hidden = 0;
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const WorkflowStage& stage = loaded.workflow().stages[i];
    const PlannedStage& planned = plan.stages[i];
    run += planned.decision == Decision::run ? 1 : 0;
    maybe += planned.decision == Decision::maybe ? 1 : 0;
    if (planned.decision == Decision::run) read += sizes.read(i);
    if (planned.decision == Decision::up_to_date) there += sizes.left(i);
    if (chosen && planned.decision == Decision::left_out) {
      ++hidden;
      continue;
    }
    const std::vector<StageOutput> outputs =
        stage.stage ? stage.stage->outputs() : std::vector<StageOutput>();
    table.add({stage.name, std::string(to_string(planned.decision)),
               stage.stage ? stage.stage->what() : stage.kind,
               outputs.empty() ? "-" : shown_path(outputs.front().path, loaded.script().directory),
               bytes_text(planned.decision == Decision::left_out ? 0 : sizes.read(i)),
               bytes_text(sizes.left(i)), planned.reasons.empty() ? "-" : planned.reasons.front()});
  }
  std::string text = table.text() + "  " + std::to_string(run) + " of " +
                     std::to_string(plan.stages.size()) + " stages to run";
  if (hidden > 0) text += ", " + std::to_string(hidden) + " left out";
  if (maybe > 0) text += ", " + std::to_string(maybe) + " more if what they need changes";
  if (there > 0) text += ", " + human_bytes(there) + " up to date";
  return text + ", " + human_bytes(read) + " to read and " + human_bytes(plan.bytes()) +
         " to write as far as is known\n";
}

Json plan_json(const ScriptRun& loaded, const Plan& plan) {
  Json json = Json::array();
  const StageSizes sizes{loaded, plan};
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const WorkflowStage& stage = loaded.workflow().stages[i];
    const PlannedStage& planned = plan.stages[i];
    Json entry = {{"name", stage.name},
                  {"kind", stage.kind},
                  {"decision", to_string(planned.decision)},
                  {"reasons", planned.reasons},
                  {"bytes", planned.forecast.bytes},
                  {"reads", sizes.read(i)},
                  {"notes", planned.forecast.notes}};
    entry["needs"] = Json::array();
    for (const GraphNode::Need& need : stage.needs) {
      entry["needs"].push_back(loaded.workflow().stages[need.node].name);
    }
    entry["inputs"] = Json::array();
    for (const StageInput& input : stage.inputs) entry["inputs"].push_back(input.path.string());
    entry["outputs"] = Json::array();
    if (stage.stage) {
      entry["what"] = stage.stage->what();
      for (const StageOutput& output : stage.stage->outputs()) {
        entry["outputs"].push_back(output.path.string());
      }
    }
    json.push_back(std::move(entry));
  }
  return {{"script", loaded.script().file.string()}, {"stages", json}};
}

std::string explain_text(const ScriptRun& loaded, const Plan& plan, std::size_t index) {
  const WorkflowStage& stage = loaded.workflow().stages[index];
  const PlannedStage& planned = plan.stages[index];
  const Path& directory = loaded.script().directory;
  std::string text = stage.name + ": " + (stage.stage ? stage.stage->what() : stage.kind) + "\n";
  if (!stage.description.empty()) text += "  " + printable(stage.description) + "\n";
  switch (planned.decision) {
    case Decision::run:
      text += "  would run, because\n";
      break;
    case Decision::up_to_date:
      text += "  would be skipped, because\n";
      break;
    case Decision::maybe:
      text += "  is decided later, because\n";
      break;
    case Decision::left_out:
      text += "  is left out, because\n";
      break;
  }
  for (const std::string& reason : planned.reasons) text += "    " + reason + "\n";
  if (!stage.needs.empty()) text += "  needs\n";
  for (const GraphNode::Need& need : stage.needs) {
    text += "    " + loaded.workflow().stages[need.node].name + " (" +
            std::string(to_string(plan.stages[need.node].decision)) +
            (need.output ? "" : ", only for the order") + ")\n";
  }
  if (!stage.inputs.empty()) text += "  reads\n";
  for (const StageInput& input : stage.inputs) {
    text += "    " + printable(input.name) + ": " + shown_path(input.path, directory) + "\n";
  }
  if (!planned.read.empty()) text += "  read last time as well\n";
  for (const StageRead& read : planned.read) {
    text += "    " + printable(read.name) + ": " + shown_path(read.file, directory) + "\n";
  }
  if (stage.stage && !stage.stage->outputs().empty()) {
    text += "  writes\n";
    for (const StageOutput& output : stage.stage->outputs()) {
      text += "    " + output.name + ": " + shown_path(output.path, directory) + "\n";
    }
  }
  for (const std::string& note : planned.forecast.notes) text += "  note: " + note + "\n";
  return text;
}

int explain(const Arguments& arguments, Session& session) {
  Loaded loaded(arguments, session);
  const std::vector<std::size_t> named = loaded.workflow().named(arguments.explain);
  if (named.empty()) {
    std::vector<std::string> names;
    for (const WorkflowStage& stage : loaded.workflow().stages) names.push_back(stage.name);
    const std::string near = loaded.workflow().suggestion(arguments.explain, true);
    throw Error(ErrorKind::usage, "run.stage",
                "there is no stage " + craftbundle::quoted(arguments.explain),
                near.empty() ? "there is " + list_text(names, 32) : near);
  }
  const Plan plan = plan_of(loaded, arguments, session);
  for (const std::size_t index : named) session.print(explain_text(loaded, plan, index));
  return kExitDone;
}

// Other engines
// -------------------------------------------------------------------------------------

int emit(const Arguments& arguments, Session& session) {
  const Loaded loaded(arguments, session);
  EmittedRun run;
  boost::system::error_code ignored;
  run.script = script_of(arguments);
  run.directory = absolute_path({}).string();
  run.command = {fs::canonical("/proc/self/exe", ignored).string(), "run", run.script};
  for (const std::string& directory : session.search_directories()) {
    run.command.insert(run.command.end(), {"--plugin-dir", directory});
  }
  for (const std::string& setting : arguments.settings) {
    run.command.insert(run.command.end(), {"--set", setting});
  }
  if (!arguments.state_directory.empty()) {
    run.command.insert(run.command.end(), {"--state-dir", arguments.state_directory});
  }
  if (arguments.no_sync) run.command.push_back("--no-sync");
  if (arguments.no_clone) run.command.push_back("--no-clone");
  if (arguments.plan.force) run.command.push_back("--force");
  if (arguments.check.check() == ContentCheck::structure) {
    run.command.insert(run.command.end(), {"--check", "structure"});
  }
  run.command.push_back("--stage");
  std::vector<std::size_t> place(loaded.workflow().stages.size());
  for (std::size_t i = 0; i < place.size(); ++i) {
    const WorkflowStage& stage = loaded.workflow().stages[i];
    if (!stage.stage) continue;
    place[i] = run.stages.size();
    EmittedStage emitted{stage.name,    stage.group,   {},         stage.may_fail,
                         stage.retries, stage.timeout, stage.slurm};
    for (const GraphNode::Need& need : stage.needs) {
      emitted.needs.push_back({place[need.node], need.output});
    }
    run.stages.push_back(std::move(emitted));
  }
  session.print(arguments.emit == "make"    ? to_make(run)
                : arguments.emit == "ninja" ? to_ninja(run)
                                            : to_slurm(run));
  return kExitDone;
}

// Running
// -------------------------------------------------------------------------------------------

// Each warning once, with the stages that have it.
std::string warnings_text(const RunReport& report) {
  std::vector<std::pair<std::string, std::vector<std::string>>> warnings;
  for (const StageReport& stage : report.stages) {
    // Those of what was written; checks before and after would say the same again.
    const bool wrote = stage.result.bytes > 0 || stage.result.kept;
    if (stage.state != StageState::done || !wrote) continue;
    for (const std::string& warning : stage.result.warnings) {
      auto known = std::find_if(warnings.begin(), warnings.end(),
                                [&](const auto& other) { return other.first == warning; });
      if (known == warnings.end()) known = warnings.insert(known, {warning, {}});
      known->second.push_back(stage.name);
    }
  }
  std::string text;
  for (const auto& [warning, stages] : warnings) {
    const std::size_t more = stages.size() - 1;
    text += paint(Tone::warning, "warning:") + " " + stages.front() +
            (more > 0 ? " and " + std::to_string(more) + " more" : "") + ": " + warning + "\n";
  }
  return text;
}

Tone tone_of(StageState state) {
  switch (state) {
    case StageState::done:
      return Tone::good;
    case StageState::failed:
    case StageState::interrupted:
      return Tone::error;
    case StageState::blocked:
    case StageState::not_run:
      return Tone::warning;
    case StageState::up_to_date:
    case StageState::left_out:
      break;
  }
  return Tone::faint;
}

// Whether the run had nothing to do, which a line says.
bool was_idle(const RunReport& report) {
  return std::ranges::all_of(report.stages, [](const StageReport& stage) {
    return stage.state == StageState::up_to_date || stage.state == StageState::left_out;
  });
}

std::string idle_text(const RunReport& report) {
  const std::uint64_t left_out = report.count(StageState::left_out);
  return "nothing to do: " + counted(report.count(StageState::up_to_date), "stage") +
         " up to date" + (left_out > 0 ? ", " + std::to_string(left_out) + " left out" : "") + "\n";
}

// `chosen`: only some stages were asked for; the others are counted and not listed.
std::string report_text(const RunReport& report, bool chosen) {
  if (was_idle(report)) return idle_text(report);
  Table table({"stage", "state", "time", "bytes", "what"});
  for (const StageReport& stage : report.stages) {
    if (chosen && stage.state == StageState::left_out) continue;
    const bool ran = stage.state == StageState::done || stage.state == StageState::failed;
    table.add({stage.name, paint(tone_of(stage.state), to_string(stage.state)),
               ran ? seconds_text(stage.seconds) : "-",
               stage.state == StageState::done ? bytes_text(stage.result.bytes) : "-", stage.what});
  }
  std::string text = table.text();
  std::vector<std::string> totals;
  for (const StageState state :
       {StageState::done, StageState::up_to_date, StageState::failed, StageState::interrupted,
        StageState::blocked, StageState::not_run, StageState::left_out}) {
    const std::uint64_t count = report.count(state);
    if (count == 0) continue;
    totals.push_back(std::to_string(count) + " " + std::string(to_string(state)));
  }
  text += join(totals, ", ") + "; " + human_bytes(report.bytes()) + " in " +
          seconds_text(report.seconds) + "\n";
  return text + warnings_text(report);
}

void write_file(const Path& path, std::string_view text) {
  OutputFile file(path.parent_path(), Durability::no_sync);
  file.write(text);
  file.publish(path, true);
}

Path write_reports(const RunReport& report, const Arguments& arguments, const Journal& journal) {
  const Path directory =
      arguments.report.empty() ? journal.directory() : absolute_path(arguments.report);
  boost::system::error_code failure;
  fs::create_directories(directory, failure);
  constexpr const char* kOtherPlace = "choose another directory for reports with --report";
  if (failure) throw system_error(failure.value(), path_text(directory), kOtherPlace);
  write_file(directory / "report.json", to_json(report));
  write_file(directory / "report.html", to_html(report, directory));
  return directory / "report.html";
}

// Stages that other engines run end at the same time; the last one that writes knows of all.
void write_recorded(ScriptRun& loaded, const Arguments& arguments) {
  const Path lock = loaded.journal().directory() / "report.lock";
  const int fd = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) throw system_error(errno, path_text(lock));
  const auto close = [](const int* open) { ::close(*open); };
  const std::unique_ptr<const int, decltype(close)> guard(&fd, close);
  int failure = 0;
  do {
    failure = ::flock(fd, LOCK_EX) == 0 ? 0 : errno;
  } while (failure == EINTR);
  if (failure != 0) throw system_error(failure, path_text(lock));
  write_reports(loaded.recorded(), arguments, loaded.journal());
}

int jobs(const Arguments& arguments) {
  if (arguments.jobs > 0) return arguments.jobs;
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

RunReport execute(ScriptRun& loaded, const Plan& plan, const Arguments& arguments,
                  Session& session) {
  RunOptions options;
  options.runner.jobs = jobs(arguments);
  options.runner.keep_going = arguments.keep_going;
  options.runner.cancellation = &session.cancellation();
  options.force = arguments.plan.force;
  options.rerun = arguments.plan.rerun;
  options.durability = arguments.no_sync ? Durability::no_sync : Durability::sync;
  options.extents = arguments.no_clone ? Extents::own : Extents::shared;
  std::vector<std::string> names;
  std::size_t to_do = 0;
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    names.push_back(loaded.workflow().stages[i].name);
    const Decision decision = plan.stages[i].decision;
    to_do += decision == Decision::run || decision == Decision::maybe ? 1 : 0;
  }
  LiveView view(session.console(), names, to_do);
  return loaded.run(plan, options, view);
}

int run(const Arguments& arguments, Session& session) {
  if (arguments.schema) {
    session.print(script_schema(standard_stages(session.host())));
    return kExitDone;
  }
  if (!arguments.emit.empty()) return emit(arguments, session);
  Loaded loaded(arguments, session);
  if (!arguments.dry_run) {
    loaded.journal().lock(arguments.stage_of_engine);
    if (arguments.stage_of_engine) loaded.journal().lock_stage(arguments.plan.only.front());
  }
  const Plan plan = plan_of(loaded, arguments, session);
  if (arguments.dry_run) {
    session.print(arguments.json ? json_document(plan_json(loaded, plan))
                                 : plan_text(loaded, plan, is_choice(arguments)));
    return kExitDone;
  }
  const RunReport report = execute(loaded, plan, arguments, session);
  Path page;
  if (arguments.stage_of_engine) {
    write_recorded(loaded, arguments);
  } else {
    page = write_reports(report, arguments, loaded.journal());
  }
  if (arguments.json) {
    session.print(to_json(report));
  } else if (!session.quiet() && !arguments.stage_of_engine) {
    session.print(report_text(report, is_choice(arguments)) + "report\n  " +
                  shown_path(page, absolute_path({})) + "\n");
  }
  if (const std::optional<Error> error = failure(report)) {
    if (error->kind() != ErrorKind::interrupted) session.console().error(*error);
    if (error->kind() == ErrorKind::interrupted) {
      throw Error(ErrorKind::interrupted, "run.interrupted", "the run was interrupted",
                  "run it again to go on");
    }
    return exit_code(error->kind());
  }
  session.cancellation().check();
  return kExitDone;
}

void add_script_options(CLI::App& sub, Arguments& arguments) {
  sub.add_option("--set", arguments.settings, "Give a variable of the script another value")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  sub.add_option("--state-dir", arguments.state_directory,
                 "Where to remember what was done, instead of .craftbundle beside the script")
      ->type_name("DIR");
  arguments.check.declare(
      sub,
      "How large files without CRC-32s are told apart: crc reads all of them, structure looks at "
      "size, times and inode");
}

}  // namespace

void add_run(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("run", "Run the stages of a run script");
  const auto arguments = std::make_shared<Arguments>();
  sub->add_option("script", arguments->script,
                  std::string("Run script (YAML); without one ") + kDefaultScript)
      ->type_name("SCRIPT");
  add_script_options(*sub, *arguments);
  const auto patterns = [&](const char* name, std::vector<std::string>& into, const char* what) {
    return sub->add_option(name, into, what)->type_name("STAGE")->allow_extra_args(false);
  };
  patterns("--only", arguments->plan.only, "Run these stages and nothing else; name or pattern");
  patterns("--until", arguments->plan.until, "Run these stages and what they need");
  sub->add_option_function<std::string>(
         "--stage",
         [arguments](const std::string& name) {
           arguments->plan.only = {name};
           arguments->stage_of_engine = true;
         },
         "Run one stage for another engine, beside others of the same script")
      ->type_name("STAGE")
      ->group("");
  sub->add_flag("--rerun", arguments->plan.rerun, "Run stages even when they are up to date");
  sub->add_flag("--force", arguments->plan.force, "Replace outputs that this script has not made");
  sub->add_flag("-k,--keep-going", arguments->keep_going,
                "After a failure run what does not need the failed stage");
  sub->add_option("-j,--jobs", arguments->jobs, "Stages to run at the same time; 0: one a core")
      ->type_name("N")
      ->check(CLI::Range(0, 256));
  sub->add_flag("-n,--dry-run", arguments->dry_run, "Show what would be done, and do nothing");
  sub->add_option("--emit", arguments->emit,
                  "Print the stages for another engine: make, ninja or slurm")
      ->check(one_of({"make", "ninja", "slurm"}))
      ->type_name("ENGINE");
  sub->add_option("--report", arguments->report, "Directory for report.html and report.json")
      ->type_name("DIR");
  sub->add_flag("--no-sync", arguments->no_sync, "Do not wait until the disk has everything");
  sub->add_flag("--no-clone", arguments->no_clone, kNoCloneHelp);
  sub->add_flag("--json", arguments->json, "Print the report or plan as JSON");
  sub->add_flag("--schema", arguments->schema, "Print the JSON schema of run scripts");
  sub->footer(kFooter);
  sub->callback([arguments, &command] {
    command.json = arguments->json;
    command.run = [arguments](Session& session) { return run(*arguments, session); };
  });
}

void add_graph(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("graph", "Draw the stages of a run script");
  const auto arguments = std::make_shared<Arguments>();
  sub->add_option("script", arguments->script, "Run script (YAML)")
      ->required()
      ->type_name("SCRIPT");
  add_script_options(*sub, *arguments);
  sub->footer(
      "\nA stage stands below one that it needs. Nothing is run or read but the script.\n\n"
      "Example:\n  craftbundle graph release.yaml");
  sub->callback([arguments, &command] {
    command.run = [arguments](Session& session) {
      const Loaded loaded(*arguments, session);
      session.print(graph_text(loaded.workflow(), is_utf8_locale()));
      return kExitDone;
    };
  });
}

void add_explain(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("explain", "Say why a stage would run or be skipped");
  const auto arguments = std::make_shared<Arguments>();
  sub->add_option("script", arguments->script,
                  std::string("Run script (YAML); without one ") + kDefaultScript)
      ->required()
      ->type_name("[SCRIPT]");
  sub->add_option("stage", arguments->explain, "Stage, matrix or pattern to explain")
      ->type_name("STAGE");
  add_script_options(*sub, *arguments);
  sub->footer("\nExample:\n  craftbundle explain release.yaml bundle-small");
  sub->callback([arguments, &command] {
    command.run = [arguments](Session& session) {
      // One word is the stage of the usual script.
      if (arguments->explain.empty()) arguments->explain.swap(arguments->script);
      return explain(*arguments, session);
    };
  });
}

}  // namespace craftbundle::app
