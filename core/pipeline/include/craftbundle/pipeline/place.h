// Writing the files of stages.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "craftbundle/io/output_file.h"
#include "craftbundle/io/path.h"
#include "craftbundle/pipeline/stage.h"

namespace craftbundle {

// Creates the missing directories above `path`. Throws Error(system).
void create_parents(const Path& path);

// Publishes a file at `path` that `write` fills; it appears complete or not at all, and what is
// there is replaced when the run may. Returns its size.
std::uint64_t publish_file(const Path& path, const StageRun& run,
                           const std::function<void(OutputFile&)>& write);
std::uint64_t publish_text(std::string_view text, const Path& path, const StageRun& run);

// Publishes a directory at `path` whose files `fill` makes in the staging directory it is given; it
// appears complete or not at all, and what is there is replaced when the run may. What a killed run
// left beside it is removed. Throws Error(system, "target.busy") while another run does the same.
void publish_directory(const Path& path, const StageRun& run,
                       const std::function<void(const Path& staged)>& fill);

}  // namespace craftbundle
