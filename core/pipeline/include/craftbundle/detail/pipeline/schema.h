// The JSON schema of run scripts, for editors.
#pragma once

#include <string>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/pipeline/stage.h"

namespace CRAFTBUNDLE_API craftbundle {

// JSON Schema (draft 2020-12) of scripts whose stages `readers` read.
std::string script_schema(const StageReaders& readers);

}  // namespace craftbundle
