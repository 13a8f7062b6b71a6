#include <algorithm>
#include <array>
#include <boost/filesystem/operations.hpp>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/host/host.h"
#include "place.h"
#include "plugin_info.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

constexpr std::string_view kSignature = "//sig/";
constexpr std::string_view kReference = "//reference/";
constexpr std::string_view kPretrained = "//pretrained/";
constexpr const char* kCheckpointName = "checkpoint.th";
constexpr std::array kExtensions = {".th",   ".bin",         ".pt",  ".pth",
                                    ".ckpt", ".safetensors", ".tar", ".zip"};

Error input_error(std::string_view code, std::string message, std::string hint = {}) {
  return Error(ErrorKind::input, code, std::move(message), std::move(hint));
}

bool is_folder(const Path& path) {
  boost::system::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool is_there(const Path& path) {
  boost::system::error_code ignored;
  return fs::exists(fs::status(path, ignored));
}

// Names in a directory that are not hidden, sorted; none when it cannot be read.
std::vector<std::string> names_in(const Path& directory) {
  std::vector<std::string> names;
  boost::system::error_code failure;
  fs::directory_iterator entry(directory.empty() ? Path(".") : directory, failure);
  while (!failure && entry != fs::directory_iterator()) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with('.')) names.push_back(name);
    entry.increment(failure);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Says how far a path that does not exist leads, and what is near where it ends.
Error not_found(const std::string& given, const Path& path) {
  boost::system::error_code failure;
  fs::status(path, failure);
  if (failure == boost::system::errc::permission_denied) {
    return system_error(EACCES, path_text(path));
  }
  Path parent = path.parent_path();
  Path missing = path.filename();
  while (!parent.empty() && !is_there(parent)) {
    missing = parent.filename();
    parent = parent.parent_path();
  }
  const std::vector<std::string> names = names_in(parent);
  std::string message = quoted(given) + ": there is no " + quoted(missing.string()) + " in " +
                        quoted(parent.empty() ? "." : parent.string(), 4096);
  if (const auto near = nearest(missing.string(), names)) {
    return input_error("source.not_found", std::move(message),
                       "did you mean " + quoted((parent / *near).string(), 4096) + "?");
  }
  std::string hint;
  if (!names.empty()) hint = "there is " + list_text(names);
  return input_error("source.not_found", std::move(message), std::move(hint));
}

// "a/b/" ends in an element of its own.
Path plain(const Path& directory) {
  return directory.filename() == "." && directory.has_parent_path() ? directory.parent_path()
                                                                    : directory;
}

// What to do about a directory with these names in which nothing can be exported.
std::string advice(const Path& directory, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (is_there(directory / name)) continue;
    boost::system::error_code ignored;
    const Path target = fs::read_symlink(directory / name, ignored);
    return quoted(name) + " is a link to " + quoted(target.string(), 4096) +
           ", which does not exist: copy what it links to as well";
  }
  // The cache of a model hub: the files of each revision have a directory of their own.
  if (std::ranges::count(names, "blobs") != 0) {
    const Path snapshots = directory / "snapshots";
    const std::vector<std::string> revisions = names_in(snapshots);
    if (!revisions.empty()) {
      return "give a snapshot in " + quoted(snapshots.string(), 4096) + ": " + list_text(revisions);
    }
  }
  return "give the file itself";
}

// Why nothing in `directory` can be exported.
Error no_source(const std::string& given, const Path& directory) {
  const std::vector<std::string> names = names_in(directory);
  return input_error("source.no_checkpoint",
                     quoted(given) + ": the directory holds no " + kCheckpointName +
                         (names.empty() ? ", it is empty" : ", it holds " + list_text(names)),
                     advice(directory, names));
}

// A name that cannot lead out of the directory it is looked up in.
bool is_inside(const Path& name) {
  return !name.empty() && name.is_relative() &&
         std::none_of(name.begin(), name.end(), [](const Path& part) { return part == ".."; });
}

Path signature_path(const std::string& given, const SourceOptions& options) {
  const Path signature = given.substr(kSignature.size());
  if (!is_inside(signature)) {
    throw Error(ErrorKind::usage, "source.prefix",
                quoted(given) + " is no signature, expected //sig/ and a name");
  }
  if (options.xps) return *options.xps / signature;
  if (const auto dora = environment("AUDIOCRAFT_DORA_DIR")) return Path(*dora) / "xps" / signature;
  throw Error(ErrorKind::usage, "source.xps",
              quoted(given) + ": the directory of signatures is not known",
              "give it with --xps, or set AUDIOCRAFT_DORA_DIR to the directory that holds 'xps'");
}

Path reference_path(const std::string& given) {
  const Path rest = given.substr(kReference.size());
  if (!is_inside(rest)) {
    throw Error(ErrorKind::usage, "source.prefix",
                quoted(given) + " leads out of the reference directory");
  }
  if (const auto directory = environment("AUDIOCRAFT_REFERENCE_DIR"))
    return Path(*directory) / rest;
  throw Error(ErrorKind::usage, "source.reference",
              quoted(given) + ": the reference directory is not known",
              "set AUDIOCRAFT_REFERENCE_DIR");
}

// "~/x" in the home directory; relative paths in the directory they start from.
Path expand(const std::string& given, const SourceOptions& options) {
  const Path path = given;
  if (given.starts_with("~/")) {
    if (const auto home = environment("HOME")) return Path(*home) / given.substr(2);
  }
  if (path.is_absolute() || options.directory.empty()) return path;
  return (options.directory / path).lexically_normal();
}

bool looks_like_path(const std::string& given, const SourceOptions& options) {
  if (given == "." || given == "..") return true;
  for (const std::string_view start : {"/", "./", "../", "~"}) {
    if (given.starts_with(start)) return true;
  }
  const Path path = given;
  const std::string extension = path.extension().string();
  if (std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end())
    return true;
  // checkpoint.th.3 is a shard of a rank.
  if (given.find(std::string(kCheckpointName) + ".") != std::string::npos) return true;
  if (std::count(given.begin(), given.end(), '/') > 1) return true;
  return path.has_parent_path() && is_folder(expand(path.parent_path().string(), options));
}

// "ORG/NAME" as model hubs write it.
bool is_hub_name(std::string_view name) {
  const std::size_t slash = name.find('/');
  const auto is_part = [](std::string_view part) {
    return !part.empty() && part.front() != '.' && part.front() != '-' &&
           std::all_of(part.begin(), part.end(), [](char c) {
             return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_' || c == '.';
           });
  };
  return slash != std::string_view::npos && is_part(name.substr(0, slash)) &&
         is_part(name.substr(slash + 1));
}

// Whether some exporter may know the name. An exporter that takes any name ("*") is asked only
// about names that a hub could have: a single word is more likely a file that is not there.
bool is_possible(const std::string& name, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return pattern == "*" ? is_hub_name(name) : matches(pattern, name);
  });
}

Source pretrained(const std::string& given, const std::string& name, const Path& directory,
                  const Host& host) {
  std::vector<std::string> patterns = host.pretrained_names();
  if (is_possible(name, patterns)) return Source::of_pretrained(given, name);
  std::erase(patterns, "*");
  std::string message = quoted(given) + " is neither a file nor a known pretrained name";
  if (patterns.empty()) {
    message += "; no plugin takes pretrained names";
  } else {
    message += "; known names are " + list_text(patterns, 32);
  }
  std::vector<std::string> candidates = patterns;
  if (name == given) {
    const std::vector<std::string> files = names_in(directory);
    candidates.insert(candidates.end(), files.begin(), files.end());
  }
  const std::optional<std::string> near = nearest(name, candidates);
  throw input_error("source.unknown_name", std::move(message),
                    near ? "did you mean " + quoted(*near) + "?" : std::string());
}

[[noreturn]] void unknown_prefix(const std::string& given) {
  throw Error(ErrorKind::usage, "source.prefix",
              quoted(given) + " begins with '//' but with no known prefix",
              "known are //sig/NAME, //reference/PATH and //pretrained/NAME");
}

}  // namespace

Source resolve_source(std::string_view text, const SourceOptions& options, const Host& host) {
  const std::string given(text);
  if (given.empty()) throw Error(ErrorKind::usage, "source.empty", "the source is empty");
  if (given.find('\0') != std::string::npos) {
    throw Error(ErrorKind::usage, "source.empty",
                quoted(given) + " is no source: it holds a zero byte");
  }
  if (given.starts_with(kSignature)) return source_at(given, signature_path(given, options), host);
  if (given.starts_with(kReference)) return source_at(given, reference_path(given), host);
  if (given.starts_with(kPretrained)) {
    return pretrained(given, given.substr(kPretrained.size()), options.directory, host);
  }
  const Path path = expand(given, options);
  if (is_there(path)) return source_at(given, path, host);
  if (given.starts_with("//")) unknown_prefix(given);
  if (looks_like_path(given, options)) throw not_found(given, path);
  return pretrained(given, given, options.directory, host);
}

Source source_at(const std::string& given, const Path& path, const Host& host) {
  if (!is_there(path)) throw not_found(given, path);
  if (!is_folder(path)) return Source::of_checkpoint(given, host.open(path));
  if (is_there(path / kCheckpointName)) {
    return Source::of_checkpoint(given, host.open(path / kCheckpointName));
  }
  auto directory = std::make_shared<const SourceDirectory>(plain(path));
  if (!host.takes_directory(directory->files())) throw no_source(given, path);
  return Source::of_directory(given, std::move(directory));
}

std::optional<Path> source_path(std::string_view text, const SourceOptions& options) {
  const std::string given(text);
  const auto of_folder = [](const Path& path) {
    return is_there(path / kCheckpointName) ? path / kCheckpointName : plain(path);
  };
  try {
    if (given.empty() || given.find('\0') != std::string::npos) return std::nullopt;
    if (given.starts_with(kSignature)) return of_folder(signature_path(given, options));
    if (given.starts_with(kReference)) return of_folder(reference_path(given));
  } catch (const Error&) {
    return std::nullopt;
  }
  const Path path = expand(given, options);
  if (!is_there(path) && (given.starts_with("//") || !looks_like_path(given, options))) {
    return std::nullopt;
  }
  return of_folder(path);
}

}  // namespace craftbundle
