#include "craftbundle/detail/pipeline/emit.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

// A word of a shell command.
std::string shell_word(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@+,%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string shell_command(const std::vector<std::string>& words) {
  std::vector<std::string> quoted_words;
  for (const std::string& word : words) quoted_words.push_back(shell_word(word));
  return join(quoted_words, " ");
}

// The same for a line of make or ninja, where '$' begins a variable.
std::string dollars_doubled(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '$' ? "$$" : std::string(1, c);
  return result;
}

// The value of a variable of make, where '#' would begin a comment.
std::string make_value(const std::string& text) {
  std::string result;
  for (const char c : dollars_doubled(text)) result += c == '#' ? "\\#" : std::string(1, c);
  return result;
}

// A comment goes to the end of the line.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

std::string heading(const EmittedRun& run, const std::string& how) {
  return "# The stages of " + one_line(run.script) +
         ", written by 'craftbundle run --emit'. Run it with\n#   " + how +
         "\n# Craftbundle itself decides whether a stage is up to date, so it is asked each "
         "time.\n";
}

std::string names_of(const EmittedRun& run, const std::vector<std::size_t>& stages) {
  std::string text;
  for (const std::size_t stage : stages) text += " " + run.stages[stage].name;
  return text;
}

std::vector<std::size_t> all_of(const EmittedRun& run) {
  std::vector<std::size_t> all(run.stages.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

std::vector<std::size_t> needs_of(const EmittedStage& stage) {
  std::vector<std::size_t> needs;
  for (const EmittedStage::Need& need : stage.needs) needs.push_back(need.stage);
  return needs;
}

// A name for all stages that none of them has.
std::string goal(const EmittedRun& run) {
  std::string name = "all";
  while (std::ranges::count(run.stages, name, &EmittedStage::name) != 0) name += "-stages";
  return name;
}

// A target of make, where '=' would make a variable of it.
std::string make_target(const std::string& name) {
  std::string result;
  for (const char c : name) result += c == '=' ? "$(EQUALS)" : std::string(1, c);
  return result;
}

// Whether some stage uses the outcome of this one.
bool is_used(const EmittedRun& run, std::size_t index) {
  return std::any_of(run.stages.begin(), run.stages.end(), [&](const EmittedStage& stage) {
    return std::any_of(stage.needs.begin(), stage.needs.end(), [&](const EmittedStage::Need& need) {
      return need.stage == index && need.needs_output;
    });
  });
}

// Whether the engine must go on when the stage fails. What uses its outcome fails by itself.
bool is_tolerated(const EmittedRun& run, std::size_t index) {
  return run.stages[index].may_fail && !is_used(run, index);
}

}  // namespace

std::string to_make(const EmittedRun& run) {
  std::string text = heading(run, "make -f FILE -j 4");
  const std::string all = make_target(names_of(run, all_of(run)));
  text += "CRAFTBUNDLE ?= " + make_value(shell_word(run.command.front())) + "\n";
  text += "CRAFTBUNDLE_RUN = cd " + make_value(shell_word(run.directory)) + " && $(CRAFTBUNDLE) " +
          make_value(shell_command({run.command.begin() + 1, run.command.end()})) + "\n\n";
  if (all.find("$(EQUALS)") != std::string::npos) text += "EQUALS := =\n";
  text += ".PHONY: " + goal(run) + all + "\n" + goal(run) + ":" + all + "\n";
  for (std::size_t i = 0; i < run.stages.size(); ++i) {
    const EmittedStage& stage = run.stages[i];
    text += "\n" + make_target(stage.name + ":" + names_of(run, needs_of(stage))) + "\n\t" +
            (is_tolerated(run, i) ? "-" : "") + "$(CRAFTBUNDLE_RUN) " + stage.name + "\n";
  }
  return text;
}

std::string to_ninja(const EmittedRun& run) {
  std::string text = heading(run, "ninja -f FILE");
  // Ninja's own outputs would be files; phony ones are always made.
  text += "ninja_required_version = 1.5\n\nrule stage\n  command = cd " +
          dollars_doubled(shell_word(run.directory)) + " && " +
          dollars_doubled(shell_command(run.command)) +
          " $stage$tolerated\n  description = $stage\n";
  for (std::size_t i = 0; i < run.stages.size(); ++i) {
    const EmittedStage& stage = run.stages[i];
    const std::string needs = names_of(run, needs_of(stage));
    text += "\nbuild " + stage.name + ": stage" + (needs.empty() ? "" : " |" + needs) +
            "\n  stage = " + stage.name + "\n";
    if (is_tolerated(run, i)) text += "  tolerated = || true\n";
  }
  return text + "\nbuild " + goal(run) + ": phony" + names_of(run, all_of(run)) + "\ndefault " +
         goal(run) + "\n";
}

namespace {

// Stages that are submitted together: one, or an array of those of a matrix.
struct Job {
  std::vector<std::size_t> stages;
  bool is_array() const { return stages.size() > 1; }
};

// Stages of a group follow each other only where nothing they need lies between, so a group may be
// more than one job.
std::vector<Job> jobs_of(const EmittedRun& run) {
  std::vector<Job> jobs;
  std::map<std::string, std::size_t> open;  // group -> job
  std::vector<std::size_t> job_of(run.stages.size());
  for (std::size_t i = 0; i < run.stages.size(); ++i) {
    const EmittedStage& stage = run.stages[i];
    const auto known = open.find(stage.group);
    const bool joins =
        known != open.end() &&
        run.stages[jobs[known->second].stages.front()].slurm == stage.slurm &&
        run.stages[jobs[known->second].stages.front()].timeout == stage.timeout &&
        std::all_of(stage.needs.begin(), stage.needs.end(), [&](const EmittedStage::Need& need) {
          return job_of[need.stage] < known->second;
        });
    if (joins) {
      jobs[known->second].stages.push_back(i);
      job_of[i] = known->second;
    } else {
      job_of[i] = jobs.size();
      open[stage.group] = jobs.size();
      jobs.push_back({{i}});
    }
  }
  return jobs;
}

std::string job_variable(std::size_t job) { return "job_" + std::to_string(job + 1); }

// Whether instance k of `job` needs exactly instance k of `other`, and nothing else of it.
bool corresponds(const EmittedRun& run, const Job& job, const Job& other) {
  if (!job.is_array() || job.stages.size() != other.stages.size()) return false;
  for (std::size_t k = 0; k < job.stages.size(); ++k) {
    std::vector<std::size_t> needed;
    for (const EmittedStage::Need& need : run.stages[job.stages[k]].needs) {
      if (std::find(other.stages.begin(), other.stages.end(), need.stage) != other.stages.end()) {
        needed.push_back(need.stage);
      }
    }
    if (needed != std::vector<std::size_t>{other.stages[k]}) return false;
  }
  return true;
}

std::string dependency(const EmittedRun& run, const std::vector<Job>& jobs, std::size_t index) {
  std::string text;
  const Job& job = jobs[index];
  for (std::size_t k = 0; k < index; ++k) {
    const Job& other = jobs[k];
    bool needed = false;
    bool must_succeed = false;
    for (const std::size_t stage : job.stages) {
      for (const EmittedStage::Need& need : run.stages[stage].needs) {
        if (std::find(other.stages.begin(), other.stages.end(), need.stage) == other.stages.end()) {
          continue;
        }
        needed = true;
        must_succeed = must_succeed || need.needs_output || !run.stages[need.stage].may_fail;
      }
    }
    if (!needed) continue;
    const char* type = !must_succeed                  ? "afterany"
                       : corresponds(run, job, other) ? "aftercorr"
                                                      : "afterok";
    text += (text.empty() ? "" : ",") + std::string(type) + ":$" + job_variable(k);
  }
  return text;
}

std::string submit(const EmittedRun& run, const std::vector<Job>& jobs, std::size_t index) {
  const Job& job = jobs[index];
  const EmittedStage& first = run.stages[job.stages.front()];
  std::string name = first.name;
  if (job.is_array()) {
    name.clear();
    for (const std::size_t stage : job.stages) {
      // The common beginning of the names says what the array is.
      const std::string& other = run.stages[stage].name;
      if (stage == job.stages.front()) name = other;
      const auto differs = std::mismatch(name.begin(), name.end(), other.begin(), other.end());
      name.erase(differs.first, name.end());
    }
    while (!name.empty() && (name.back() == '-' || name.back() == '@')) name.pop_back();
    if (name.empty()) name = "stages";
  }
  std::string text = job_variable(index) + "=$(sbatch --parsable --job-name=" + shell_word(name) +
                     " --chdir=" + shell_word(run.directory) +
                     (job.is_array() ? " --output='slurm-%x-%A_%a.out' --array=0-" +
                                           std::to_string(job.stages.size() - 1)
                                     : " --output='slurm-%x-%j.out'");
  if (first.timeout > 0) {
    // Slurm counts minutes, and the stage ends itself before.
    text += " --time=" +
            std::to_string(
                static_cast<long long>(std::ceil(first.timeout * (first.retries + 1) / 60)) + 1);
  }
  for (const auto& [key, value] : first.slurm) text += " " + shell_word("--" + key + "=" + value);
  const std::string needs = dependency(run, jobs, index);
  if (!needs.empty()) text += " --kill-on-invalid-dep=yes \"--dependency=" + needs + "\"";
  text += " <<'STAGES'\n#!/bin/bash\nstages=(" +
          [&] {
            std::vector<std::string> names;
            for (const std::size_t stage : job.stages) names.push_back(run.stages[stage].name);
            return join(names, " ");
          }() +
          ")\nexec " + shell_command(run.command) +
          " \"${stages[${SLURM_ARRAY_TASK_ID:-0}]}\"\nSTAGES\n)\n";
  return text + "echo \"$" + job_variable(index) + "  " + name + "\"\n";
}

}  // namespace

std::string to_slurm(const EmittedRun& run) {
  std::string text =
      "#!/bin/bash\n" + heading(run, "bash FILE") +
      "# on a machine with Slurm; it submits the jobs and ends.\nset -euo pipefail\n";
  const std::vector<Job> jobs = jobs_of(run);
  for (std::size_t i = 0; i < jobs.size(); ++i) text += "\n" + submit(run, jobs, i);
  return text;
}

}  // namespace craftbundle
