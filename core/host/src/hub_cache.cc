#include "hub_cache.h"

#include <algorithm>
#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <ctime>
#include <tuple>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/io/input_file.h"
#include "place.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

constexpr std::size_t kMaxNameBytes = 96;  // of the hub
constexpr std::size_t kMaxRefBytes = 256;

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

bool is_edge(char c) { return c == '-' || c == '.'; }

bool is_part(std::string_view part) {
  return !part.empty() && !is_edge(part.front()) && !is_edge(part.back()) &&
         std::ranges::all_of(part, is_name_char) && part.find("--") == std::string_view::npos &&
         part.find("..") == std::string_view::npos;
}

// "~" stands for the home directory here too, as for the tools of the hub.
Path expanded(const std::string& path) {
  const auto home = environment("HOME");
  if (!home || !path.starts_with('~')) return path;
  if (path == "~") return *home;
  return path[1] == '/' ? Path(*home) / path.substr(2) : Path(path);
}

std::string folder_of(const std::string& name) {
  const std::size_t slash = name.find('/');
  if (slash == std::string::npos) return "models--" + name;
  return "models--" + name.substr(0, slash) + "--" + name.substr(slash + 1);
}

// The revision that a reference names. What lies in a cache need not have been written by the hub's
// tools.
std::optional<std::string> read_reference(const Path& path) {
  boost::system::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return std::nullopt;
  try {
    const InputFile file(path);
    if (file.size() > kMaxRefBytes) return std::nullopt;
    std::string revision = file.read_text(0, static_cast<std::size_t>(file.size()));
    while (!revision.empty() && (revision.back() == '\n' || revision.back() == ' ')) {
      revision.pop_back();
    }
    const bool is_plain =
        !revision.empty() && revision.front() != '.' && std::ranges::all_of(revision, is_name_char);
    return is_plain ? std::optional(revision) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

// Names that begin with a dot do not count, nor do links that lead nowhere.
bool holds_files(const Path& directory) {
  boost::system::error_code failure;
  fs::directory_iterator entry(directory, failure);
  while (!failure && entry != fs::directory_iterator()) {
    boost::system::error_code ignored;
    if (!entry->path().filename().string().starts_with('.') &&
        fs::is_regular_file(entry->path(), ignored)) {
      return true;
    }
    entry.increment(failure);
  }
  return false;
}

std::optional<Path> newest_in(const Path& snapshots) {
  std::optional<std::tuple<std::time_t, std::string>> newest;
  boost::system::error_code failure;
  fs::directory_iterator entry(snapshots, failure);
  while (!failure && entry != fs::directory_iterator()) {
    boost::system::error_code ignored;
    const std::string name = entry->path().filename().string();
    if (!name.starts_with('.') && holds_files(entry->path())) {
      const std::tuple found(fs::last_write_time(entry->path(), ignored), name);
      if (!newest || found > *newest) newest = found;
    }
    entry.increment(failure);
  }
  if (!newest) return std::nullopt;
  return snapshots / std::get<std::string>(*newest);
}

}  // namespace

bool is_model_name(std::string_view name) {
  if (name.size() > kMaxNameBytes) return false;
  const std::size_t slash = name.find('/');
  if (slash == std::string_view::npos) return is_part(name);
  return is_part(name.substr(0, slash)) && is_part(name.substr(slash + 1));
}

std::optional<Path> hub_cache() {
  for (const char* variable : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const auto directory = environment(variable)) return expanded(*directory);
  }
  if (const auto home = environment("HF_HOME")) return expanded(*home) / "hub";
  if (const auto cache = environment("XDG_CACHE_HOME")) {
    return expanded(*cache) / "huggingface/hub";
  }
  if (const auto home = environment("HOME")) return Path(*home) / ".cache/huggingface/hub";
  return std::nullopt;
}

std::optional<Path> find_snapshot(const Path& cache, const std::string& name) {
  if (!is_model_name(name)) return std::nullopt;
  const Path model = cache / folder_of(name);
  const Path snapshots = model / "snapshots";
  if (const auto revision = read_reference(model / "refs/main")) {
    if (holds_files(snapshots / *revision)) return snapshots / *revision;
  }
  return newest_in(snapshots);
}

}  // namespace craftbundle
