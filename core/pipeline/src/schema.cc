#include "craftbundle/detail/pipeline/schema.h"

#include "craftbundle/detail/json/json.h"
#include "craftbundle/detail/pipeline/workflow.h"

namespace craftbundle {
namespace {

// Editors tell numbers and booleans from text, scripts do not.
Json scalar() { return {{"type", {"string", "number", "boolean"}}}; }

// Any value may be a variable instead.
Json type_of(const StageKey& key) {
  const Json text = scalar();
  Json type;
  switch (key.type) {
    case StageKey::Type::text:
      type = text;
      break;
    case StageKey::Type::boolean:
      type = {{"anyOf",
               {{{"type", "boolean"}},
                {{"type", "string"}, {"pattern", "^(true|false|yes|no|.*\\$\\{.*)$"}}}}};
      break;
    case StageKey::Type::list:
      type = {{"anyOf", {{{"type", "array"}}, {{"type", "string"}, {"pattern", "\\$\\{"}}}}};
      break;
    case StageKey::Type::map:
      type = {{"anyOf", {{{"type", "object"}}, {{"type", "string"}, {"pattern", "\\$\\{"}}}}};
      break;
    case StageKey::Type::text_or_list:
      type = {{"type", {"string", "number", "boolean", "array"}}};
      break;
    case StageKey::Type::text_or_map:
      type = {{"type", {"string", "number", "boolean", "object"}}};
      break;
    case StageKey::Type::any:
      type = Json::object();
      break;
  }
  if (!key.choices.empty()) {
    Json choices = key.choices;
    type = {{"anyOf", {{{"enum", choices}}, {{"type", "string"}, {"pattern", "\\$\\{"}}}}};
    if (key.may_join) {
      const std::string one = "(" + join(key.choices, "|") + ")";
      type["anyOf"].push_back({{"type", "string"}, {"pattern", "^" + one + "([+]" + one + ")+$"}});
    }
  }
  type["description"] = key.doc;
  return type;
}

Json stage_schema(const StageReader& reader) {
  Json json;
  json["title"] = reader.name();
  json["description"] = reader.summary();
  json["type"] = "object";
  json["required"] = Json::array();
  const std::vector<StageKey> own = reader.keys();
  for (const std::vector<StageKey>* keys : {&own, &common_stage_keys()}) {
    for (const StageKey& key : *keys) {
      json["properties"][key.name] = type_of(key);
      if (key.required) json["required"].push_back(key.name);
    }
  }
  json["additionalProperties"] = false;
  return json;
}

}  // namespace

std::string script_schema(const StageReaders& readers) {
  Json json;
  json["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  json["title"] = "Craftbundle run script";
  json["type"] = "object";
  json["required"] = {"version"};
  json["additionalProperties"] = false;
  json["properties"]["version"] = {{"description", "Version of the format."}, {"enum", {1, "1"}}};
  json["properties"]["include"] = {
      {"description", "Scripts whose variables and stages come first."},
      {"type", {"string", "array"}},
      {"items", {{"type", "string"}}}};
  json["properties"]["vars"] = {{"description", "Variables, used as ${name}."}, {"type", "object"}};
  json["properties"]["stages"] = {{"description", "What is done, by name."}, {"type", "object"}};
  Json kinds = Json::array();
  for (const auto& reader : readers) {
    json["$defs"][reader->name()] = stage_schema(*reader);
    kinds.push_back({{"$ref", "#/$defs/" + reader->name()}});
  }
  json["properties"]["stages"]["additionalProperties"] = {{"oneOf", kinds}};
  return json_document(json);
}

}  // namespace craftbundle
