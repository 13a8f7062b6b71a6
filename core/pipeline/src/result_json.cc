#include "result_json.h"

#include "craftbundle/base/error.h"

namespace craftbundle {

using Json = nlohmann::ordered_json;

std::vector<KeyPart> parts_of(const Json& json) {
  std::vector<KeyPart> parts;
  for (const Json& part : json) parts.push_back({part.at("name"), part.at("value")});
  return parts;
}

Json result_json(const StageResult& result) {
  Json json;
  json["bytes"] = result.bytes;
  json["summary"] = parts_json(result.summary);
  json["checks"] = result.checks;
  json["warnings"] = result.warnings;
  json["tools"] = parts_json(result.tools);
  json["manifest"] = result.manifest ? Json::parse(to_json(*result.manifest)) : Json();
  return json;
}

StageResult result_of(const Json& json) {
  StageResult result;
  result.bytes = json.at("bytes");
  for (const KeyPart& part : parts_of(json.at("summary"))) {
    result.summary.push_back({part.name, part.value});
  }
  result.checks = json.at("checks");
  result.warnings = json.at("warnings");
  result.tools = parts_of(json.at("tools"));
  if (!json.at("manifest").is_null()) {
    try {
      result.manifest = parse_manifest(json.at("manifest").dump());
    } catch (const Error&) {
      // A manifest that this version cannot read is left out of reports.
    }
  }
  return result;
}

}  // namespace craftbundle
