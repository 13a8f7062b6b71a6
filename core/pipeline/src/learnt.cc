#include "craftbundle/detail/pipeline/learnt.h"

#include <dlfcn.h>

#include <algorithm>
#include <boost/filesystem/operations.hpp>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/io/output_file.h"
#include "craftbundle/detail/io/sha256.h"
#include "craftbundle/detail/pipeline/contents.h"
#include "craftbundle/detail/plugin/plugin.h"
#include "craftbundle/detail/plugin/source_directory.h"
#include "result_json.h"

namespace craftbundle {
namespace {

constexpr const char* kFile = "learnt";
constexpr std::uint64_t kMostBytes = 64U << 20;

// Whose findings these are. A distribution may build one version twice.
std::string finder() {
  std::string text = "craftbundle " CRAFTBUNDLE_VERSION " " + std::string(kInterfaceId);
  Dl_info library{};
  ::dladdr(reinterpret_cast<const void*>(&finder), &library);
  if (const auto state = library.dli_fname ? file_state(library.dli_fname) : std::nullopt) {
    text += " " + state_text(*state);
  }
  return text;
}

Json state_json(const FileState& state) {
  Json json = file_state_json(state);
  json["device"] = state.device;
  return json;
}

FileState state_from(const JsonReader& reader) {
  FileState state = file_state_from(reader);
  state.device = reader.size("device");
  return state;
}

Json to_json(const Learnt& learnt) {
  Json json;
  json["finder"] = finder();
  json["files"] = json_list(learnt.files, [](const auto& file) { return state_json(file.second); });
  json["forecasts"] = json_list(learnt.forecasts, [](const auto& entry) {
    const auto& [key, made] = entry;
    return Json{{"key", key},
                {"bytes", made.forecast.bytes},
                {"notes", made.forecast.notes},
                {"opened", json_list(made.opened, state_json)},
                {"beside", json_list(made.beside, named_json<KeyPart>)}};
  });
  return json;
}

Learnt learnt_from(const JsonReader& reader) {
  Learnt learnt;
  for (FileState& state : reader.list("files", state_from)) {
    learnt.files.emplace(state.path, std::move(state));
  }
  reader.list("forecasts", [&](const JsonReader& entry) {
    LearntForecast made;
    made.forecast.bytes = entry.size("bytes");
    made.forecast.notes = entry.texts("notes");
    made.opened = entry.list("opened", state_from);
    made.beside = entry.list("beside", named_from<KeyPart>);
    return learnt.forecasts.emplace(entry.text("key"), std::move(made)).second;
  });
  return learnt;
}

// The state of a file that was opened; nullopt when it is another one by now, or may be changed
// without a trace.
std::optional<FileState> state_of(const InputFile& file) {
  const Path path = absolute_path(file.path());
  const std::optional<FileState> state = file_state(path);
  if (!state || !is_settled(*state) || !file.is_same_file(path)) return std::nullopt;
  try {
    file.check_unchanged();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::input) throw;
    return std::nullopt;
  }
  return state;
}

}  // namespace

std::optional<Learnt> read_learnt(const Path& directory, Sink& sink) {
  const Path path = directory / kFile;
  boost::system::error_code ignored;
  if (!boost::filesystem::exists(path, ignored)) return std::nullopt;
  const auto look_again = [&](const std::string& why) {
    sink.log(LogLevel::debug, "what was learnt before is not used: " + why);
    return std::nullopt;
  };
  try {
    const InputFile file(path);
    if (file.size() > kMostBytes) return look_again(path_text(path) + " is too large");
    // The digest of all that follows, on a line of its own.
    const std::string text = file.read_text(0, file.size());
    const std::size_t end = text.find('\n');
    const std::string body = end == std::string::npos ? std::string() : text.substr(end + 1);
    if (text.substr(0, end) != sha256_of_text(body)) {
      return look_again(path_text(path) + " is damaged");
    }
    const Json json = parse_json(body, "learnt");
    const JsonReader reader(json, "learnt");
    if (reader.text("finder") != finder()) return look_again("another Craftbundle has found it");
    return learnt_from(reader);
  } catch (const Error& error) {
    return look_again(error.message());
  }
}

void write_learnt(const Learnt& learnt, const Path& directory, Sink& sink) {
  boost::system::error_code ignored;
  if (!boost::filesystem::is_directory(directory, ignored)) return;
  const std::string body = json_line(to_json(learnt));
  if (body.size() >= kMostBytes) return;
  try {
    OutputFile file(directory, Durability::no_sync);
    file.make_private();
    file.write(sha256_of_text(body) + "\n" + body);
    file.publish(directory / kFile, true);
  } catch (const Error& error) {
    sink.log(LogLevel::debug, "what was learnt is not kept: " + error.message());
  }
}

const Forecast* Forecasts::find(const std::string& fingerprint) {
  if (const auto used = used_.find(fingerprint); used != used_.end()) {
    return &used->second.learnt.forecast;
  }
  const auto known = known_.find(fingerprint);
  if (known == known_.end()) return nullptr;
  if (!holds(known->second)) return nullptr;
  const auto used = used_.emplace(fingerprint, Entry{std::move(known->second), true}).first;
  known_.erase(known);
  return &used->second.learnt.forecast;
}

bool Forecasts::holds(const LearntForecast& learnt) {
  return std::ranges::all_of(learnt.opened,
                             [](const FileState& opened) {
                               const std::optional<FileState> now = file_state(opened.path);
                               return now && now->same_file(opened);
                             }) &&
         std::ranges::all_of(learnt.beside, [&](const KeyPart& directory) {
           return names_in(directory.name) == directory.value;
         });
}

const std::string& Forecasts::names_in(const std::string& directory) {
  const auto [names, is_new] = names_.try_emplace(directory);
  if (is_new) {
    try {
      const SourceDirectory listed(directory);
      std::string text;
      for (const std::string& name : listed.files()) text += name + '\0';
      names->second = sha256_of_text(text);
    } catch (const Error&) {
      // One that may be passed through and not be read.
    }
  }
  return names->second;
}

const Forecast& Forecasts::add(const std::string& fingerprint, Forecast forecast) {
  Entry entry;
  entry.lasts = forecast.opened.has_value();
  if (forecast.opened) {
    for (const auto& file : *forecast.opened) {
      std::optional<FileState> state = state_of(*file);
      entry.lasts = entry.lasts && state;
      if (!state) continue;
      const std::string directory = Path(state->path).parent_path().string();
      if (std::ranges::count(entry.learnt.beside, directory, &KeyPart::name) == 0) {
        entry.learnt.beside.push_back({directory, names_in(directory)});
      }
      entry.learnt.opened.push_back(*std::move(state));
    }
  }
  forecast.opened.reset();
  entry.learnt.forecast = std::move(forecast);
  return used_.insert_or_assign(fingerprint, std::move(entry)).first->second.learnt.forecast;
}

std::map<std::string, LearntForecast> Forecasts::learnt() const {
  std::map<std::string, LearntForecast> learnt;
  for (const auto& [fingerprint, entry] : used_) {
    if (entry.lasts) learnt.emplace(fingerprint, entry.learnt);
  }
  return learnt;
}

}  // namespace craftbundle
