#include "result_json.h"

#include "craftbundle/detail/bundle/json.h"

namespace craftbundle {

Json result_json(const StageResult& result) {
  Json json;
  json["bytes"] = result.bytes;
  json["summary"] = json_list(result.summary, named_json<SummaryItem>);
  json["checks"] = result.checks;
  json["warnings"] = result.warnings;
  json["tools"] = json_list(result.tools, named_json<KeyPart>);
  json["manifest"] = result.manifest ? manifest_json(*result.manifest) : Json();
  return json;
}

StageResult result_from(const JsonReader& reader) {
  StageResult result;
  result.bytes = reader.size("bytes");
  result.summary = reader.list("summary", named_from<SummaryItem>);
  result.checks = reader.texts("checks");
  result.warnings = reader.texts("warnings");
  result.tools = reader.list("tools", named_from<KeyPart>);
  if (const Json& manifest = reader.value("manifest"); !manifest.is_null()) {
    try {
      result.manifest = manifest_from(JsonReader(manifest, "manifest"));
    } catch (const Error&) {
      // A manifest that this version cannot read is left out of reports.
    }
  }
  return result;
}

Json file_state_json(const FileState& state) {
  return {{"path", state.path},
          {"size", state.size},
          {"modified_ns", state.modified_ns},
          {"changed_ns", state.changed_ns},
          {"inode", state.inode},
          {"id", state.id}};
}

FileState file_state_from(const JsonReader& reader) {
  FileState state;
  state.path = reader.text("path");
  state.size = reader.size("size");
  state.modified_ns = reader.integer("modified_ns");
  state.changed_ns = reader.integer("changed_ns");
  state.inode = reader.size("inode");
  state.id = reader.text("id");
  return state;
}

}  // namespace craftbundle
