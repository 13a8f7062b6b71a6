// Results of stages as JSON, for the journal and the report.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "craftbundle/pipeline/stage.h"

namespace craftbundle {

// [{"name", "value"}]; of KeyPart and SummaryItem.
template <typename Part>
nlohmann::ordered_json parts_json(const std::vector<Part>& parts) {
  nlohmann::ordered_json array = nlohmann::ordered_json::array();
  for (const Part& part : parts) array.push_back({{"name", part.name}, {"value", part.value}});
  return array;
}

nlohmann::ordered_json result_json(const StageResult& result);

// As the functions above wrote them. Throw nlohmann::json::exception for anything else.
std::vector<KeyPart> parts_of(const nlohmann::ordered_json& json);
StageResult result_of(const nlohmann::ordered_json& json);

}  // namespace craftbundle
