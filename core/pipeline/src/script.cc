#include "craftbundle/detail/pipeline/script.h"

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <map>
#include <tuple>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/input_file.h"
#include "foreign_hints.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

constexpr std::size_t kMaxBytes = 1 << 20;
constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxNodes = 200'000;
constexpr std::string_view kVersion = "1";

std::size_t shown_length(const YamlNode& node) {
  if (node.type != YamlNode::Type::text) return 1;
  const std::size_t end = std::min(node.text.find('\n'), node.text.size());
  return std::max<std::size_t>(
      1, static_cast<std::size_t>(
             std::count_if(node.text.begin(), node.text.begin() + static_cast<std::ptrdiff_t>(end),
                           [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; })));
}

// The map `over` laid over `under`; maps in maps likewise.
void merge(YamlNode& under, const YamlNode& over) {
  for (const YamlNode::Entry& entry : over.entries) {
    const auto same = std::find_if(
        under.entries.begin(), under.entries.end(),
        [&](const YamlNode::Entry& other) { return other.key.text == entry.key.text; });
    if (same == under.entries.end()) {
      under.entries.push_back(entry);
    } else if (same->value.type == YamlNode::Type::map && entry.value.type == YamlNode::Type::map) {
      merge(same->value, entry.value);
    } else {
      *same = entry;
    }
  }
}

// Every key below `map`, as a path.
void list_paths(const YamlNode& map, const std::string& prefix, std::vector<std::string>& paths) {
  for (const YamlNode::Entry& entry : map.entries) {
    paths.push_back(prefix + entry.key.text);
    list_paths(entry.value, paths.back() + ".", paths);
  }
}

class Reader {
 public:
  Reader(Script& script, ScriptProblems& problems) : script_(script), problems_(problems) {}

  void read(const Path& file, const std::string& shown) {
    open_.push_back(identity(file));
    YamlNode root;
    if (parse(read_text(file), shown, root)) take(root, file, shown);
    open_.pop_back();
  }

  void set(const std::string& setting) {
    const std::size_t equals = setting.find('=');
    const int source = script_.sources.add("--set", setting);
    YamlNode where;
    where.mark.source = source;
    where.text = setting;
    if (equals == std::string::npos || equals == 0) {
      problems_.add(where, "script.set", "the setting " + quoted(setting) + " has no value",
                    "write it as NAME=VALUE");
      return;
    }
    const std::string key = setting.substr(0, equals);
    YamlNode value = where;
    value.text = setting.substr(equals + 1);
    if (!value.text.empty() && !parse_value(value.text, source, value)) return;
    YamlNode* place = &script_.vars;
    for (std::size_t begin = 0; begin <= key.size();) {
      const std::size_t end = std::min(key.find('.', begin), key.size());
      place = child(*place, key.substr(begin, end - begin));
      if (place == nullptr) return no_variable(where, key);
      begin = end + 1;
    }
    *place = std::move(value);
  }

 private:
  static std::string identity(const Path& file) {
    boost::system::error_code ignored;
    const Path real = fs::canonical(file, ignored);
    return real.empty() ? file.string() : real.string();
  }

  static std::string read_text(const Path& file) {
    const InputFile input(file);
    if (input.size() > kMaxBytes) {
      throw Error(ErrorKind::usage, "script.size",
                  path_text(file) + ": has " + human_bytes(input.size()) +
                      ", a run script has at most " + human_bytes(kMaxBytes));
    }
    return input.read_text(0, input.size());
  }

  static YamlNode* child(YamlNode& map, std::string_view key) {
    for (YamlNode::Entry& entry : map.entries) {
      if (entry.key.text == key) return &entry.value;
    }
    return nullptr;
  }

  // The first problem of the syntax hides what follows, so it is the only one of its text.
  bool parse(const std::string& text, const std::string& shown, YamlNode& root) {
    return parse_value(text, script_.sources.add(shown, text), root);
  }
  bool parse_value(const std::string& text, int source, YamlNode& root) {
    YamlOptions options;
    options.source = source;
    options.max_bytes = kMaxBytes;
    options.max_depth = kMaxDepth;
    options.max_nodes = kMaxNodes;
    options.aliases = true;
    options.error = [&](const YamlMark& mark, const std::string& what) {
      problems_.add(syntax_problem(mark, what));
      return Error(ErrorKind::usage, "script.syntax", what);
    };
    try {
      root = parse_yaml(text, options);
      return true;
    } catch (const Error& error) {
      if (error.code() != "script.syntax") throw;
      return false;
    }
  }

  // Inside of {...} and [...] a brace ends what is not in quotes, that of "${" too.
  ScriptProblem syntax_problem(const YamlMark& mark, const std::string& what) const {
    const std::string_view line = script_.sources.line(mark);
    const auto brace = static_cast<std::size_t>(mark.column) - 1;
    const bool is_variable =
        brace > 0 && brace < line.size() && line.substr(brace - 1).starts_with("${");
    if (!is_variable) return {mark, 1, "script.syntax", what, {}};
    constexpr std::string_view kEnds = " \t,[{";
    const std::size_t begin = line.find_last_of(kEnds, brace - 1) + 1;
    std::size_t end = brace;
    for (int depth = 0; end < line.size(); ++end) {
      if (line[end] == '{') ++depth;
      if (line[end] == '}') --depth;
      if (depth < 0 || (depth == 0 && (line[end] == ',' || line[end] == ']'))) break;
    }
    const std::string written(line.substr(begin, end - begin));
    YamlMark at = mark;
    at.column = static_cast<int>(begin) + 1;
    return {at, written.size(), "script.syntax",
            "'${' cannot stand in a value without quotes inside of {...} or [...]",
            "write " + quoted(written).replace(0, 1, "\"").replace(written.size() + 1, 1, "\"") +
                ", in quotes"};
  }

  void no_variable(const YamlNode& where, const std::string& key) {
    std::vector<std::string> paths;
    list_paths(script_.vars, {}, paths);
    problems_.add(where, "script.set",
                  "there is no variable " + quoted(key) + " in the script's vars",
                  did_you_mean(key, paths));
  }

  bool require(const YamlNode& node, YamlNode::Type type, const std::string& what,
               const std::string& hint = {}) {
    if (node.type == type) return true;
    problems_.add(node, "script.type",
                  what + " is " + std::string(to_string(node.type)) + ", expected " +
                      std::string(to_string(type)),
                  hint);
    return false;
  }

  void take(const YamlNode& root, const Path& file, const std::string& shown) {
    if (!require(root, YamlNode::Type::map, "a run script")) return;
    const std::vector<std::string> known = {"version", "include", "vars", "stages"};
    for (const YamlNode::Entry& entry : root.entries) {
      const std::string& key = entry.key.text;
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      problems_.add(entry.key, "script.key",
                    "unknown key " + quoted(key) + ", a run script has " + list_text(known),
                    hint_for(key, known));
    }
    check_version(root);
    if (const YamlNode* include = root.find("include")) {
      for (const YamlNode& item : include->type == YamlNode::Type::list
                                      ? include->items
                                      : std::vector<YamlNode>{*include}) {
        if (require(item, YamlNode::Type::text, "an included file")) {
          take_include(item, file, shown);
        }
      }
    }
    if (const YamlNode* vars = root.find("vars")) {
      if (require(*vars, YamlNode::Type::map, "'vars'")) merge(script_.vars, *vars);
    }
    if (const YamlNode* stages = root.find("stages")) take_stages(*stages);
  }

  static std::string hint_for(const std::string& key, const std::vector<std::string>& known) {
    const std::string foreign = hint_for_script_key(key);
    return foreign.empty() ? did_you_mean(key, known) : foreign;
  }

  void check_version(const YamlNode& root) {
    const YamlNode* version = root.find("version");
    if (version == nullptr) {
      problems_.add(root, "script.version", "the script does not say which version it has",
                    "begin it with 'version: " + std::string(kVersion) + "'");
    } else if (version->text != kVersion || version->type != YamlNode::Type::text) {
      problems_.add(*version, "script.version",
                    "the script has version " + quoted(version->text) +
                        ", this Craftbundle reads version " + std::string(kVersion));
    }
  }

  void take_include(const YamlNode& item, const Path& file, const std::string& shown) {
    const Path directory = Path(shown).parent_path();
    const Path given = item.text;
    const Path path = given.is_absolute() ? given : file.parent_path() / given;
    if (std::find(open_.begin(), open_.end(), identity(path)) != open_.end()) {
      problems_.add(item, "script.include", quoted(item.text) + " includes itself");
      return;
    }
    try {
      read(path, (given.is_absolute() ? given : directory / given).string());
    } catch (const Error& error) {
      problems_.add(item, "script.include", "cannot be included: " + error.message());
    }
  }

  void take_stages(const YamlNode& stages) {
    if (!require(stages, YamlNode::Type::map, "'stages'", "write NAME: {...} for each")) return;
    for (const YamlNode::Entry& entry : stages.entries) {
      const auto same =
          std::find_if(script_.stages.begin(), script_.stages.end(),
                       [&](const ScriptStage& other) { return other.name.text == entry.key.text; });
      if (same != script_.stages.end()) {
        problems_.add(entry.key, "script.duplicate",
                      "stage " + quoted(entry.key.text) + " is in " +
                          printable(script_.sources.name(same->name.mark.source)) + ":" +
                          std::to_string(same->name.mark.line) + " already");
      } else if (require(entry.value, YamlNode::Type::map, "stage " + quoted(entry.key.text))) {
        script_.stages.push_back({entry.key, entry.value});
      }
    }
  }

  Script& script_;
  ScriptProblems& problems_;
  std::vector<std::string> open_;  // files being read, outermost first
};

}  // namespace

int ScriptSources::add(std::string name, std::string text) {
  texts_.push_back({std::move(name), std::move(text)});
  return static_cast<int>(texts_.size()) - 1;
}

std::string_view ScriptSources::line(const YamlMark& mark) const {
  std::string_view rest = text(mark.source);
  for (int line = 1; line < mark.line; ++line) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return {};
    rest.remove_prefix(end + 1);
  }
  rest = rest.substr(0, rest.find('\n'));
  if (rest.ends_with('\r')) rest.remove_suffix(1);
  return rest;
}

void ScriptProblems::add(ScriptProblem problem) {
  if (problem.stage.empty()) problem.stage = stage_;
  const auto same = [&](const ScriptProblem& other) {
    return other.stage == problem.stage && other.mark.source == problem.mark.source &&
           other.mark.line == problem.mark.line && other.mark.column == problem.mark.column &&
           other.code == problem.code && other.message == problem.message;
  };
  if (std::none_of(problems_.begin(), problems_.end(), same)) {
    problems_.push_back(std::move(problem));
  }
}

ScriptProblem make_problem(const YamlNode& where, std::string_view code, std::string message,
                           std::string hint) {
  return {where.mark, shown_length(where), std::string(code), std::move(message), std::move(hint)};
}

ScriptProblem make_problem(const YamlNode& where, const Error& error) {
  return make_problem(where, error.code(), error.message(), error.hint());
}

void ScriptProblems::add(const YamlNode& where, std::string_view code, std::string message,
                         std::string hint) {
  add(make_problem(where, code, std::move(message), std::move(hint)));
}

void ScriptProblems::add(const YamlNode& where, const Error& error) {
  add(make_problem(where, error));
}

std::vector<ScriptProblem> ScriptProblems::sorted() const {
  // A stage may have several problems at one place: the first of one stage is the first of another.
  using Place = std::tuple<int, int, int, std::string>;
  std::map<std::pair<Place, std::string>, std::size_t> counts;
  std::map<std::pair<Place, std::size_t>, std::size_t> known;
  std::vector<ScriptProblem> result;
  for (const ScriptProblem& problem : problems_) {
    const Place place{problem.mark.source, problem.mark.line, problem.mark.column, problem.code};
    const std::size_t count = counts[{place, problem.stage}]++;
    const auto [same, fresh] = known.try_emplace({place, count}, result.size());
    if (fresh) {
      result.push_back(problem);
    } else if (ScriptProblem& first = result[same->second]; first.message != problem.message) {
      first.others.push_back(problem.stage);
    }
  }
  std::stable_sort(result.begin(), result.end(),
                   [](const ScriptProblem& a, const ScriptProblem& b) {
                     return std::tie(a.mark.source, a.mark.line, a.mark.column) <
                            std::tie(b.mark.source, b.mark.line, b.mark.column);
                   });
  return result;
}

std::string to_text(const ScriptProblem& problem, const ScriptSources& sources) {
  const YamlMark& mark = problem.mark;
  constexpr std::size_t kShownLine = 160;
  constexpr std::size_t kLongestPath = 4096;
  std::string text = printable(sources.name(mark.source), kLongestPath) + ":" +
                     std::to_string(mark.line) + ":" + std::to_string(mark.column) + ": " +
                     problem.message + " [" + problem.code + "]\n";
  std::string line(sources.line(mark));
  std::replace(line.begin(), line.end(), '\t', ' ');
  const auto column = static_cast<std::size_t>(mark.column) - 1;
  // A line that is too long, or that would be shown with escapes, would put the caret elsewhere.
  const std::string shown = printable(line, kShownLine);
  if (!line.empty() && shown == line) {
    const std::string number = std::to_string(mark.line);
    const std::string margin(std::max<std::size_t>(4, number.size()), ' ');
    text += std::string(margin.size() - number.size(), ' ') + number + " | " + shown + "\n";
    const std::size_t rest = line.size() > column ? line.size() - column : 1;
    text += margin + " | " + std::string(column, ' ') + "^" +
            std::string(std::min(problem.length, rest) - 1, '~') + "\n";
  }
  if (!problem.others.empty()) {
    text += "  and " + std::to_string(problem.others.size()) +
            " more: " + list_text(problem.others) + "\n";
  }
  if (!problem.hint.empty()) text += "  hint: " + problem.hint + "\n";
  return text;
}

Script read_script(const Path& file, const std::vector<std::string>& settings,
                   ScriptProblems& problems) {
  Script script;
  script.file = file;
  script.directory = absolute_path(file).lexically_normal().parent_path();
  script.vars.type = YamlNode::Type::map;
  Reader reader(script, problems);
  reader.read(file, file.string());
  for (const std::string& setting : settings) reader.set(setting);
  if (script.stages.empty() && problems.empty()) {
    YamlNode start;
    problems.add(start, "script.empty", "the script has no stages", "add them below 'stages:'");
  }
  return script;
}

}  // namespace craftbundle
