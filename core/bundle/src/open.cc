#include "craftbundle/detail/bundle/open.h"

#include <algorithm>
#include <array>
#include <boost/filesystem/operations.hpp>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/read.h"
#include "craftbundle/detail/bundle/transform.h"
#include "match_names.h"
#include "weights.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

// Ways to read the names of a file that are tried where only the exporter knows what they should
// be.
constexpr std::size_t kMostTries = 32;

bool is_there(const Path& path) {
  boost::system::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_folder(const Path& path) {
  boost::system::error_code ignored;
  return fs::is_directory(path, ignored);
}

ReadFile read_file(std::shared_ptr<const InputFile> file) {
  std::string name = file->path().filename().string();
  return {std::move(name), false, std::move(file)};
}

// The model that a configuration is taken from.
struct Basis {
  Model model;
  std::optional<std::string> role;      // nullopt: a configuration alone does not tell
  std::optional<std::string> exporter;  // that has checked it
  std::vector<ReadFile> read;
};

std::optional<std::string> own_option(const NamedRequest& request, std::string_view name) {
  for (const OptionValue& option : request.options) {
    if (option.name == name) return option.value;
  }
  return std::nullopt;
}

Basis configuration_at(const Path& path) {
  const auto file = std::make_shared<const InputFile>(path);
  Basis basis;
  basis.model.config =
      with_context([&] { return path_text(path); },
                   [&] { return Config::from_yaml(text_of(*file, kMaxReadTextBytes)); });
  basis.read.push_back(read_file(file));
  return basis;
}

// Checked as if it were to be exported. nullopt: it is a name and has no configuration.
std::optional<Basis> basis_of(const Source& source, const std::optional<std::string>& role,
                              const NamedRequest& request, const Host& host) {
  std::vector<OptionValue> options;
  if (is_as_is(request.options)) options.push_back({std::string(kAsIsOption), "true"});
  PreparedComponent prepared = host.prepare({source, role, {}, options, {}});
  auto* model = std::get_if<Model>(&prepared.component.content);
  if (model == nullptr) return std::nullopt;
  Basis basis{std::move(*model), prepared.component.role, prepared.exporter.name,
              std::move(prepared.read)};
  for (ReadFile& file : basis.read) file.is_below = false;
  if (source.kind() == AcceptedSource::Kind::checkpoint) {
    basis.read.push_back(
        read_file({source.checkpoint().shared_from_this(), &source.checkpoint().file()}));
  }
  return basis;
}

// Those in the directory of a bundle that can be the model.
std::vector<Basis> bases_in(const Path& directory, const NamedRequest& request, const Host& host) {
  const BundleListing bundle = list_bundle(directory, read_manifest(directory), host);
  std::vector<Basis> bases;
  for (const BundleListing::Entry& entry : bundle.entries) {
    if (request.component && entry.role != *request.component) continue;
    const RoleSource found = find_source(bundle, entry.role, host);
    std::optional<Basis> basis = basis_of(found.source, entry.role, request, host);
    if (!basis) continue;
    if (found.source.kind() != AcceptedSource::Kind::checkpoint) {
      for (const std::string& file : found.files) {
        basis->read.push_back(read_file(std::make_shared<const InputFile>(directory / file)));
      }
    }
    bases.push_back(*std::move(basis));
  }
  return bases;
}

std::vector<Basis> find_bases(const std::string& given, const NamedRequest& request,
                              const Host& host) {
  SourceOptions lookup = request.lookup;
  const std::optional<Path> path = weights_path(given, lookup, host);
  // A name that the hub's cache has stands for the model there.
  lookup.local = lookup.local || path;
  if (path && is_there(*path)) {
    const std::string extension = path->extension().string();
    if (extension == ".yaml" || extension == ".yml") return {configuration_at(*path)};
    if (is_folder(*path) && !is_source_directory(*path, host)) {
      return bases_in(*path, request, host);
    }
  }
  const Source source = resolve_source(given, lookup, host);
  if (source.kind() == AcceptedSource::Kind::pretrained) return {};
  std::optional<Basis> basis = basis_of(source, request.component, request, host);
  if (!basis) return {};
  return {*std::move(basis)};
}

// Of several components the one whose names are in the file.
Basis choose_basis(std::vector<Basis> bases, const std::string& given, const Weights& weights) {
  if (bases.empty()) {
    throw Error(ErrorKind::usage, "option.value",
                "option '" + std::string(kConfigFromOption) + "': " + quoted(given) +
                    " has no configuration of such a model here",
                "name a bundle, an exported file, a checkpoint of a training, or a configuration "
                "as YAML")
        .about("option:" + std::string(kConfigFromOption));
  }
  std::size_t best = 0;
  std::size_t most = 0;
  for (std::size_t i = 0; i < bases.size(); ++i) {
    const NamedWeights names(weights, bases[i].model.tensors);
    const std::size_t count = names.matches().empty() ? 0 : names.matches().front().count;
    if (count > most) {
      most = count;
      best = i;
    }
  }
  return std::move(bases[best]);
}

// A request with everything settled but the tensors.
struct Attempt {
  const NamedRequest& request;
  const Basis& basis;
  const Host& host;

  PreparedComponent with(NamedWeights::Selection selection) const {
    Model model = basis.model;
    model.tensors = std::move(selection.tensors);
    model.origin = selection.where;
    model.folded = {};
    PreparedComponent prepared =
        prepare_component({Source::of_model(request.source, std::move(model)),
                           request.component ? request.component : basis.role,
                           request.exporter ? request.exporter : basis.exporter,
                           request.options,
                           {},
                           request.directory},
                          host);
    const auto put_first = [](std::vector<std::string>& clauses, std::vector<std::string> first) {
      clauses.insert(clauses.begin(), first.begin(), first.end());
    };
    put_first(prepared.component.checks, std::move(selection.checks));
    put_first(prepared.component.warnings, std::move(selection.warnings));
    return prepared;
  }
};

PreparedComponent with_names_of(const Attempt& attempt, const Weights& weights) {
  const NamedWeights names(weights, attempt.basis.model.tensors);
  if (names.matches().empty()) {
    std::vector<std::string> expected;
    for (const NamedTensor& named : attempt.basis.model.tensors) expected.push_back(named.name);
    constexpr std::size_t kShown = 2;
    throw Error(ErrorKind::input, "weights.names",
                "no tensor in it has a name of the model, such as " + list_text(expected, kShown) +
                    "; it has " + list_text(names.given_names(), kShown),
                "name the model that these weights were made from");
  }
  return attempt.with(names.select(names.matches().front()));
}

// Only the exporter knows what the names should be: it is asked about each beginning.
PreparedComponent with_any_names(const Attempt& attempt, const Weights& weights) {
  const NamedWeights names(weights, attempt.basis.model.tensors);
  std::optional<Error> refusal;
  std::size_t tries = 0;
  const std::size_t all = names.matches().front().count;
  for (const NameMatch& match : names.matches()) {
    if (tries++ == kMostTries) break;
    try {
      return attempt.with(names.select(match));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::input) throw;
      // What is wrong shows best without all that the names have in common.
      if (!refusal || match.count == all) refusal = error;
    }
  }
  throw *refusal;
}

// The file of tensors that the request names.
Weights find_weights(const NamedRequest& request, const Host& host) {
  const std::optional<Path> path = weights_path(request.source, request.lookup, host);
  if (path && is_there(*path)) return open_weights(*path, host);
  // Says why it is not there.
  resolve_source(request.source, request.lookup, host);
  throw Error(ErrorKind::input, "weights.none",
              quoted(request.source) + " is a name, and no file of tensors that is here",
              "leave the option " + std::string(kConfigFromOption) + " out, or name a file");
}

// A file that is named twice, or is the source itself, counts once in a mean.
void drop_repeated(NamedRequest& request, const Path& source) {
  for (OptionValue& option : request.options) {
    if (option.name != kAverageOption) continue;
    std::vector<Path> seen = {source};
    for (const Path& path : files_of(option.value)) {
      const bool starts_here = path.is_absolute() || request.directory.empty();
      const Path file = absolute_path(starts_here ? path : request.directory / path);
      boost::system::error_code ignored;
      if (std::ranges::none_of(
              seen, [&](const Path& other) { return fs::equivalent(file, other, ignored); })) {
        seen.push_back(file);
      }
    }
    option.value = files_value({seen.begin() + 1, seen.end()});
  }
}

// Directories in the cache of a hub are not called as the model is.
std::string name_of(const Path& path, const std::string& given) {
  const std::string last = Path(given).filename().string();
  const bool is_plain = !last.empty() && last != "." && last != "..";
  return is_folder(path) && is_plain ? last : path.filename().string();
}

PreparedComponent open_weights_of(NamedRequest request, const std::string& given,
                                  const Host& host) {
  const Weights weights = find_weights(request, host);
  const std::optional<Path> path = weights_path(given, request.lookup, host);
  const Basis basis = with_context(std::string(kConfigFromOption), [&] {
    return choose_basis(find_bases(given, request, host), given, weights);
  });
  // Where the further checkpoints of a mean are opened, relative paths would start elsewhere.
  for (OptionValue& option : request.options) {
    if (option.name == kConfigFromOption && path) option.value = absolute_path(*path).string();
  }
  drop_repeated(request, *weights_path(request.source, request.lookup, host));
  while (request.source.size() > 1 && request.source.ends_with('/')) request.source.pop_back();
  const Attempt attempt{request, basis, host};
  PreparedComponent prepared = basis.model.tensors.empty()
                                   ? with_any_names(attempt, weights)
                                   : with_context([&] { return printable(request.source); },
                                                  [&] { return with_names_of(attempt, weights); });
  const std::string name = path ? name_of(*path, given) : given;
  prepared.component.checks.insert(prepared.component.checks.begin(),
                                   "configuration of " + printable(name) + " taken");
  for (OptionValue& option : prepared.options) {
    if (option.name == kConfigFromOption && path) option.value = name;
  }
  for (const std::vector<ReadFile>* files : {&basis.read, &weights.files}) {
    prepared.read.insert(prepared.read.end(), files->begin(), files->end());
  }
  return prepared;
}

// `error`, which has refused `request`, with the hint that the model can be taken as it is, where
// it can.
Error offering_as_is(const Error& error, const ComponentRequest& request, const Host& host) {
  if (error.kind() != ErrorKind::input || is_as_is(request.options)) return error;
  ComponentRequest untouched = request;
  untouched.further_options = transform_options();
  try {
    host.prepare(untouched);
    // The exporter takes it; what was to be done to its weights cannot be.
    return error;
  } catch (const Error&) {
  }
  try {
    ComponentRequest as_is = request;
    as_is.options = {{std::string(kAsIsOption), "true"}};
    host.prepare(as_is);
  } catch (const Error&) {
    return error;
  }
  std::string hint = error.hint();
  if (!hint.empty()) hint += "; ";
  Error offering(
      error.kind(), error.code(), error.bare_message(),
      hint +
          "a model that no rule covers is exported unchecked with --as-is (bundle: --for "
          "ROLE:as-is=true)");
  const std::vector<std::string>& contexts = error.contexts();
  for (auto where = contexts.rbegin(); where != contexts.rend(); ++where) {
    offering.add_context(*where);
  }
  return offering.about(error.subject());
}

}  // namespace

std::optional<Path> weights_path(std::string_view given, SourceOptions lookup, const Host& host) {
  lookup.local = true;
  return source_path(given, lookup, host);
}

PreparedComponent open_component(const NamedRequest& named, const Host& host) {
  NamedRequest request = named;
  SourceOptions& lookup = request.lookup;
  if (lookup.role.empty()) lookup.role = request.component.value_or("");
  // There is no reference to a text encoder.
  lookup.local = lookup.local || lookup.role == kTextEncoderRole;
  const std::optional<std::string> config_from = own_option(request, kConfigFromOption);
  if (config_from && !config_from->empty()) return open_weights_of(request, *config_from, host);
  const ComponentRequest settled = {resolve_source(request.source, request.lookup, host),
                                    request.component,
                                    request.exporter,
                                    request.options,
                                    {},
                                    request.directory};
  try {
    return prepare_component(settled, host);
  } catch (const Error& error) {
    throw offering_as_is(error, settled, host);
  }
}

}  // namespace craftbundle
