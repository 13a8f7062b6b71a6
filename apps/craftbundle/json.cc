#include "json.h"

namespace craftbundle::app {

std::string dump_pretty(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string dump_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json error_json(const Error& error) {
  Json json;
  json["kind"] = to_string(error.kind());
  json["code"] = error.code();
  json["message"] = error.message();
  json["hint"] = error.hint();
  return json;
}

Json manifest_json(const Manifest& manifest) { return Json::parse(to_json(manifest)); }

Json component_json(const ManifestComponent& component) {
  Manifest manifest;
  manifest.components = {component};
  return manifest_json(manifest)["components"][0];
}

}  // namespace craftbundle::app
