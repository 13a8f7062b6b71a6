// Writing the files of stages.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/io/output_directory.h"
#include "craftbundle/detail/io/path.h"
#include "craftbundle/detail/pipeline/stage.h"

namespace CRAFTBUNDLE_API craftbundle {

// Creates the missing directories above `path`. Throws Error(system).
void create_parents(const Path& path);

// Publishes a file at `path` that `write` fills; it appears complete or not at all, and what is
// there is replaced when the run may. Returns its size.
std::uint64_t publish_file(const Path& path, const StageRun& run,
                           const std::function<void(OutputFile&)>& write);
std::uint64_t publish_text(std::string_view text, const Path& path, const StageRun& run);

// Publishes a directory that a stage has filled; what is there is replaced, with all that is in it,
// when the run may.
void publish_directory(OutputDirectory& directory, const StageRun& run);

// Adds to the summary how many bytes a stage has not written but shares with files that were there.
void note_shared(std::uint64_t bytes, StageResult& result);

// Removes what a killed run left beside an output that it had finished: nobody else will write
// there. Best effort: what is in use, or cannot be removed, stays.
void remove_left_overs(const Path& output);

}  // namespace craftbundle
