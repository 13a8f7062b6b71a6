#include "craftbundle/detail/bundle/bundle.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <numeric>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/adapter.h"
#include "craftbundle/detail/bundle/embed.h"
#include "craftbundle/detail/bundle/transform.h"
#include "craftbundle/detail/io/output_directory.h"
#include "craftbundle/detail/io/sha256.h"
#include "target.h"

namespace craftbundle {
namespace {

void add_source(const InputFile* file, SourceFiles& files) {
  if (std::ranges::count(files, file) == 0) files.push_back(file);
}

// The files whose bytes the planned ones are made from, and those that the components come from.
SourceFiles sources_of(const std::vector<BundleFile>& planned,
                       const std::vector<PreparedComponent>& components) {
  SourceFiles files;
  for (const PreparedComponent& prepared : components) {
    const Source& source = prepared.source;
    if (source.kind() == AcceptedSource::Kind::checkpoint) {
      add_source(&source.checkpoint().file(), files);
    }
    for (const ReadFile& read : prepared.read) add_source(read.file.get(), files);
  }
  for (const BundleFile& file : planned) {
    for (const InputFile* source : file.content->sources()) add_source(source, files);
  }
  return files;
}

// Roles become file names.
bool is_role(std::string_view role) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789_-";
  return !role.empty() && role.front() >= 'a' && role.front() <= 'z' &&
         role.find_first_not_of(kAllowed) == std::string_view::npos;
}

void check_roles(const std::vector<PreparedComponent>& components) {
  if (components.empty()) {
    throw Error(ErrorKind::usage, "bundle.empty", "a bundle needs at least one component");
  }
  std::vector<std::string> seen;
  for (const PreparedComponent& prepared : components) {
    const std::string& role = prepared.component.role;
    if (!is_role(role)) {
      throw Error(ErrorKind::plugin, "bundle.role",
                  "exporter " + quoted(prepared.exporter.name) + " made a component of the role " +
                      quoted(role) + ", expected a lower-case word");
    }
    if (std::find(seen.begin(), seen.end(), role) != seen.end()) {
      throw Error(ErrorKind::usage, "bundle.role", "two components have the role " + quoted(role),
                  "give each role one source");
    }
    seen.push_back(role);
  }
}

WriteSummary write(const BundleFile& planned, OutputFile& file, std::string task,
                   const PublishOptions& options) {
  return planned.content->write(
      file, {std::move(task), options.sink, options.cancellation, options.check});
}

void reserve(const BundleFile& planned, OutputFile& file) {
  if (const auto size = planned.content->size()) file.reserve(*size, planned.content->copied());
}

// Writes `planned`, which appears at `target` complete.
WriteSummary publish_file(const BundleFile& planned, const PreparedComponent& component,
                          const Path& target, const PublishOptions& options) {
  const Place place = place_of(target);
  if (target.string().back() == '/') {
    throw Error(ErrorKind::usage, "target.directory",
                quoted_path(place.given) + " names a directory, a component is a file",
                "name a file in it");
  }
  check_file_target(place, sources_of({planned}, {component}), options.force, planned.name);
  ParentDirectories parents(place, options.durability);
  OutputFile file(place.parent, options.durability);
  file.set_extents(options.extents);
  reserve(planned, file);
  const WriteSummary written = write(planned, file, place.name, options);
  options.cancellation->check();
  file.publish(place.path(), options.force);
  parents.keep();
  return written;
}

// What may be replaced along with a bundle: files that a layout, or the manifest, names.
std::vector<std::string> known_files(const Host& host, const std::vector<std::string>& disposable) {
  std::vector<std::string> known = disposable;
  for (const LayoutInfo& layout : host.layouts()) {
    for (const LayoutInfo::Part& part : layout.parts) known.push_back(part.file);
  }
  return known;
}

// SHA-256 of the files that components were made from, computed while the bundle is written.
class SourceDigests {
 public:
  // The arguments must outlive the object.
  SourceDigests(const std::vector<PreparedComponent>& components, const PublishOptions& options)
      : components_(components), options_(options) {
    const bool is_any = std::ranges::any_of(
        components, [](const PreparedComponent& component) { return !component.read.empty(); });
    if (!is_any || options.check == ContentCheck::structure) return;
    // Where no thread can be started, fill() computes them.
    constexpr auto kWhereItCan = std::launch::async | std::launch::deferred;
    computed_ = std::async(kWhereItCan, [this] { return compute(); });
  }
  SourceDigests(const SourceDigests&) = delete;
  SourceDigests& operator=(const SourceDigests&) = delete;
  // Waits, as the future does, but not for what nobody asks for.
  ~SourceDigests() { given_up_.cancel(); }

  // Throws what reading has thrown. At most once.
  void fill(Manifest& manifest) {
    if (!computed_.valid()) return;
    is_awaited_ = true;
    std::vector<std::string> digests = computed_.get();
    auto next = digests.begin();
    for (std::size_t i = 0; i < components_.size(); ++i) {
      for (std::size_t j = 0; j < components_[i].read.size(); ++j) {
        manifest.components[i].files_read[j].sha256 = std::move(*next++);
      }
    }
  }

 private:
  std::vector<std::string> compute() const {
    std::vector<std::string> digests;
    for (const PreparedComponent& component : components_) {
      for (const ReadFile& read : component.read) {
        const std::string task = "SHA-256 of " + read.name;
        const auto progress = [&](std::uint64_t done) {
          given_up_.check();
          if (is_awaited_) options_.sink->progress({task, done, read.file->size()});
        };
        digests.push_back(sha256_of_file(*read.file, *options_.cancellation, progress));
      }
    }
    return digests;
  }

  const std::vector<PreparedComponent>& components_;
  const PublishOptions& options_;
  Cancellation given_up_;
  std::atomic<bool> is_awaited_ = false;  // until then the bundle's own files are what is told of
  std::future<std::vector<std::string>> computed_;
};

// Publishes `planned` and a manifest as the directory `target`. Fills in the manifest's files and
// digests.
std::vector<WrittenFile> publish_directory(const std::vector<BundleFile>& planned,
                                           const std::vector<PreparedComponent>& components,
                                           Manifest& manifest, const Host& host, const Path& target,
                                           const BundleOptions& options) {
  const Place place = place_of(target);
  const SourceFiles sources = sources_of(planned, components);
  const std::vector<std::string> known = known_files(host, options.disposable);
  const auto check_target = [&] {
    return check_bundle_target(place, sources, options.force, known);
  };
  check_target();
  OutputDirectory out(place, options.durability, *options.sink,
                      [&](const Path& directory) { return files_of_bundle(directory, known); });
  // Once more: only with the lock is what lies there what will be replaced.
  const bool replace = check_target();
  SourceDigests source_digests(components, options);

  // The manifest is written last, but named first: it says which files are the bundle's.
  OutputFile& manifest_file = out.create(std::string(kManifestFile));
  std::vector<OutputFile*> files;
  for (const BundleFile& file : planned) {
    files.push_back(&out.create(file.name));
    if (options.check == ContentCheck::crc) files.back()->hash_contents();
    files.back()->set_extents(options.extents);
    reserve(file, *files.back());
  }
  std::vector<WrittenFile> written;
  for (std::size_t i = 0; i < planned.size(); ++i) {
    const BundleFile& file = planned[i];
    written.push_back({file.name, file.roles, write(file, *files[i], file.name, options), file.use,
                       file.warnings});
    const bool is_hashed = files[i]->is_hashed();
    manifest.files.push_back(
        {file.name, files[i]->size(), is_hashed ? files[i]->sha256() : std::string(), file.roles});
  }
  source_digests.fill(manifest);
  manifest_file.write(to_json(manifest));
  options.cancellation->check();
  out.publish(replace);
  return written;
}

void state_layout(const LayoutChoice& layout, const Host& host, Manifest& manifest) {
  manifest.layout = layout.name;
  manifest.layout_revision = host.layout(layout.name).revision;
  manifest.layout_options = layout.options;
}

// Files by their names: where they lie decides nothing.
std::vector<OptionValue> recorded_options(const PreparedComponent& prepared) {
  std::vector<OptionValue> options = prepared.options;
  std::vector<OptionSpec> declared = prepared.exporter.options;
  for (OptionSpec& spec : transform_options()) declared.push_back(std::move(spec));
  for (OptionValue& option : options) {
    for (const OptionSpec& spec : declared) {
      if (spec.name != option.name || spec.type != OptionSpec::Type::files) continue;
      std::vector<std::string> names;
      for (const Path& file : files_of(option.value))
        names.push_back(plain_path(file).filename().string());
      option.value = join(names, ",");
    }
  }
  return options;
}

// Components that are no more than a name that nothing here knows.
std::vector<std::string> unknown_names(const Manifest& manifest) {
  std::vector<std::string> clauses;
  for (const ManifestComponent& component : manifest.components) {
    const bool is_name = component.source_kind == to_string(AcceptedSource::Kind::pretrained);
    if (!is_name || !component.provides.empty()) continue;
    clauses.push_back(quoted(component.source) + " of " + component.role +
                      " is no path that is there, and was taken for a name on a model hub");
  }
  return clauses;
}

}  // namespace

std::uint64_t shared_bytes(const std::vector<WrittenFile>& files) {
  return std::accumulate(
      files.begin(), files.end(), std::uint64_t{0},
      [](std::uint64_t sum, const WrittenFile& file) { return sum + file.written.shared_bytes; });
}

std::optional<Error> find_misfit(const Manifest& manifest) {
  std::vector<std::string> differing;
  for (const FitCheck& check : manifest.fit) {
    if (check.outcome == FitCheck::Outcome::differs) differing.push_back(to_string(check));
  }
  if (!differing.empty()) {
    return Error(ErrorKind::mismatch, "bundle.mismatch",
                 "the components do not fit: " + join(differing, "; "),
                 "choose components that belong together, or pass --allow-mismatch");
  }
  // Whoever has asked for components as they are knows that nothing is known of them.
  const bool as_is = std::ranges::any_of(
      manifest.components, [](const ManifestComponent& one) { return is_as_is(one.options); });
  const std::optional<UncheckedFit> unchecked = find_unchecked(manifest.fit);
  if (unchecked && !as_is) {
    const std::vector<std::string> names = unknown_names(manifest);
    if (names.empty()) {
      return Error(ErrorKind::mismatch, "bundle.unchecked", to_string(*unchecked),
                   "add the missing component, or pass --allow-mismatch");
    }
    return Error(ErrorKind::mismatch, "bundle.unchecked",
                 to_string(*unchecked) + "; " + join(names, "; "),
                 "give the path if a file or directory is meant, or pass --allow-mismatch");
  }
  return std::nullopt;
}

std::optional<Error> find_misfit(const std::vector<PreparedComponent>& components) {
  for (const PreparedComponent& prepared : components) {
    if (!prepared.is_guess()) continue;
    return Error(ErrorKind::mismatch, "bundle.guess",
                 "whether " + quoted(prepared.source.given()) +
                     " is what is wanted cannot be told: " + prepared.probe.reason,
                 "when it is meant, name its exporter with --for " + prepared.component.role +
                     ":exporter=" + prepared.exporter.name +
                     "; else give a file, a directory or a name that is known");
  }
  return find_misfit(describe_bundle(components));
}

namespace {

// The last part of a path that may end in '/' or be ".".
std::string name_of_directory(const Path& path) {
  Path name = absolute_path(path).lexically_normal();
  while (name.has_parent_path() && (name.filename() == "." || name.filename().empty())) {
    name = name.parent_path();
  }
  return name.filename().string();
}

// The last part of what was given for a directory. In the cache of a hub it is not called so.
std::string name_given(const Source& source, const Path& directory) {
  const Path name = Path(source.given()).filename();
  const bool is_plain = !name.empty() && name != "." && name != "..";
  return is_plain ? name.string() : name_of_directory(directory);
}

// Never where a source lies.
std::string source_name(const Source& source) {
  switch (source.kind()) {
    case AcceptedSource::Kind::checkpoint:
      return source.checkpoint().file().path().filename().string();
    case AcceptedSource::Kind::model:
      return name_given(
          source, source.place() == nullptr ? Path(source.given()) : source.place()->directory);
    case AcceptedSource::Kind::directory:
      return name_given(source, source.directory().path());
    case AcceptedSource::Kind::pretrained:
      break;
  }
  return source.name();
}

}  // namespace

ManifestComponent describe_component(const PreparedComponent& prepared) {
  return describe_component(prepared, fetched_for(prepared.component));
}

ManifestComponent describe_component(const PreparedComponent& prepared,
                                     const std::vector<std::string>& fetched) {
  const Component& component = prepared.component;
  const Source& source = prepared.source;
  ManifestComponent entry;
  entry.role = component.role;
  entry.source = source_name(source);
  entry.source_kind = to_string(source.kind());
  for (const ReadFile& read : prepared.read) {
    entry.files_read.push_back({read.name, read.file->size(), {}});
  }
  entry.exporter = prepared.exporter.name;
  entry.exporter_revision = prepared.exporter.revision;
  entry.exporter_version = prepared.plugin_version;
  entry.options = recorded_options(prepared);
  entry.summary = component.summary;
  entry.provides = component.provides;
  entry.requires_ = component.requires_;
  entry.checks = component.checks;
  entry.warnings = component.warnings;
  if (auto warning = fetch_warning(component, fetched)) {
    entry.warnings.push_back(*std::move(warning));
  }
  entry.load_with = component.load_with;
  return entry;
}

namespace {

bool is_loaded(const Component& component) {
  return std::ranges::any_of(component.loaders, &LoaderAnswer::loads);
}

bool provides(const Component& component, const std::string& fact) {
  return std::ranges::count(component.provides, fact, &FitFact::name) != 0;
}

// Whether `main` has to fit to `other`, which it does not fetch by itself: `other` states what it
// requires, or might be what it requires, as nobody states that.
bool needs(const Component& main, const Component& other,
           const std::vector<PreparedComponent>& all) {
  if (std::ranges::count(main.fetches, other.role, &Fetched::role) != 0) return false;
  return std::ranges::any_of(main.requires_, [&](const FitFact& fact) {
    return provides(other, fact.name) ||
           std::ranges::none_of(all, [&](const PreparedComponent& one) {
             return provides(one.component, fact.name);
           });
  });
}

// Whether a loader takes the model that `prepared` is, and what it needs beside it.
bool can_be_loaded(const PreparedComponent& prepared,
                   const std::vector<PreparedComponent>& components) {
  const Component& main = prepared.component;
  if (!main.loaders.empty() && !is_loaded(main)) return false;
  return std::ranges::all_of(components, [&](const PreparedComponent& other) {
    return &other == &prepared || !needs(main, other.component, components) ||
           is_loaded(other.component);
  });
}

// Nobody is told to load what no loader takes.
std::vector<PreparedComponent> with_true_loading(std::vector<PreparedComponent> components) {
  for (PreparedComponent& prepared : components) {
    if (!can_be_loaded(prepared, components)) prepared.component.load_with.clear();
  }
  return components;
}

}  // namespace

Manifest describe_bundle(const std::vector<PreparedComponent>& components) {
  Manifest manifest;
  manifest.producer = "craftbundle " CRAFTBUNDLE_VERSION;
  std::vector<StatedFacts> facts;
  for (const PreparedComponent& prepared : components) {
    manifest.components.push_back(describe_component(prepared));
    if (!can_be_loaded(prepared, components)) manifest.components.back().load_with.clear();
    const Component& component = prepared.component;
    facts.push_back({component.role, component.provides, component.requires_});
  }
  manifest.fit = check_fit(facts);
  return manifest;
}

std::string loading_code(const std::string& load_with, const Path& directory) {
  constexpr std::string_view kPlace = "{bundle}";
  std::string code = printable(load_with, 1'000);
  const std::size_t place = code.find(kPlace);
  return place == std::string::npos ? code
                                    : code.replace(place, kPlace.size(), path_text(directory));
}

ExportReport write_component(const PreparedComponent& component, const LayoutChoice& layout,
                             const Host& host, const Path& target, const PublishOptions& options) {
  const std::vector<BundleFile> planned = host.lay_out(layout, {component});
  if (planned.size() > 1) {
    Manifest manifest = describe_bundle({component});
    manifest.check = options.check;
    state_layout(layout, host, manifest);
    BundleOptions all;
    static_cast<PublishOptions&>(all) = options;
    std::vector<WrittenFile> files =
        publish_directory(planned, {component}, manifest, host, target, all);
    return {target, std::move(files), std::move(manifest.components.front()), options.check};
  }
  const WriteSummary written = publish_file(planned.front(), component, target, options);
  return {target,
          {{target.filename().string(), planned.front().roles, written, planned.front().use,
            planned.front().warnings}},
          describe_component(component),
          options.check};
}

namespace {

// `components` less those for which the layout has planned nothing, as it may
// (LayoutInfo::leaves_out).
std::vector<PreparedComponent> without_left_out(const std::vector<PreparedComponent>& components,
                                                const std::vector<BundleFile>& planned,
                                                const LayoutChoice& layout, BundleReport& report) {
  std::vector<PreparedComponent> kept;
  for (const PreparedComponent& prepared : components) {
    const std::string& role = prepared.component.role;
    const bool is_planned = std::ranges::any_of(
        planned, [&](const BundleFile& file) { return std::ranges::count(file.roles, role) != 0; });
    if (is_planned) {
      kept.push_back(prepared);
    } else {
      report.warnings.push_back(
          role + " is left out: loaders of the layout " + quoted(layout.name) +
          " find it by its name, or in the bundle when it is made with --embed");
    }
  }
  return kept;
}

BundleContents contents_of(const std::vector<BundleFile>& planned,
                           const std::vector<PreparedComponent>& components,
                           const LayoutChoice& layout) {
  BundleContents contents{layout.name};
  for (const PreparedComponent& prepared : components) {
    if (prepared.component.model() != nullptr) contents.models.push_back(prepared.component.role);
  }
  contents.has_folder = [&](const std::string& name) {
    return std::ranges::any_of(
        planned, [&](const BundleFile& file) { return file.name.starts_with(name + "/"); });
  };
  return contents;
}

// An exporter knows how its model is loaded in the usual layout; a file may say better.
void state_loading(const std::vector<BundleFile>& planned, const LayoutChoice& layout,
                   ManifestComponent& component) {
  const auto first = std::ranges::find_if(planned, [&](const BundleFile& file) {
    return std::ranges::count(file.roles, component.role) != 0;
  });
  if (first != planned.end() && !first->use.empty()) {
    component.load_with = first->use;
  } else if (!joins_layout(layout.name, kDefaultLayout)) {
    component.load_with.clear();
  }
}

}  // namespace

BundleReport write_bundle(const std::vector<PreparedComponent>& given, const LayoutChoice& layout,
                          const Host& host, const Path& target, const BundleOptions& options) {
  check_roles(given);
  const std::vector<PreparedComponent> components = with_true_loading(given);
  BundleReport report{target, describe_bundle(components), {}, {}};
  if (const auto error = find_misfit(components)) {
    if (!options.allow_mismatch) throw *error;
    report.manifest.mismatch_allowed = true;
  }
  report.manifest.check = options.check;
  state_layout(layout, host, report.manifest);
  const std::vector<BundleFile> planned = host.lay_out(layout, components);
  const std::vector<PreparedComponent> kept = without_left_out(components, planned, layout, report);
  report.manifest.components.clear();
  const BundleContents contents = contents_of(planned, kept, layout);
  for (const PreparedComponent& prepared : kept) {
    report.manifest.components.push_back(
        describe_component(prepared, fetched_for(prepared.component, contents)));
    state_loading(planned, layout, report.manifest.components.back());
  }
  report.files = publish_directory(planned, kept, report.manifest, host, target, options);
  for (const WrittenFile& file : report.files) {
    report.warnings.insert(report.warnings.end(), file.warnings.begin(), file.warnings.end());
  }
  return report;
}

}  // namespace craftbundle
