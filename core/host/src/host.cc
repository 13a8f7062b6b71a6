#include "craftbundle/host/host.h"

#include <sys/stat.h>

#include <algorithm>
#include <boost/filesystem/directory.hpp>
#include <set>

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"
#include "craftbundle/host/library.h"
#include "craftbundle/host/scan.h"
#include "craftbundle/plugin/plugin.h"
#include "plugin_info.h"
#include "remote_codec.h"
#include "sidecar_file.h"

namespace craftbundle {
namespace {

constexpr std::size_t kShownReason = 600;
// Confidence from which an exporter knows what it sees (Probe).
constexpr int kSure = 50;
constexpr std::string_view kRefusedHint =
    "some plugin libraries were refused: 'craftbundle plugins list' says why";

// Device and inode, which tell files apart whatever their names; nullopt when there is no file.
std::optional<std::string> identity(const Path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

// Plugin libraries in a directory, in order of their names.
std::vector<Path> libraries_in(const SearchDirectory& directory, Sink& sink) {
  std::vector<Path> result;
  boost::system::error_code failure;
  boost::filesystem::directory_iterator entry(directory.path, failure);
  const bool asked_for = directory.origin == "--plugin-dir";
  if (failure && (asked_for || failure != boost::system::errc::no_such_file_or_directory)) {
    sink.log(LogLevel::warning, "plugin directory " + path_text(directory.path) + " (" +
                                    directory.origin + ") cannot be read: " + failure.message());
  }
  while (!failure && entry != boost::filesystem::directory_iterator()) {
    const Path& path = entry->path();
    if (path.extension() == ".so" && !path.stem().empty()) result.push_back(path);
    entry.increment(failure);
  }
  std::sort(result.begin(), result.end());
  return result;
}

// Fails for a library that was built for another Craftbundle, without mapping it.
PluginInfo describe(const Path& library, const ScanOptions& options) {
  std::optional<PluginInfo> described = read_sidecar(library);
  if (!described) return scan_library(library, options);
  if (described->interface_id != kInterfaceId) {
    throw interface_error(library, described->interface_id);
  }
  return *std::move(described);
}

bool takes_kind(const ExporterInfo& info, AcceptedSource::Kind kind) {
  return std::any_of(info.accepts.begin(), info.accepts.end(),
                     [&](const AcceptedSource& accepted) { return accepted.kind == kind; });
}

std::vector<std::string> names_of(const ExporterInfo& info) {
  std::vector<std::string> names;
  for (const AcceptedSource& accepted : info.accepts) {
    names.insert(names.end(), accepted.names.begin(), accepted.names.end());
  }
  return names;
}

// Whether the exporter's code has to be asked about a source of a kind it takes.
bool may_take(const ExporterInfo& info, const Source& source) {
  if (source.kind() != AcceptedSource::Kind::pretrained) return true;
  const std::vector<std::string> names = names_of(info);
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& pattern) { return matches(pattern, source.name()); });
}

std::string_view words(AcceptedSource::Kind kind) {
  return kind == AcceptedSource::Kind::checkpoint ? "files" : "pretrained names";
}

std::string suggestion(const std::string& name, const std::vector<std::string>& known) {
  if (const std::optional<std::string> near = nearest(name, known)) {
    return "did you mean " + quoted(*near) + "?";
  }
  return {};
}

// The declared options with the values given, else their defaults.
std::vector<OptionValue> check_options(const std::string& what,
                                       const std::vector<OptionSpec>& declared,
                                       const std::vector<OptionValue>& given) {
  std::vector<OptionValue> values;
  std::vector<std::string> names;
  for (const OptionSpec& spec : declared) {
    values.push_back({spec.name, spec.default_value});
    names.push_back(spec.name);
  }
  std::set<std::string> seen;
  for (const OptionValue& option : given) {
    const auto place = std::find(names.begin(), names.end(), option.name);
    if (place == names.end()) {
      throw Error(ErrorKind::usage, "option.unknown",
                  what + " has no option " + quoted(option.name) +
                      (names.empty() ? "; it has none" : "; it has " + list_text(names, 32)),
                  suggestion(option.name, names))
          .about("option:" + option.name);
    }
    if (!seen.insert(option.name).second) {
      throw Error(ErrorKind::usage, "option.duplicate",
                  "option " + quoted(option.name) + " is given twice", "give it once")
          .about("option:" + option.name);
    }
    const auto index = static_cast<std::size_t>(place - names.begin());
    const OptionSpec& spec = declared[index];
    if (const std::optional<std::string> problem = find_problem(spec, option.value)) {
      throw Error(ErrorKind::usage, "option.value",
                  "option " + quoted(option.name) + " of " + what + " cannot be " +
                      quoted(option.value) + ": " + *problem,
                  suggestion(option.value, spec.choices))
          .about("option:" + option.name);
    }
    values[index].value = option.value;
  }
  return values;
}

// Throws when `plugin` offers a name that `earlier` offers: `what` names the kind of thing.
template <typename Info>
void refuse_duplicates(const FoundPlugin& earlier, const std::vector<Info>& taken,
                       const FoundPlugin& plugin, const std::vector<Info>& offered,
                       const std::string& what) {
  for (const Info& first : taken) {
    for (const Info& second : offered) {
      if (first.name != second.name) continue;
      throw Error(ErrorKind::plugin, "plugin.duplicate",
                  "offers " + what + " " + quoted(second.name) + ", which " +
                      path_text(earlier.library) + " (" + earlier.origin + ") offers already",
                  "remove one of the two")
          .add_context(path_text(plugin.library));
    }
  }
}

}  // namespace

// An exporter, by its place in found_.
struct Host::Entry {
  std::size_t plugin;
  std::size_t exporter;
  const ExporterInfo* info;
};

// What an exporter says of a source.
struct Host::Answer {
  const Entry* entry;
  Probe probe;

  std::string words() const {
    return entry->info->name + " (" + std::to_string(probe.confidence) + "%): " + probe.reason;
  }
};

class Host::Context final : public ExportContext {
 public:
  explicit Context(const Host& host) : host_(host) {}
  Sink& sink() override { return *host_.options_.sink; }
  const Cancellation& cancellation() const override { return *host_.options_.cancellation; }
  std::shared_ptr<const Checkpoint> open(const Path& path) override { return host_.open(path); }

 private:
  const Host& host_;
};

Host::Host(Options options) : options_(std::move(options)) {
  std::set<std::string> seen;
  for (const SearchDirectory& directory : search_directories(options_.search, *options_.sink)) {
    for (const Path& library : libraries_in(directory, *options_.sink)) {
      // Under a second name or through a link it is the same library.
      const std::optional<std::string> file = identity(library);
      if (file && seen.contains(*file)) continue;
      if (scan(library, directory.origin) && file) seen.insert(*file);
    }
  }
  for (std::size_t i = 0; i < found_.size(); ++i) {
    for (std::size_t k = 0; k < found_[i].info.exporters.size(); ++k) {
      entries_.push_back({i, k, &found_[i].info.exporters[k]});
    }
  }
}

Host::~Host() = default;

bool Host::scan(const Path& library, const std::string& origin) {
  const ScanOptions options{options_.scanner, options_.scan_limit, options_.cancellation};
  try {
    const Path real = check_library_file(library);
    add({real, origin, describe(real, options)});
    return true;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    refuse(library, origin, error);
    return false;
  }
}

void Host::add(FoundPlugin plugin) {
  for (const FoundPlugin& earlier : found_) {
    const PluginInfo& taken = earlier.info;
    refuse_duplicates(earlier, taken.exporters, plugin, plugin.info.exporters, "exporter");
    refuse_duplicates(earlier, taken.stages, plugin, plugin.info.stages, "the kind of stage");
    refuse_duplicates(earlier, taken.codecs, plugin, plugin.info.codecs, "the loader of codecs");
  }
  found_.push_back(std::move(plugin));
}

void Host::refuse(const Path& library, const std::string& origin, const Error& error) {
  std::string reason = error.message_within(path_text(library));
  if (!error.hint().empty()) reason += "; " + error.hint();
  refused_.push_back({library, origin, error.code(), std::move(reason)});
}

const PluginLibrary& Host::load(const FoundPlugin& plugin) const {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<const PluginLibrary>& library = libraries_[plugin.library.string()];
  if (!library) {
    std::shared_ptr<const PluginLibrary> loaded = PluginLibrary::load(plugin.library);
    check_same(plugin.library, plugin.info, loaded->info());
    library = std::move(loaded);
  }
  return *library;
}

const LineExporter& Host::exporter(const Entry& entry) const {
  return *load(found_[entry.plugin]).exporters()[entry.exporter];
}

Probe Host::ask(const Entry& entry, const Source& source) const {
  if (!may_take(*entry.info, source)) {
    return {0, "takes other names: " + list_text(names_of(*entry.info))};
  }
  try {
    LineFailure failure;
    Probe probe = exporter(entry).probe(source, failure);
    if (failure.failed) failure.raise();
    if (probe.confidence < 0 || probe.confidence > 100) {
      return {0, "is confident by " + std::to_string(probe.confidence) + ", expected 0 to 100"};
    }
    probe.reason = printable(probe.reason, kShownReason);
    return probe;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    const std::string reason = "cannot be asked: " + printable(error.message(), kShownReason);
    options_.sink->log(LogLevel::warning, "exporter " + quoted(entry.info->name) + " " + reason);
    return {0, reason};
  }
}

std::vector<Host::Answer> Host::ask(const Source& source) const {
  std::vector<Answer> answers;
  for (const Entry& entry : entries_) {
    if (takes_kind(*entry.info, source.kind())) answers.push_back({&entry, ask(entry, source)});
  }
  std::stable_sort(answers.begin(), answers.end(), [](const Answer& a, const Answer& b) {
    return a.probe.confidence > b.probe.confidence;
  });
  return answers;
}

std::vector<Candidate> Host::probe(const Source& source) const {
  std::vector<Candidate> candidates;
  for (const Answer& answer : ask(source)) {
    candidates.push_back({answer.entry->info->name, answer.entry->info->component, answer.probe});
  }
  return candidates;
}

std::vector<std::string> Host::pretrained_names() const {
  std::set<std::string> names;
  for (const Entry& entry : entries_) {
    for (std::string& name : names_of(*entry.info)) names.insert(std::move(name));
  }
  return {names.begin(), names.end()};
}

const Host::Entry& Host::find(const std::string& name) const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) {
    if (entry.info->name == name) return entry;
    names.push_back(entry.info->name);
  }
  std::string hint = suggestion(name, names);
  if (hint.empty() && !refused_.empty()) hint = kRefusedHint;
  throw Error(ErrorKind::usage, "exporter.unknown",
              "there is no exporter " + quoted(name) +
                  (names.empty() ? "; no plugin was found" : "; there is " + list_text(names, 32)),
              std::move(hint));
}

Host::Answer Host::choose(const ComponentRequest& request) const {
  const std::string source = quoted(request.source.given());
  if (request.exporter) {
    const Entry& entry = find(*request.exporter);
    const AcceptedSource::Kind kind = request.source.kind();
    if (!takes_kind(*entry.info, kind)) {
      throw Error(ErrorKind::usage, "exporter.kind",
                  "exporter " + quoted(entry.info->name) + " does not take " +
                      std::string(words(kind)) + ", and " + source + " is one");
    }
    if (request.component && entry.info->component != *request.component) {
      throw Error(ErrorKind::usage, "exporter.component",
                  "exporter " + quoted(entry.info->name) + " makes component " +
                      quoted(entry.info->component) + ", asked for was " +
                      quoted(*request.component));
    }
    return {&entry, ask(entry, request.source)};
  }
  return best_of(ask(request.source), request);
}

Host::Answer Host::best_of(const std::vector<Answer>& answers,
                           const ComponentRequest& request) const {
  const std::string source = quoted(request.source.given());
  std::vector<Answer> wanted;
  std::copy_if(answers.begin(), answers.end(), std::back_inserter(wanted),
               [&](const Answer& answer) {
                 return !request.component || answer.entry->info->component == *request.component;
               });
  if (answers.empty() || answers.front().probe.confidence == 0) {
    std::string reasons = answers.empty()
                              ? ": none takes " + std::string(words(request.source.kind()))
                              : std::string();
    for (const Answer& answer : wanted.empty() ? answers : wanted) {
      reasons += (reasons.empty() ? ": " : "; ") + answer.words();
    }
    throw Error(ErrorKind::input, "exporter.none", "no exporter understands " + source + reasons,
                refused_.empty() ? std::string() : std::string(kRefusedHint));
  }
  const Answer& best = answers.front();
  const int offered = wanted.empty() ? 0 : wanted.front().probe.confidence;
  // The role that was asked for decides as long as nobody is sure of another one.
  if (offered == 0 || (offered < best.probe.confidence && best.probe.confidence >= kSure)) {
    throw Error(ErrorKind::input, "exporter.component",
                source + " is no component " + quoted(*request.component) + " but a component " +
                    quoted(best.entry->info->component) + ": " + best.words(),
                "give it where a component " + quoted(best.entry->info->component) +
                    " is expected, or name the exporter that is to take it");
  }
  if (wanted.size() > 1 && wanted[1].probe.confidence == wanted[0].probe.confidence) {
    throw Error(ErrorKind::input, "exporter.tie",
                "two exporters understand " + source + " equally well: " + wanted[0].words() +
                    "; " + wanted[1].words(),
                "name the one that is to take it");
  }
  return wanted.front();
}

PreparedComponent Host::prepare(const ComponentRequest& request) const {
  const Answer answer = choose(request);
  const Entry& entry = *answer.entry;
  const FoundPlugin& plugin = found_[entry.plugin];
  const ExportRequest call{request.source, check_options("exporter " + quoted(entry.info->name),
                                                         entry.info->options, request.options)};
  Context context(*this);
  LineFailure failure;
  Component component = exporter(entry).prepare(call, context, failure);
  const auto culprit = [&] {
    return path_text(plugin.library) + ": exporter " + quoted(entry.info->name);
  };
  if (failure.failed) raise_failure(failure, culprit());
  if (component.role != entry.info->component) {
    throw Error(ErrorKind::plugin, "plugin.component",
                culprit() + " made a component " + quoted(component.role) + ", it announced " +
                    quoted(entry.info->component));
  }
  return {std::move(component), *entry.info,    plugin.info.version, plugin.library,
          answer.probe,         request.source, call.options};
}

std::vector<StageKindInfo> Host::stage_kinds() const {
  std::vector<StageKindInfo> kinds;
  for (const FoundPlugin& plugin : found_) {
    kinds.insert(kinds.end(), plugin.info.stages.begin(), plugin.info.stages.end());
  }
  return kinds;
}

std::vector<OptionValue> Host::check_stage_options(const std::string& kind,
                                                   const std::vector<OptionValue>& given) const {
  for (const StageKindInfo& info : stage_kinds()) {
    if (info.name == kind) {
      return check_options("the kind of stage " + quoted(kind), info.options, given);
    }
  }
  throw Error(ErrorKind::internal, "stage.kind", "no plugin offers the stage " + quoted(kind));
}

StageOutcome Host::run_stage(const std::string& kind, const StageRequest& request,
                             StageContext& context) const {
  for (const FoundPlugin& plugin : found_) {
    for (std::size_t i = 0; i < plugin.info.stages.size(); ++i) {
      if (plugin.info.stages[i].name != kind) continue;
      LineFailure failure;
      StageOutcome outcome = load(plugin).stages()[i]->run(request, context, failure);
      if (failure.failed) {
        raise_failure(failure, path_text(plugin.library) + ": stage " + quoted(kind));
      }
      return outcome;
    }
  }
  throw Error(ErrorKind::internal, "stage.kind", "no plugin offers the stage " + quoted(kind));
}

bool Host::can_run(const std::string& exporter) const {
  return std::ranges::any_of(found_, [&](const FoundPlugin& plugin) {
    return std::ranges::any_of(plugin.info.codecs, [&](const CodecLoaderInfo& info) {
      return std::ranges::count(info.exporters, exporter) != 0;
    });
  });
}

std::unique_ptr<Codec> Host::load_codec(const PreparedComponent& component,
                                        const CodecOptions& options) const {
  for (const FoundPlugin& plugin : found_) {
    for (std::size_t i = 0; i < plugin.info.codecs.size(); ++i) {
      const CodecLoaderInfo& info = plugin.info.codecs[i];
      if (std::ranges::count(info.exporters, component.exporter.name) == 0) continue;
      const std::string culprit = path_text(plugin.library) + ": codec " + quoted(info.name);
      LineFailure failure;
      std::unique_ptr<LineCodec> codec =
          load(plugin).codecs()[i]->load(component.component.package, options, failure);
      if (failure.failed) raise_failure(failure, culprit);
      return std::make_unique<RemoteCodec>(std::move(codec), culprit);
    }
  }
  throw Error(ErrorKind::plugin, "codec.none",
              "no plugin runs components of exporter " + quoted(component.exporter.name),
              refused_.empty() ? "'craftbundle plugins list' shows what there is"
                               : std::string(kRefusedHint));
}

std::shared_ptr<const Checkpoint> Host::open(const Path& path) const {
  // Two threads may open the same file at the same time; the first to finish is shared.
  const std::string key = identity(path).value_or(path.string());
  const auto shared = [&] {
    const std::lock_guard lock(mutex_);
    return checkpoints_[key].lock();
  };
  if (std::shared_ptr<const Checkpoint> known = shared()) return known;
  std::shared_ptr<const Checkpoint> opened = Checkpoint::open(path);
  const std::lock_guard lock(mutex_);
  std::weak_ptr<const Checkpoint>& place = checkpoints_[key];
  if (std::shared_ptr<const Checkpoint> known = place.lock()) return known;
  place = opened;
  return opened;
}

}  // namespace craftbundle
