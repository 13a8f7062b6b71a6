#include "craftbundle/detail/pipeline/report.h"

#include <algorithm>

#include "craftbundle/detail/base/error.h"
#include "result_json.h"

namespace craftbundle {
namespace {

constexpr int kFormat = 1;

Json stage_json(const StageReport& stage, const RunReport& report) {
  Json json;
  json["name"] = stage.name;
  json["group"] = stage.group;
  json["kind"] = stage.kind;
  json["what"] = stage.what;
  json["state"] = to_string(stage.state);
  json["reasons"] = stage.reasons;
  json["needs"] = Json::array();
  for (const std::size_t need : stage.needs) json["needs"].push_back(report.stages[need].name);
  json["may_fail"] = stage.may_fail;
  json["attempts"] = stage.attempts;
  json["start"] = stage.start;
  json["seconds"] = stage.seconds;
  json["outputs"] = json_list(stage.outputs, [](const StageOutput& output) -> Json {
    return {{"name", output.name}, {"path", output.path.string()}};
  });
  json["result"] = result_json(stage.result);
  json["error"] = stage.error ? error_json(*stage.error) : Json();
  json["log"] = stage.log.empty() ? Json() : Json(stage.log.string());
  return json;
}

}  // namespace

std::string_view to_string(StageState state) {
  switch (state) {
    case StageState::done:
      return "done";
    case StageState::up_to_date:
      return "up to date";
    case StageState::failed:
      return "failed";
    case StageState::interrupted:
      return "interrupted";
    case StageState::blocked:
      return "blocked";
    case StageState::not_run:
      return "not run";
    case StageState::left_out:
      return "left out";
  }
  return "not run";
}

std::uint64_t RunReport::count(StageState state) const {
  return static_cast<std::uint64_t>(
      std::count_if(stages.begin(), stages.end(),
                    [&](const StageReport& stage) { return stage.state == state; }));
}

std::uint64_t RunReport::bytes() const {
  std::uint64_t total = 0;
  for (const StageReport& stage : stages) {
    if (stage.state == StageState::done) total += stage.result.bytes;
  }
  return total;
}

std::optional<Error> failure(const RunReport& report) {
  // In the order of time: what failed first is what to look at.
  const StageReport* first = nullptr;
  for (const StageReport& stage : report.stages) {
    if (stage.state == StageState::interrupted) return stage.error;
    if (stage.state != StageState::failed || stage.may_fail || !stage.error) continue;
    if (first == nullptr || stage.start < first->start) first = &stage;
  }
  return first == nullptr ? std::nullopt : first->error;
}

std::string to_json(const RunReport& report) {
  constexpr StageState kStates[] = {
      StageState::done,    StageState::up_to_date, StageState::failed,   StageState::interrupted,
      StageState::blocked, StageState::not_run,    StageState::left_out,
  };
  Json json;
  json["format"] = kFormat;
  json["script"] = report.script;
  json["producer"] = report.producer;
  json["started"] = report.started;
  json["seconds"] = report.seconds;
  json["jobs"] = report.jobs;
  json["bytes"] = report.bytes();
  for (const StageState state : kStates) {
    json["totals"][std::string(to_string(state))] = report.count(state);
  }
  json["stages"] =
      json_list(report.stages, [&](const StageReport& stage) { return stage_json(stage, report); });
  return json_document(json);
}

}  // namespace craftbundle
