// Results of stages and states of files as JSON, for the journal and the report.
#pragma once

#include "craftbundle/detail/json/json.h"
#include "craftbundle/detail/pipeline/journal.h"

namespace craftbundle {

Json result_json(const StageResult& result);
// As result_json() wrote it. Throws as JsonReader.
StageResult result_from(const JsonReader& reader);

// All but the device.
Json file_state_json(const FileState& state);
FileState file_state_from(const JsonReader& reader);

}  // namespace craftbundle
