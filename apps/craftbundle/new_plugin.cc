#include "new_plugin.h"

#include <algorithm>
#include <boost/algorithm/string/erase.hpp>
#include <cctype>
#include <string_view>
#include <utility>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/output_directory.h"
#include "example_plugin.h"

namespace craftbundle::app {
namespace {

struct Part {
  std::string name;
  std::string file;        // of its source and header, without extension
  std::string registered;  // its class
};
const std::vector<Part>& optional_parts() {
  static const std::vector<Part> parts = {{"codec", "mulaw_codec", "MulawLoader"},
                                          {"layout", "plain_layout", "PlainLayout"},
                                          {"stage", "tensor_table", "TensorTable"}};
  return parts;
}

void check_name(const std::string& name) {
  // Names that CMake keeps for itself as names of targets.
  static const std::set<std::string> kTaken = {"all",     "clean", "edit_cache", "help",
                                               "install", "test",  "package",    "rebuild_cache"};
  const auto is_sound = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool sound = !name.empty() && name.size() <= 40 && name[0] >= 'a' && name[0] <= 'z' &&
                     std::ranges::all_of(name, [&](char c) { return is_sound(c) || c == '_'; });
  if (sound && !kTaken.contains(name)) return;
  throw Error(ErrorKind::usage, "plugin.name",
              "a plugin cannot be named " + craftbundle::quoted(name) +
                  (sound ? ": it is a word of CMake" : ""),
              "use a letter, and then letters, digits and '_', in lower case, at most 40");
}

// "my_codec" as "MyCodec".
std::string class_name(const std::string& name) {
  std::string text;
  bool starts_word = true;
  for (const char c : name) {
    if (c == '_') {
      starts_word = true;
      continue;
    }
    text += starts_word ? static_cast<char>(std::toupper(c)) : c;
    starts_word = false;
  }
  return text;
}

std::string without_lines(const std::string& text, const std::string& word) {
  std::string kept;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    const std::string line = text.substr(begin, end - begin);
    if (line.find(word) == std::string::npos) kept += line;
    begin = end;
  }
  return kept;
}

// The example's names become those of the new plugin. The first word that fits counts.
std::string renamed(std::string_view text, const std::string& name) {
  const std::vector<std::pair<std::string, std::string>> words = {
      {"namespace mulaw", "namespace " + name + "_plugin"},
      {"mulaw::", name + "_plugin::"},
      {"\"plain\"", "\"" + name + "-plain\""},
      {"tensor-table", name + "-table"},
      {"mulaw_codec LANGUAGES", name + " LANGUAGES"},
      {"Mulaw", class_name(name)},
      {"mulaw", name},
      {"mu-law", name}};
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const auto word = std::ranges::find_if(words, [&](const auto& each) {
      return text.compare(at, each.first.size(), each.first) == 0;
    });
    result += word == words.end() ? std::string(1, text[at]) : word->second;
    at += word == words.end() ? 1 : word->first.size();
  }
  return result;
}

}  // namespace

void write_plugin_project(const std::string& name, const std::set<std::string>& parts,
                          const Path& directory) {
  check_name(name);
  const Place place = place_of(directory);
  if (!check_directory_target(place, {}, "a project").empty()) {
    throw Error(ErrorKind::usage, "target.exists",
                path_text(directory) + " is there already, and not empty",
                "choose another directory with -o");
  }
  OutputDirectory project(place, Durability::no_sync, Sink::none(),
                          [](const Path&) { return std::vector<std::string>(); });
  for (const auto& [file, content] : example_plugin()) {
    std::string text(content);
    bool left_out = false;
    for (const Part& part : optional_parts()) {
      if (parts.contains(part.name)) continue;
      left_out = left_out || file.starts_with(part.file);
      boost::algorithm::erase_all(text, " " + part.file + ".cc");
      text = without_lines(without_lines(text, part.file + ".h"), part.registered);
    }
    if (!left_out) project.create(renamed(file, name)).write(renamed(text, name));
  }
  project.publish(false);
}

}  // namespace craftbundle::app
