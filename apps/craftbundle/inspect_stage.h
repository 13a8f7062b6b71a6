// inspect as a stage of a run: its JSON as a file.
#pragma once

#include <memory>

#include "craftbundle/pipeline/stage.h"

namespace craftbundle::app {

std::unique_ptr<const StageReader> make_inspect_kind();

}  // namespace craftbundle::app
