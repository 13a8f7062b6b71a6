#include "matrix.h"

#include <algorithm>
#include <boost/filesystem/operations.hpp>

#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

const YamlNode* value_of(const Combination& combination, std::string_view axis) {
  for (const AxisValue& entry : combination) {
    if (entry.axis == axis) return &entry.value;
  }
  return nullptr;
}

bool same_value(const YamlNode& a, const YamlNode& b) {
  if (a.type != b.type || a.text != b.text || a.items.size() != b.items.size() ||
      a.entries.size() != b.entries.size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    if (!same_value(a.items[i], b.items[i])) return false;
  }
  for (std::size_t i = 0; i < a.entries.size(); ++i) {
    if (a.entries[i].key.text != b.entries[i].key.text ||
        !same_value(a.entries[i].value, b.entries[i].value)) {
      return false;
    }
  }
  return true;
}

// Whether every axis that `map` names and the combination has is equal.
bool agrees(const Combination& combination, const YamlNode& map) {
  return std::all_of(map.entries.begin(), map.entries.end(), [&](const YamlNode::Entry& entry) {
    const YamlNode* value = value_of(combination, entry.key.text);
    return value != nullptr && same_value(*value, entry.value);
  });
}

const std::vector<YamlNode>& maps_of(const YamlNode& matrix, std::string_view key,
                                     ScriptProblems& problems) {
  static const std::vector<YamlNode> kNone;
  const YamlNode* list = matrix.find(key);
  if (list == nullptr) return kNone;
  const bool sound = list->type == YamlNode::Type::list &&
                     std::all_of(list->items.begin(), list->items.end(), [](const YamlNode& map) {
                       return map.type == YamlNode::Type::map;
                     });
  if (sound) return list->items;
  problems.add(*list, "script.matrix", quoted(key) + " of a matrix is a list of maps");
  return kNone;
}

void exclude(const YamlNode& matrix, std::vector<Combination>& combinations,
             ScriptProblems& problems) {
  for (const YamlNode& map : maps_of(matrix, "exclude", problems)) {
    const std::size_t removed = std::erase_if(
        combinations, [&](const Combination& combination) { return agrees(combination, map); });
    if (removed == 0) {
      problems.add(map, "script.matrix", "the exclude matches no combination of the matrix");
    }
  }
}

// As GitHub's workflows do it: a map that contradicts no axis of a combination adds its other
// values to it, one that fits none is a combination of its own.
void include(const YamlNode& matrix, std::vector<Combination>& combinations,
             ScriptProblems& problems) {
  const std::size_t original = combinations.size();
  for (const YamlNode& map : maps_of(matrix, "include", problems)) {
    bool used = false;
    for (std::size_t i = 0; i < original; ++i) {
      Combination& combination = combinations[i];
      const bool contradicts =
          std::any_of(map.entries.begin(), map.entries.end(), [&](const YamlNode::Entry& entry) {
            const bool is_axis = matrix.find(entry.key.text) != nullptr;
            const YamlNode* value = value_of(combination, entry.key.text);
            return is_axis && (value == nullptr || !same_value(*value, entry.value));
          });
      if (contradicts) continue;
      used = true;
      for (const YamlNode::Entry& entry : map.entries) {
        std::erase_if(combination,
                      [&](const AxisValue& value) { return value.axis == entry.key.text; });
        combination.push_back({entry.key.text, entry.value});
      }
    }
    if (used) continue;
    Combination& own = combinations.emplace_back();
    for (const YamlNode::Entry& entry : map.entries) {
      own.push_back({entry.key.text, entry.value});
    }
  }
}

// The values of the axis {glob: PATTERN}, sorted; what is wrong with it goes to `problems`.
std::vector<YamlNode> values_of_glob(const YamlNode::Entry& axis, const Path& directory,
                                     ScriptProblems& problems) {
  const YamlNode* glob = axis.value.find("glob");
  if (axis.value.entries.size() != 1 || glob == nullptr || glob->type != YamlNode::Type::text) {
    problems.add(axis.value, "script.matrix",
                 "axis " + quoted(axis.key.text) + " needs a list of at least one value",
                 "files are looked for with {glob: 'runs/*/checkpoint.th'}");
    return {};
  }
  const std::string& pattern = glob->text;
  const std::size_t star = pattern.find('*');
  if (star == std::string::npos || pattern.find('*', star + 1) != std::string::npos) {
    problems.add(*glob, "script.matrix",
                 "the glob of axis " + quoted(axis.key.text) + " needs one '*', for its values");
    return {};
  }
  const std::size_t slash = pattern.rfind('/', star);
  const std::size_t begin = slash == std::string::npos ? 0 : slash + 1;
  const std::size_t end = std::min(pattern.find('/', star), pattern.size());
  const std::string before = pattern.substr(begin, star - begin);
  const std::string after = pattern.substr(star + 1, end - star - 1);
  const Path top = absolute_path(directory / pattern.substr(0, begin));
  std::vector<std::string> names;
  boost::system::error_code failure;
  for (fs::directory_iterator at(top, failure), none; !failure && at != none;
       at.increment(failure)) {
    const std::string name = at->path().filename().string();
    if (name.size() <= before.size() + after.size() || !name.starts_with(before) ||
        !name.ends_with(after) || (before.empty() && name.front() == '.')) {
      continue;
    }
    boost::system::error_code ignored;
    if (!fs::exists(at->path() / pattern.substr(std::min(end + 1, pattern.size())), ignored)) {
      continue;
    }
    names.push_back(name.substr(before.size(), name.size() - before.size() - after.size()));
  }
  if (names.empty()) {
    problems.add(*glob, "script.matrix", "no file is called " + quoted(pattern),
                 failure ? path_text(top) + ": " + failure.message() : std::string());
  }
  std::ranges::sort(names);
  std::vector<YamlNode> values;
  for (std::string& name : names) {
    YamlNode& value = values.emplace_back(*glob);
    value.text = std::move(name);
  }
  return values;
}

}  // namespace

std::vector<Combination> combine(const YamlNode& matrix, const Path& directory, std::size_t limit,
                                 ScriptProblems& problems) {
  std::vector<Combination> combinations = {{}};
  if (matrix.type != YamlNode::Type::map) {
    problems.add(matrix, "script.matrix", "a matrix is a map of axes to lists");
    return combinations;
  }
  bool has_axis = false;
  for (const YamlNode::Entry& entry : matrix.entries) {
    if (entry.key.text == "include" || entry.key.text == "exclude") continue;
    std::vector<YamlNode> values = entry.value.items;
    if (entry.value.type == YamlNode::Type::map) {
      values = values_of_glob(entry, directory, problems);
      if (values.empty()) continue;
    } else if (entry.value.type != YamlNode::Type::list || values.empty()) {
      const bool pattern = entry.value.text.find('*') != std::string::npos;
      problems.add(entry.value, "script.matrix",
                   "axis " + quoted(entry.key.text) + " needs a list of at least one value",
                   pattern ? "files are looked for with {glob: " + quoted(entry.value.text) + "}"
                           : std::string());
      continue;
    }
    has_axis = true;
    std::vector<Combination> longer;
    for (const Combination& combination : combinations) {
      for (const YamlNode& value : values) {
        if (longer.size() > limit) break;
        longer.push_back(combination);
        longer.back().push_back({entry.key.text, value});
      }
    }
    combinations = std::move(longer);
  }
  if (!has_axis) combinations.clear();
  exclude(matrix, combinations, problems);
  include(matrix, combinations, problems);
  return combinations;
}

}  // namespace craftbundle
