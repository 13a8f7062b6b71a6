// inspect as a stage of a run: its JSON as a file.
#pragma once

#include <memory>

#include "bundlecraft/pipeline/stage.h"

namespace bundlecraft::app {

std::unique_ptr<const StageReader> make_inspect_kind();

}  // namespace bundlecraft::app
