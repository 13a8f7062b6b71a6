#include <string_view>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/pipeline/workflow.h"
#include "fuzz_target.h"

namespace {

using namespace craftbundle;

// Without plugins: their stages are read as those of core are.
const StageReaders& readers() {
  static const Host host{{.search = {{}, false, false, false}}};
  static const StageReaders readers = standard_stages(host);
  return readers;
}

}  // namespace

// A run script, as far as it goes without looking at the disk: problems have a place and a text.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Other files are not the input.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.find("include") != std::string_view::npos) return 0;
  const testing::MemoryFile memory({data, size});
  ScriptProblems problems;
  const Script script = read_script(memory.path(), {}, problems);
  if (problems.empty()) {
    make_workflow(
        script, readers(), [](const std::string&) { return std::optional<std::string>("set"); },
        problems);
  }
  for (const ScriptProblem& problem : problems.sorted()) {
    if (problem.code.empty() || problem.message.empty()) __builtin_trap();
    if (to_text(problem, script.sources).empty()) __builtin_trap();
  }
  return 0;
}
