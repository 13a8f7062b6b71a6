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
#include "craftbundle/detail/host/directory.h"
#include "craftbundle/detail/host/host.h"
#include "craftbundle/detail/io/shell_text.h"
#include "hub_cache.h"
#include "offers.h"
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

bool has_model_extension(const Path& path) {
  return std::ranges::count(kExtensions, path.extension().string()) != 0;
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

// "ORG/NAME" as model hubs write it.
bool is_hub_name(std::string_view name) {
  return name.find('/') != std::string_view::npos && is_model_name(name);
}

// Whether the first part of "a/b" is what people call directories rather than themselves: such a
// path that leads nowhere is a mistake, and no name of a hub.
bool begins_like_directory(std::string_view given) {
  constexpr std::array<std::string_view, 28> kUsual = {
      "artifacts", "build",   "bundle",  "bundles", "checkpoint", "checkpoints", "ckpt",
      "ckpts",     "data",    "dist",    "dora",    "exp",        "experiment",  "experiments",
      "export",    "exports", "log",     "logs",    "model",      "models",      "out",
      "output",    "outputs", "results", "runs",    "tmp",        "weights",     "xps"};
  const std::size_t slash = given.find('/');
  if (slash == std::string_view::npos) return false;
  const std::string_view first = given.substr(0, slash);
  return std::ranges::count(kUsual, first) != 0;
}

// Says how far a path that does not exist leads, and what is near where it ends.
Error not_found(const std::string& given, const Path& path) {
  if (const auto variable = shell_variable(given)) {
    return input_error(
        "source.variable",
        quoted(given) + ": nothing replaces " + quoted("$" + *variable) + " here",
        "in a run script write ${oc.env:" + *variable + "}, in a shell leave the quotes out");
  }
  boost::system::error_code failure;
  fs::status(path, failure);
  if (failure == boost::system::errc::permission_denied) {
    return system_error(EACCES, path_text(path));
  }
  const Path target = fs::read_symlink(path, failure);
  if (!failure) {
    return input_error(
        "source.dangling",
        quoted(given) + " is a link to " + quoted(target.string(), 4096) + ", which does not exist",
        "copy what it links to as well");
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
  // Of many names, only those of files that could be meant help.
  std::vector<std::string> shown = names;
  constexpr std::size_t kFew = 8;
  if (shown.size() > kFew) {
    std::erase_if(shown, [](const std::string& name) { return !has_model_extension(name); });
  }
  std::string hint;
  if (!shown.empty()) hint = "there is " + list_text(shown);
  if (is_hub_name(given) && begins_like_directory(given)) {
    hint += (hint.empty() ? "" : "; ") +
            ("a model that is called so is " + std::string(kPretrained)) + given;
  }
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
  const bool has_weights = std::ranges::any_of(names, [](const std::string& name) {
    return name.ends_with(".safetensors") || name.ends_with(".index.json");
  });
  return has_weights ? "say with --config-from which model has the configuration of these weights"
                     : "give the file itself";
}

// A directory that other programs write, by what is in it. Says what it is, and what to do.
struct KnownDirectory {
  std::string what;
  std::string advice;
};

std::optional<KnownDirectory> known_directory(const Path& directory,
                                              const std::vector<std::string>& names) {
  const auto has = [&](std::string_view name) { return std::ranges::count(names, name) != 0; };
  const auto has_ending = [&](std::string_view ending) {
    return std::ranges::any_of(names,
                               [&](const std::string& name) { return name.ends_with(ending); });
  };
  const auto hint = [](const char* then) {
    return std::string(then) + ", and say with --config-from which model has the configuration";
  };
  if (has("zero_to_fp32.py")) {
    return KnownDirectory{"a checkpoint of DeepSpeed, whose weights lie in pieces",
                          hint("run zero_to_fp32.py in it to make one file of them, give that")};
  }
  if (is_there(directory / ".metadata") || has_ending(".distcp")) {
    return KnownDirectory{
        "a checkpoint of torch.distributed.checkpoint, whose weights lie in pieces",
        hint("make one file of it with 'python3 -m torch.distributed.checkpoint.format_utils "
             "dcp_to_torch DIRECTORY FILE', give that")};
  }
  if (has("data.pkl") && (has("version") || has("data"))) {
    return KnownDirectory{"a checkpoint that was unpacked",
                          "give the original file, or zip the directory itself again (zip -0 -r)"};
  }
  if (has("adapter_config.json")) {
    return KnownDirectory{"an adapter of PEFT, which is no model by itself",
                          "export the model it was trained on, with --merge and this directory"};
  }
  // The files of each revision have a directory of their own.
  if (has("snapshots")) {
    const Path snapshots = directory / "snapshots";
    std::vector<std::string> revisions;
    for (const std::string& name : names_in(snapshots)) {
      revisions.push_back((snapshots / name).string());
    }
    if (!revisions.empty()) {
      return KnownDirectory{
          "a model in the cache of a hub, with its revisions in 'snapshots'",
          "give " + std::string(revisions.size() > 1 ? "one of " : "") + list_text(revisions)};
    }
  }
  if (has("weights.pth")) {
    return KnownDirectory{"a directory with weights.pth",
                          "give " + quoted((directory / "weights.pth").string(), 4096)};
  }
  return std::nullopt;
}

// Why nothing in `directory` can be exported.
Error no_source(const std::string& given, const Path& directory, const std::string& hint = {}) {
  const std::vector<std::string> names = names_in(directory);
  const auto known = known_directory(directory, names);
  if (known && hint.empty()) {
    return input_error("source.no_checkpoint", quoted(given) + " is " + known->what, known->advice);
  }
  return input_error("source.no_checkpoint",
                     quoted(given) + ": the directory holds no " + kCheckpointName +
                         (names.empty() ? ", it is empty" : ", it holds " + list_text(names)),
                     hint.empty() ? advice(directory, names) : hint);
}

std::vector<std::string> roles_of(const std::vector<RoleSource>& sources) {
  std::vector<std::string> roles;
  for (const RoleSource& source : sources) roles.push_back(source.role);
  return roles;
}

// The component of the role in the directory of a bundle; nullopt when it is none.
std::optional<Source> source_in_layout(const std::string& given, const Path& directory,
                                       const std::string& role, const Host& host) {
  const std::optional<std::string> layout = host.layout_of(directory);
  if (!layout) return std::nullopt;
  const auto sources = [&](const std::vector<std::string>& roles) {
    return host.sources_in(*layout, directory, roles);
  };
  std::vector<RoleSource> found =
      sources(role.empty() ? std::vector<std::string>() : std::vector{role});
  if (!role.empty()) {
    std::erase_if(found, [&](const RoleSource& source) { return source.role != role; });
  }
  if (found.size() == 1) {
    return found.front().source.found_in(given, {directory, found.front().files});
  }
  const std::vector<std::string> there = roles_of(role.empty() ? found : sources({}));
  if (there.empty()) return std::nullopt;
  if (role.empty()) {
    throw Error(ErrorKind::usage, "source.role",
                quoted(given) + " holds several components: " + list_text(there),
                "say which one with --component, or name its file");
  }
  throw Error(
      ErrorKind::usage, "source.role",
      quoted(given) + " holds no component " + quoted(role) + ", it holds " + list_text(there),
      "give it where one of these is expected");
}

// What lies in a directory; nullopt: nothing that can be exported.
std::optional<Source> source_in(const std::string& given, const Path& path, const std::string& role,
                                const Host& host) {
  if (is_there(path / kCheckpointName)) {
    return Source::of_checkpoint(given, host.open(path / kCheckpointName));
  }
  auto directory = std::make_shared<const SourceDirectory>(plain(path));
  if (host.takes_directory(directory)) return Source::of_directory(given, std::move(directory));
  return source_in_layout(given, plain(path), role, host);
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
  const Path path = expand_home(given);
  if (path.is_absolute() || options.directory.empty()) return path;
  return (options.directory / path).lexically_normal();
}

bool looks_like_path(const std::string& given, const SourceOptions& options) {
  if (given == "." || given == "..") return true;
  for (const std::string_view start : {"/", "./", "../", "~"}) {
    if (given.starts_with(start)) return true;
  }
  const Path path = given;
  if (has_model_extension(path)) return true;
  // checkpoint.th.3 is a shard of a rank.
  if (given.find(std::string(kCheckpointName) + ".") != std::string::npos) return true;
  if (std::count(given.begin(), given.end(), '/') > 1) return true;
  if (begins_like_directory(given)) return true;
  return path.has_parent_path() && is_folder(expand(path.parent_path().string(), options));
}

// Whether some exporter may know the name. An exporter that takes any name ("*") is asked only
// about names that a hub could have: a single word is more likely a file that is not there.
bool is_possible(const std::string& name, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return pattern == "*" ? is_hub_name(name) : matches(pattern, name);
  });
}

// Names and patterns that exporters of a role take; of any when it is empty.
std::vector<std::string> patterns_for(const std::string& role, const Host& host) {
  std::vector<std::string> patterns;
  for (const auto& offer : host.offers<ExporterInfo>()) {
    if (!role.empty() && offer.info->component != role) continue;
    for (const AcceptedSource& accepted : offer.info->accepts) {
      if (accepted.kind != AcceptedSource::Kind::pretrained) continue;
      patterns.insert(patterns.end(), accepted.names.begin(), accepted.names.end());
    }
  }
  return patterns;
}

// Whether a name stands for the model in the hub's cache, if it is there: weights are wanted, or no
// exporter of the role takes the name itself.
bool is_for_cache(const std::string& name, const SourceOptions& options, const Host& host) {
  return options.local || !is_possible(name, patterns_for(options.role, host));
}

// The names under which a hub may have a model: one that exporters know by a longer one may lie
// under both.
std::vector<std::string> addresses_of(const std::string& name, const Host& host) {
  std::vector<std::string> addresses = {name};
  for (const auto& offer : host.offers<ExporterInfo>()) {
    for (const AcceptedSource& accepted : offer.info->accepts) {
      if (accepted.kind != AcceptedSource::Kind::model) continue;
      for (const std::string& known : accepted.names) {
        if (known.ends_with("/" + name)) addresses.push_back(known);
      }
    }
  }
  return addresses;
}

std::optional<Path> find_cached(const std::string& name, const Host& host) {
  const std::optional<Path> cache = hub_cache();
  if (!cache || !is_model_name(name)) return std::nullopt;
  for (const std::string& address : addresses_of(name, host)) {
    if (const auto snapshot = find_snapshot(*cache, address)) return snapshot;
  }
  return std::nullopt;
}

// The signature that a name without its prefix is.
std::optional<std::string> signature_like(const std::string& name, const SourceOptions& options) {
  if (!is_inside(Path(name)) || name.find('/') != std::string::npos) return std::nullopt;
  std::optional<Path> signatures = options.xps;
  if (const auto dora = environment("AUDIOCRAFT_DORA_DIR"); dora && !signatures) {
    signatures = Path(*dora) / "xps";
  }
  if (!signatures || !is_folder(*signatures / name)) return std::nullopt;
  return std::string(kSignature) + name;
}

Error not_cached(const std::string& given, const std::string& name, const SourceOptions& options,
                 const Host& host) {
  if (!is_model_name(name)) {
    return input_error("source.unknown_name",
                       quoted(given) + " is neither a file nor a name that a model hub could have");
  }
  const std::optional<Path> cache = hub_cache();
  std::string message = quoted(given) + " is no file, and ";
  if (cache) {
    message +=
        "the cache of the model hub, " + quoted(cache->string(), 4096) + ", does not have it";
    const std::vector<std::string> addresses = addresses_of(name, host);
    if (addresses.size() > 1) {
      message += ", nor " + list_text({addresses.begin() + 1, addresses.end()});
    }
  } else {
    message += "where the cache of the model hub lies is not known";
  }
  std::string hint = "'hf download " + name + "' fetches it";
  if (const auto signature = signature_like(name, options)) {
    hint = "did you mean " + quoted(*signature) + "?";
  } else if (const auto near = nearest(name, names_in(options.directory))) {
    hint += "; or did you mean " + quoted(*near) + "?";
  }
  return input_error("source.not_cached", std::move(message), std::move(hint));
}

Source pretrained(const std::string& given, const std::string& name, const SourceOptions& options,
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
    const std::vector<std::string> files = names_in(options.directory);
    candidates.insert(candidates.end(), files.begin(), files.end());
  }
  std::optional<std::string> near = nearest(name, candidates);
  if (const auto signature = signature_like(name, options)) near = signature;
  throw input_error("source.unknown_name", std::move(message),
                    near ? "did you mean " + quoted(*near) + "?" : std::string());
}

// What a name stands for that no file has.
Source named(const std::string& given, const std::string& name, const SourceOptions& options,
             const Host& host) {
  if (!is_for_cache(name, options, host)) {
    return pretrained(given, name, options, host);
  }
  if (const auto snapshot = find_cached(name, host)) {
    if (auto source = source_in(given, *snapshot, options.role, host)) return *std::move(source);
    throw no_source(given, *snapshot,
                    "the cache has not all of it: 'hf download " + name + "' fetches the rest");
  }
  // Another role's name is a name all the same: its exporter says what it is.
  const auto is_known = [&] {
    if (options.local || !is_possible(name, host.pretrained_names())) return false;
    const std::vector<Candidate> candidates = host.probe(Source::of_pretrained(given, name));
    return !candidates.empty() && candidates.front().probe.confidence >= kSureConfidence;
  };
  const bool is_weights =
      options.local || (!options.role.empty() && patterns_for(options.role, host).empty());
  if (is_weights && !is_known()) throw not_cached(given, name, options, host);
  return pretrained(given, name, options, host);
}

[[noreturn]] void unknown_prefix(const std::string& given) {
  throw Error(ErrorKind::usage, "source.prefix",
              quoted(given) + " begins with '//' but with no known prefix",
              "known are //sig/NAME, //reference/PATH and //pretrained/NAME");
}

// How the model hub's tools and people write the address of a model: "hf://ORG/NAME",
// "https://huggingface.co/ORG/NAME/tree/main". Returns "ORG/NAME".
std::optional<std::string> hub_name(std::string_view address) {
  for (const std::string_view start :
       {"hf://", "https://huggingface.co/", "http://huggingface.co/", "https://hf.co/"}) {
    if (!address.starts_with(start)) continue;
    address.remove_prefix(start.size());
    if (address.starts_with("models/")) address.remove_prefix(7);
    const std::size_t slash = address.find('/');
    if (slash == std::string_view::npos) break;
    const std::size_t end = std::min(address.find_first_of("/?#@", slash + 1), address.size());
    const std::string_view name = address.substr(0, end);
    if (is_model_name(name)) return std::string(name);
    break;
  }
  return std::nullopt;
}

// What fetches the files at an address.
std::string fetch_hint(const std::string& scheme, const std::string& address) {
  const std::string shown = printable(address, 4096);
  if (const auto name = hub_name(address)) {
    return "'hf download " + *name + "' fetches it; then give the name: " + *name;
  }
  if (scheme == "file") return "give the path: " + quoted(address.substr(7), 4096);
  const std::string then = " fetches it; then give the file";
  if (scheme == "s3") return "'aws s3 cp " + shown + " .'" + then;
  if (scheme == "gs") return "'gcloud storage cp " + shown + " .'" + then;
  if (scheme == "http" || scheme == "https" || scheme == "ftp") {
    return "'curl -fLO " + shown + "'" + then;
  }
  return "fetch it and give the file";
}

// "https://...", "C:\\...": where files lie, but not here.
void refuse_address(const std::string& given) {
  const std::size_t mark = given.find("://");
  const auto is_letter = [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; };
  if (mark != std::string::npos && mark > 0 &&
      std::all_of(given.begin(), given.begin() + static_cast<std::ptrdiff_t>(mark),
                  [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '+'; })) {
    throw Error(ErrorKind::usage, "source.address",
                quoted(given) + " is an address, and Craftbundle does not download",
                fetch_hint(given.substr(0, mark), given));
  }
  if (given.size() > 2 && is_letter(given[0]) && given[1] == ':' &&
      (given[2] == '\\' || given[2] == '/')) {
    throw Error(ErrorKind::usage, "source.address", quoted(given) + " is a path of Windows",
                "give the path that the file has here");
  }
}

}  // namespace

Source resolve_source(std::string_view text, const SourceOptions& options, const Host& host) {
  const std::string given(text);
  if (given.empty()) throw Error(ErrorKind::usage, "source.empty", "the source is empty");
  if (given.find('\0') != std::string::npos) {
    throw Error(ErrorKind::usage, "source.empty",
                quoted(given) + " is no source: it holds a zero byte");
  }
  refuse_address(given);
  if (given == "-" && !is_there(given)) {
    throw Error(ErrorKind::usage, "source.stdin",
                "standard input is no source: a checkpoint is read in several places at once",
                "write it into a file first");
  }
  const auto at = [&](const Path& path) { return source_at(given, path, host, options.role); };
  if (given.starts_with(kSignature)) return at(signature_path(given, options));
  if (given.starts_with(kReference)) return at(reference_path(given));
  if (given.starts_with(kPretrained)) {
    return named(given, given.substr(kPretrained.size()), options, host);
  }
  const Path path = expand(given, options);
  if (is_there(path)) return at(path);
  if (given.starts_with("//")) unknown_prefix(given);
  boost::system::error_code ignored;
  const bool is_dangling = fs::is_symlink(fs::symlink_status(path, ignored));
  if (is_dangling || looks_like_path(given, options)) throw not_found(given, path);
  return named(given, given, options, host);
}

Source source_at(const std::string& given, const Path& path, const Host& host,
                 const std::string& role) {
  if (!is_there(path)) throw not_found(given, path);
  if (!is_folder(path)) return Source::of_checkpoint(given, host.open(path));
  if (auto source = source_in(given, path, role, host)) return *std::move(source);
  throw no_source(given, path);
}

std::optional<Path> source_path(std::string_view text, const SourceOptions& options,
                                const Host& host) {
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
  const auto cached = [&](const std::string& name) -> std::optional<Path> {
    const auto snapshot =
        is_for_cache(name, options, host) ? find_cached(name, host) : std::nullopt;
    return snapshot ? std::optional(of_folder(*snapshot)) : std::nullopt;
  };
  if (given.starts_with(kPretrained)) return cached(given.substr(kPretrained.size()));
  const Path path = expand(given, options);
  if (is_there(path)) return of_folder(path);
  if (given.starts_with("//")) return std::nullopt;
  if (!looks_like_path(given, options)) return cached(given);
  return of_folder(path);
}

std::optional<Error> unusable_directory(const Path& directory) {
  const Path path = plain(directory);
  const auto known = known_directory(path, names_in(path));
  if (!known) return std::nullopt;
  return input_error("source.no_checkpoint", path_text(directory) + ": is " + known->what,
                     known->advice);
}

}  // namespace craftbundle
