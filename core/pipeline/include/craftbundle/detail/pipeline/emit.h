// The graph of a run for engines that people already have.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// A stage as an engine sees it: a command, and what comes before it.
struct EmittedStage {
  struct Need {
    std::size_t stage = 0;     // place in EmittedRun::stages, always before this one
    bool needs_output = true;  // else only the order counts, also when that stage may fail and does
  };
  std::string name;
  std::string group;  // the stages of a matrix have the same one, and follow each other
  std::vector<Need> needs;
  bool may_fail = false;
  int retries = 0;
  double timeout = 0;  // seconds; 0: none
  // What the script says for the engine ("slurm: {partition: gpu, mem: 4G}").
  std::vector<std::pair<std::string, std::string>> slurm;
};

struct EmittedRun {
  std::string script;                // for comments
  std::string directory;             // absolute, where the commands run
  std::vector<std::string> command;  // argv that runs the stage whose name is appended
  std::vector<EmittedStage> stages;  // in an order that runs
};

// Text of a makefile, a build.ninja, a shell script that submits jobs.
std::string to_make(const EmittedRun& run);
std::string to_ninja(const EmittedRun& run);
std::string to_slurm(const EmittedRun& run);

}  // namespace craftbundle
