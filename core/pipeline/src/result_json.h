// Results of stages as JSON, for the journal and the report.
#pragma once

#include "craftbundle/detail/json/json.h"
#include "craftbundle/detail/pipeline/stage.h"

namespace craftbundle {

Json result_json(const StageResult& result);
// As result_json() wrote it. Throws as JsonReader.
StageResult result_from(const JsonReader& reader);

}  // namespace craftbundle
