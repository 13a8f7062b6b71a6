#include "graph.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/text.h"
#include "style.h"

namespace craftbundle::app {
namespace {

struct Strokes {
  std::string_view branch;
  std::string_view last;
  std::string_view through;
  std::string_view none;
};

constexpr Strokes kBoxes = {"├─ ", "└─ ", "│  ", "   "};
constexpr Strokes kAscii = {"|- ", "`- ", "|  ", "   "};

// A stage that is still to be drawn, as the user of another one or at the left.
struct Place {
  std::size_t stage;
  std::string front;  // of the lines below
  std::string_view stroke;
  bool only_order = false;
};

std::string what_of(const WorkflowStage& stage) {
  if (stage.left_out) return paint(Tone::faint, "left out, " + printable(to_text(*stage.left_out)));
  return stage.stage ? stage.stage->what() : stage.kind;
}

}  // namespace

std::string graph_text(const Workflow& workflow, bool utf8) {
  const Strokes& strokes = utf8 ? kBoxes : kAscii;
  const std::vector<WorkflowStage>& stages = workflow.stages;
  struct User {
    std::size_t stage;
    bool only_order;
  };
  std::vector<std::vector<User>> users(stages.size());
  for (std::size_t i = 0; i < stages.size(); ++i) {
    for (const GraphNode::Need& need : stages[i].needs) {
      users[need.node].push_back({i, !need.output});
    }
  }
  // A stack, since scripts may have long chains.
  std::vector<Place> open;
  for (std::size_t i = stages.size(); i-- > 0;) {
    if (stages[i].needs.empty()) open.push_back({i, {}, {}});
  }
  std::vector<bool> drawn(stages.size());
  std::string text;
  while (!open.empty()) {
    const Place place = std::move(open.back());
    open.pop_back();
    const WorkflowStage& stage = stages[place.stage];
    text += place.front + std::string(place.stroke) + paint(Tone::heading, stage.name);
    if (place.only_order) text += " (only after it)";
    if (drawn[place.stage]) {
      text += paint(Tone::faint, " (see above)") + "\n";
      continue;
    }
    drawn[place.stage] = true;
    text += "  " + what_of(stage) + "\n";
    const bool is_left = place.stroke.empty();
    const std::string front =
        is_left ? std::string()
                : place.front +
                      std::string(place.stroke == strokes.last ? strokes.none : strokes.through);
    const std::vector<User>& below = users[place.stage];
    for (std::size_t i = below.size(); i-- > 0;) {
      open.push_back({below[i].stage, front, i + 1 == below.size() ? strokes.last : strokes.branch,
                      below[i].only_order});
    }
  }
  return text;
}

bool is_utf8_locale() {
  for (const char* variable : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* const value = std::getenv(variable);
    if (value == nullptr || *value == '\0') continue;
    std::string name(value);
    std::erase(name, '-');
    std::ranges::transform(name, name.begin(), [](char c) { return static_cast<char>(c | 0x20); });
    return name.find("utf8") != std::string::npos;
  }
  return false;
}

}  // namespace craftbundle::app
