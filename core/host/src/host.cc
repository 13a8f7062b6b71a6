#include "craftbundle/detail/host/host.h"

#include <sys/stat.h>

#include <algorithm>
#include <boost/filesystem/directory.hpp>
#include <charconv>
#include <set>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/fault.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/host/library.h"
#include "craftbundle/detail/host/scan.h"
#include "craftbundle/detail/plugin/plugin.h"
#include "offers.h"
#include "plugin_info.h"
#include "remote_codec.h"
#include "requirements.h"
#include "sidecar_file.h"

namespace craftbundle {
namespace {

constexpr std::size_t kShownReason = 600;
constexpr std::string_view kConfigHint =
    "weights without a configuration: say with --config-from which model has it, a bundle, an "
    "exported file, a checkpoint or a configuration as YAML";
constexpr std::string_view kObjectHint =
    "save the state_dict() of the module instead of the module, and say with --config-from which "
    "model has its configuration";
constexpr std::string_view kRefusedHint =
    "some plugin libraries were refused: 'craftbundle plugins list' says why";

// Device and inode, which tell files apart whatever their names; nullopt when there is no file.
std::optional<std::string> identity(const Path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

// Plugin libraries in a directory, in order of their names. One that is missing or closed to this
// user has none; when the machine is at fault, plugins would be missing without a reason.
std::vector<Path> libraries_in(const SearchDirectory& directory, Sink& sink) {
  std::vector<Path> result;
  boost::system::error_code failure;
  boost::filesystem::directory_iterator entry(directory.path, failure);
  while (!failure && entry != boost::filesystem::directory_iterator()) {
    const Path& path = entry->path();
    if (path.extension() == ".so" && !path.stem().empty()) result.push_back(path);
    entry.increment(failure);
  }
  if (failure) {
    const Error error = system_error(failure.value(), path_text(directory.path));
    const std::string what =
        "plugin directory " + path_text(directory.path) + " (" + directory.origin + ")";
    if (is_fault_of_machine(error)) {
      throw Error(error.kind(), error.code(), error.bare_message(), error.hint()).add_context(what);
    }
    const bool asked_for = directory.origin == "--plugin-dir";
    if (asked_for || failure != boost::system::errc::no_such_file_or_directory) {
      sink.log(LogLevel::warning, what + " cannot be read: " + failure.message());
    }
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

std::vector<std::string> pretrained_names_of(const ExporterInfo& info) {
  std::vector<std::string> names;
  for (const AcceptedSource& accepted : info.accepts) {
    if (accepted.kind != AcceptedSource::Kind::pretrained) continue;
    names.insert(names.end(), accepted.names.begin(), accepted.names.end());
  }
  return names;
}

bool takes_files(const ExporterInfo& info, const std::vector<std::string>& files) {
  return std::ranges::any_of(info.accepts, [&](const AcceptedSource& accepted) {
    return accepted.kind == AcceptedSource::Kind::directory && fits(accepted, files);
  });
}

// Why the exporter's code need not be asked about a source of a kind it takes, by what it declares;
// nullopt: it has to be.
std::optional<std::string> why_not_asked(const ExporterInfo& info, const Source& source) {
  switch (source.kind()) {
    case AcceptedSource::Kind::checkpoint:
      break;
    case AcceptedSource::Kind::model:
      // A model names the exporter whose rules it follows, unless its files do not tell.
      if (source.model().family.empty() || source.model().family == info.name) break;
      return "the model is one of " + quoted(source.model().family);
    case AcceptedSource::Kind::pretrained: {
      const std::vector<std::string> names = pretrained_names_of(info);
      if (std::ranges::any_of(
              names, [&](const std::string& pattern) { return matches(pattern, source.name()); })) {
        break;
      }
      return "takes other names: " + list_text(names);
    }
    case AcceptedSource::Kind::directory: {
      if (takes_files(info, source.directory().files())) break;
      std::string sets;
      for (const AcceptedSource& accepted : info.accepts) {
        if (accepted.kind != AcceptedSource::Kind::directory) continue;
        sets += (sets.empty() ? "" : ", or ") + list_text(accepted.names);
      }
      return "takes directories of other files: " + sets;
    }
  }
  return std::nullopt;
}

std::string_view words(AcceptedSource::Kind kind) {
  switch (kind) {
    case AcceptedSource::Kind::checkpoint:
      return "files";
    case AcceptedSource::Kind::pretrained:
      return "pretrained names";
    case AcceptedSource::Kind::model:
      return "models of other layouts";
    case AcceptedSource::Kind::directory:
      return "directories";
  }
  return "files";
}

bool holds_tensor(Object dict) {
  if (!dict.is(Kind::dict)) return false;
  for (const DictView::Entry entry : dict.entries()) {
    if (Checkpoint::is_tensor(entry.value)) return true;
  }
  return false;
}

// Whether the source has tensors by name, at its root or one dict down, and no configuration.
bool is_bare(const Source& source) {
  if (source.kind() != AcceptedSource::Kind::checkpoint) return false;
  const Object root = source.checkpoint().root();
  if (!root.is(Kind::dict)) return false;
  bool found = holds_tensor(root);
  for (const DictView::Entry entry : root.entries()) {
    if (Config::is_config(entry.value)) return false;
    found = found || holds_tensor(entry.value);
  }
  return found;
}

// Whether it is what torch.save(model) writes.
bool is_object(const Source& source) {
  return source.kind() == AcceptedSource::Kind::checkpoint &&
         source.checkpoint().root().is(Kind::call) &&
         !Checkpoint::is_tensor(source.checkpoint().root());
}

// Throws when `plugin` offers a name that `earlier` offers.
void refuse_duplicates(const FoundPlugin& earlier, const FoundPlugin& plugin) {
  plugin.info.for_each_kind([&]<typename Info>(const std::vector<Info>& offered) {
    for (const Info& info : offered) {
      if (std::ranges::count(earlier.info.offers<Info>(), info.name, &Info::name) == 0) continue;
      throw Error(ErrorKind::plugin, "plugin.duplicate",
                  "offers the " + std::string(Info::kKind) + " " + quoted(info.name) + ", which " +
                      path_text(earlier.library) + " (" + earlier.origin + ") offers already",
                  "remove one of the two")
          .add_context(path_text(plugin.library));
    }
  });
}

// The files of a bundle's directory that the source lies in. A checkpoint is the source itself.
void add_files_of(const Source& source, FileReader& reader) {
  if (source.place() == nullptr) return;
  for (const std::string& name : source.place()->files) {
    const Path path = source.place()->directory / name;
    const bool is_itself = source.kind() == AcceptedSource::Kind::checkpoint &&
                           source.checkpoint().file().path() == path;
    if (!is_itself) reader.add(std::make_shared<const InputFile>(path));
  }
}

FoundOffer<StageKindInfo> find_stage(const Host& host, const std::string& kind) {
  for (const auto& offer : host.offers<StageKindInfo>()) {
    if (offer.info->name == kind) return offer;
  }
  throw Error(ErrorKind::internal, "stage.kind", "no plugin offers the stage " + quoted(kind));
}

}  // namespace

std::optional<Path> directory_of(const Source& source) {
  if (source.place() != nullptr) return source.place()->directory;
  switch (source.kind()) {
    case AcceptedSource::Kind::checkpoint:
      return source.checkpoint().file().path().parent_path();
    case AcceptedSource::Kind::directory:
      return source.directory().path();
    case AcceptedSource::Kind::pretrained:
    case AcceptedSource::Kind::model:
      break;
  }
  return std::nullopt;
}

// What an exporter says of a source.
struct Host::Answer {
  Entry entry;
  Probe probe;

  std::string words() const {
    return entry.info->name + " (" + std::to_string(probe.confidence) + "%): " + probe.reason;
  }
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
}

Host::~Host() = default;

bool Host::scan(const Path& library, const std::string& origin) {
  const ScanOptions options{options_.scanner, options_.scan_limit, options_.cancellation};
  try {
    const Path real = check_library_file(library);
    check_requirements(real);
    add({real, origin, describe(real, options)});
    return true;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted || is_fault_of_machine(error)) throw;
    refuse(library, origin, error);
    return false;
  }
}

void Host::add(FoundPlugin plugin) {
  for (const FoundPlugin& earlier : found_) refuse_duplicates(earlier, plugin);
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

Probe Host::ask(const Entry& entry, const Source& source) const {
  if (const auto reason = why_not_asked(*entry.info, source)) return {0, *reason};
  try {
    Probe probe =
        is_own(entry.plugin->library) ? ask_here(entry, source) : ask_apart(entry, source);
    if (probe.confidence < 0 || probe.confidence > 100) {
      return {0, "is confident by " + std::to_string(probe.confidence) + ", expected 0 to 100"};
    }
    probe.reason = printable(probe.reason, kShownReason);
    return probe;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted || is_fault_of_machine(error)) throw;
    const std::string reason = "cannot be asked: " + printable(error.message(), kShownReason);
    options_.sink->log(LogLevel::warning, "exporter " + quoted(entry.info->name) + " " + reason);
    return {0, reason};
  }
}

Probe Host::ask_here(const Entry& entry, const Source& source) const {
  const Guarded<Exporter>& exporter = object<Exporter>(entry);
  const PluginCallMark mark(culprit(entry), "probe()");
  return exporter.call([&](const Exporter& asked) { return asked.probe(source); });
}

Probe Host::ask_apart(const Entry& entry, const Source& source) const {
  const auto given_up = [&]() -> std::optional<Error> {
    const std::lock_guard lock(mutex_);
    const auto known = given_up_.find(entry.info->name);
    return known == given_up_.end() ? std::nullopt : std::optional(known->second);
  };
  if (const auto error = given_up()) throw Error(*error);
  const bool is_directory = source.kind() == AcceptedSource::Kind::directory;
  try {
    const std::vector<std::string> said =
        run_apart(*entry.plugin, culprit(entry), "probe()", options_.scan_limit, [&] {
          const Probe probe = ask_here(entry, source);
          std::vector<std::string> answer = {std::to_string(probe.confidence), probe.reason};
          if (!is_directory) return answer;
          for (const auto& file : source.directory().read()) {
            answer.push_back(file->path().filename().string());
          }
          return answer;
        });
    // What it has read there counts as read here.
    for (std::size_t i = 2; is_directory && i < said.size(); ++i) source.directory().text(said[i]);
    int confidence = -1;
    std::from_chars(said.at(0).data(), said.at(0).data() + said.at(0).size(), confidence);
    return {confidence, said.at(1)};
  } catch (const Error& error) {
    // Others would have to wait for it as long each time.
    if (error.code() == "plugin.hang") {
      const std::lock_guard lock(mutex_);
      given_up_.emplace(entry.info->name, error);
    }
    throw;
  }
}

std::vector<Host::Answer> Host::ask(const Source& source) const {
  std::vector<Answer> answers;
  for (const Entry& entry : offers<ExporterInfo>()) {
    if (takes_kind(*entry.info, source.kind())) answers.push_back({entry, ask(entry, source)});
  }
  std::stable_sort(answers.begin(), answers.end(), [](const Answer& a, const Answer& b) {
    return a.probe.confidence > b.probe.confidence;
  });
  return answers;
}

std::vector<Candidate> Host::probe(const Source& source) const {
  std::vector<Candidate> candidates;
  for (const Answer& answer : ask(source)) {
    candidates.push_back({answer.entry.info->name, answer.entry.info->component, answer.probe});
  }
  return candidates;
}

std::vector<std::string> Host::pretrained_names() const {
  std::set<std::string> names;
  for (const Entry& entry : offers<ExporterInfo>()) {
    for (std::string& name : pretrained_names_of(*entry.info)) names.insert(std::move(name));
  }
  return {names.begin(), names.end()};
}

bool Host::takes_directory(const std::vector<std::string>& files) const {
  return std::ranges::any_of(offers<ExporterInfo>(),
                             [&](const Entry& entry) { return takes_files(*entry.info, files); });
}

bool Host::takes_directory(const std::shared_ptr<const SourceDirectory>& directory) const {
  if (!takes_directory(directory->files())) return false;
  if (!layout_of(directory->path())) return true;
  const std::vector<Answer> answers =
      ask(Source::of_directory(directory->path().string(), directory));
  return !answers.empty() && answers.front().probe.confidence >= kSureConfidence;
}

Host::Entry Host::find(const std::string& name) const {
  std::vector<std::string> names;
  for (const Entry& entry : offers<ExporterInfo>()) {
    if (entry.info->name == name) return entry;
    names.push_back(entry.info->name);
  }
  std::string hint = did_you_mean(name, names);
  if (hint.empty() && !refused_.empty()) hint = kRefusedHint;
  throw Error(ErrorKind::usage, "exporter.unknown",
              "there is no exporter " + quoted(name) +
                  (names.empty() ? "; no plugin was found" : "; there is " + list_text(names, 32)),
              std::move(hint));
}

Host::Answer Host::choose(const ComponentRequest& request) const {
  const std::string source = quoted(request.source.given());
  if (request.exporter) {
    const Entry entry = find(*request.exporter);
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
    return {entry, ask(entry, request.source)};
  }
  const bool as_is = std::ranges::any_of(request.options, [](const OptionValue& option) {
    return option.name == kAsIsOption && option.value == "true";
  });
  return as_is ? choose_as_is(request) : best_of(ask(request.source), request);
}

// Of those that declare the option and take the role, the one that knows most.
Host::Answer Host::choose_as_is(const ComponentRequest& request) const {
  const std::string source = quoted(request.source.given());
  std::vector<Answer> able;
  std::vector<std::string> roles;
  for (Answer& answer : ask(request.source)) {
    const ExporterInfo& info = *answer.entry.info;
    if (std::ranges::count(info.options, kAsIsOption, &OptionSpec::name) == 0) continue;
    roles.push_back(info.component);
    if (!request.component || info.component == *request.component) {
      able.push_back(std::move(answer));
    }
  }
  std::ranges::sort(roles);
  if (able.empty()) {
    throw Error(ErrorKind::usage, "exporter.as_is",
                "no exporter takes " + source + " as it is" +
                    (request.component ? " as a component " + quoted(*request.component) : "") +
                    (roles.empty() ? std::string() : ": there is one for " + list_text(roles)),
                "leave the option " + std::string(kAsIsOption) + " out")
        .about("option:" + std::string(kAsIsOption));
  }
  // Whoever was not asked for a role must be the only one that sees anything in it.
  const bool is_clear = request.component ? able.size() == 1 || able.front().probe.confidence >
                                                                    able[1].probe.confidence
                                          : able.front().probe.confidence > 0 &&
                                                (able.size() == 1 || able[1].probe.confidence == 0);
  if (is_clear) return able.front();
  throw Error(ErrorKind::usage, "exporter.role",
              "what " + source + " is cannot be told from it: " + able.front().probe.reason,
              "say which component it is, " + list_text(roles) + ": --component ROLE");
}

Host::Answer Host::best_of(const std::vector<Answer>& answers,
                           const ComponentRequest& request) const {
  const std::string source = quoted(request.source.given());
  std::vector<Answer> wanted;
  std::copy_if(answers.begin(), answers.end(), std::back_inserter(wanted),
               [&](const Answer& answer) {
                 return !request.component || answer.entry.info->component == *request.component;
               });
  if (answers.empty() || answers.front().probe.confidence == 0) {
    std::string reasons = answers.empty()
                              ? ": none takes " + std::string(words(request.source.kind()))
                              : std::string();
    const std::vector<Answer>& asked = wanted.empty() ? answers : wanted;
    const bool agreed = asked.size() > 1 && std::ranges::all_of(asked, [&](const Answer& answer) {
                          return answer.probe.reason == asked.front().probe.reason;
                        });
    if (agreed) reasons = ": " + asked.front().probe.reason;
    for (const Answer& answer : asked) {
      if (agreed) break;
      reasons += (reasons.empty() ? ": " : "; ") + answer.words();
    }
    std::string hint = refused_.empty() ? std::string() : std::string(kRefusedHint);
    if (hint.empty() && is_bare(request.source)) hint = kConfigHint;
    if (hint.empty() && is_object(request.source)) hint = kObjectHint;
    throw Error(ErrorKind::input, "exporter.none", "no exporter understands " + source + reasons,
                std::move(hint));
  }
  const Answer& best = answers.front();
  const int offered = wanted.empty() ? 0 : wanted.front().probe.confidence;
  // The role that was asked for decides as long as nobody is sure of another one.
  if (offered == 0 ||
      (offered < best.probe.confidence && best.probe.confidence >= kSureConfidence)) {
    throw Error(ErrorKind::input, "exporter.component",
                source + " is no component " + quoted(*request.component) + " but a component " +
                    quoted(best.entry.info->component) + ": " + best.words(),
                "give it where a component " + quoted(best.entry.info->component) +
                    " is expected, or name the exporter that is to take it")
        .about(kRoleSubject);
  }
  if (wanted.size() > 1 && wanted[1].probe.confidence == wanted[0].probe.confidence) {
    throw Error(ErrorKind::input, "exporter.tie",
                "two exporters understand " + source + " equally well: " + wanted[0].words() +
                    ", of " + path_text(wanted[0].entry.plugin->library) + "; " +
                    wanted[1].words() + ", of " + path_text(wanted[1].entry.plugin->library),
                "name the one that is to take it: --exporter " + wanted[0].entry.info->name +
                    " or --exporter " + wanted[1].entry.info->name + "; for a bundle --for " +
                    wanted[0].entry.info->component + ":exporter=" + wanted[0].entry.info->name +
                    ", in a script 'exporter: " + wanted[0].entry.info->name + "'");
  }
  return wanted.front();
}

PreparedComponent Host::prepare(const ComponentRequest& request) const {
  const Answer answer = choose(request);
  const Entry& entry = answer.entry;
  // What the caller understands beside what the exporter declares.
  std::vector<OptionSpec> declared = entry.info->options;
  for (const OptionSpec& further : request.further_options) {
    if (std::ranges::count(declared, further.name, &OptionSpec::name) == 0) {
      declared.push_back(further);
    }
  }
  std::vector<OptionValue> options =
      check_options("exporter " + quoted(entry.info->name), declared, request.options);
  const std::size_t own = entry.info->options.size();
  for (std::size_t i = 0; i < declared.size(); ++i) {
    // To the exporter, relative paths would start at the source.
    const bool is_given_on = i < own || !request.directory.empty();
    if (declared[i].type != OptionSpec::Type::files || !is_given_on) continue;
    options[i].value = absolute_files(options[i].value, request.directory);
  }
  const ExportRequest checked{
      request.source, {options.begin(), options.begin() + static_cast<std::ptrdiff_t>(own)}};
  using Context = ReadingContext<ExportContext>;
  const auto open_file = [this](const Path& path) { return open(path); };
  const auto prepare_in = [&](Context& context) {
    return call(object<Exporter>(entry), culprit(entry), "prepare()",
                [&](const Exporter& exporter) { return exporter.prepare(checked, context); });
  };
  rehearse(*entry.plugin, culprit(entry), "prepare()", [&] {
    Context context(directory_of(request.source), open_file, Sink::none(), Cancellation::never());
    prepare_in(context);
  });
  Context context(directory_of(request.source), open_file, *options_.sink, cancellation());
  Component component = prepare_in(context);
  escape(component);
  if (component.role != entry.info->component) {
    throw Error(ErrorKind::plugin, "plugin.component",
                culprit(entry) + " made a component " + quoted(component.role) + ", it announced " +
                    quoted(entry.info->component));
  }
  if (const auto problem = find_problem(component)) {
    throw Error(ErrorKind::plugin, "plugin.facts", culprit(entry) + ": " + *problem);
  }
  if (auto* model = std::get_if<Model>(&component.content); model && model->family.empty()) {
    model->family = entry.info->name;
  }
  if (request.source.kind() == AcceptedSource::Kind::directory) {
    for (auto& file : request.source.directory().read()) {
      context.reader().add(std::move(file));
    }
  }
  add_files_of(request.source, context.reader());
  return {std::move(component),
          *entry.info,
          entry.plugin->info.version,
          entry.plugin->library,
          answer.probe,
          request.source,
          std::move(options),
          context.reader().read(),
          request.exporter.has_value()};
}

bool PreparedComponent::is_guess() const {
  // Without confidence nobody was asked: it was made otherwise.
  return source.kind() == AcceptedSource::Kind::pretrained && !exporter_named &&
         probe.confidence > 0 && probe.confidence < kSureConfidence;
}

std::vector<StageKindInfo> Host::stage_kinds() const {
  std::vector<StageKindInfo> kinds;
  for (const auto& offer : offers<StageKindInfo>()) kinds.push_back(*offer.info);
  return kinds;
}

std::vector<OptionValue> Host::check_stage_options(const std::string& kind,
                                                   const std::vector<OptionValue>& given) const {
  return check_options("the kind of stage " + quoted(kind), find_stage(*this, kind).info->options,
                       given);
}

StageOutcome Host::run_stage(const std::string& kind, const StageRequest& request,
                             StageContext& context) const {
  const FoundOffer<StageKindInfo> offer = find_stage(*this, kind);
  StageOutcome outcome = call(object<StageKind>(offer), culprit(offer), "run()",
                              [&](const StageKind& stage) { return stage.run(request, context); });
  escape(outcome);
  return outcome;
}

std::optional<FoundOffer<CodecLoaderInfo>> Host::loader_of(const std::string& family) const {
  for (const auto& offer : offers<CodecLoaderInfo>()) {
    if (std::ranges::count(offer.info->exporters, family) != 0) return offer;
  }
  return std::nullopt;
}

bool Host::can_run(const std::string& family) const { return loader_of(family).has_value(); }

FoundOffer<CodecLoaderInfo> Host::require_codec(const Component& component) const {
  const Model* model = component.model();
  if (model == nullptr) {
    throw Error(ErrorKind::input, "codec.unsupported",
                "the component is a reference to " +
                    quoted(std::get<Reference>(component.content).name) + " and holds no weights",
                "give the weights themselves: a training checkpoint or an exported codec");
  }
  if (const auto offer = loader_of(model->family)) return *offer;
  throw Error(ErrorKind::plugin, "codec.none",
              "no plugin runs components of exporter " + quoted(model->family),
              refused_.empty() ? "'craftbundle plugins list' shows what there is"
                               : std::string(kRefusedHint));
}

// The first one found runs it. Who has several is told which, and what decides.
void Host::name_other_loaders(const FoundOffer<CodecLoaderInfo>& taken,
                              const std::string& family) const {
  for (const auto& offer : offers<CodecLoaderInfo>()) {
    if (offer.info == taken.info || std::ranges::count(offer.info->exporters, family) == 0) {
      continue;
    }
    options_.sink->log(LogLevel::warning, "models of " + quoted(family) + " are run by " +
                                              culprit(taken) + ", and not by " + culprit(offer) +
                                              ", which is found later: --plugin-dir " +
                                              path_text(offer.plugin->library.parent_path()) +
                                              " would put it first");
  }
}

std::unique_ptr<Codec> Host::load_codec(const Component& component,
                                        const CodecOptions& options) const {
  const FoundOffer<CodecLoaderInfo> offer = require_codec(component);
  name_other_loaders(offer, component.model()->family);
  const Guarded<CodecLoader>& loader = object<CodecLoader>(offer);
  std::unique_ptr<Codec> codec =
      call(loader, culprit(offer), "load()",
           [&](const CodecLoader& with) { return with.load(*component.model(), options); });
  return std::make_unique<RemoteCodec>(loader.adopt(std::move(codec)), culprit(offer));
}

std::unique_ptr<AudioReader> Host::open_audio(std::shared_ptr<const InputFile> file) const {
  if (options_.open_audio) return options_.open_audio(std::move(file));
  throw Error(ErrorKind::usage, "audio.none", "this program reads no audio files");
}

std::shared_ptr<const Checkpoint> Host::open(const Path& path) const {
  // Two threads may open the same file at the same time; the first to finish is shared. Under
  // another name it is another checkpoint: other files lie beside it.
  const std::string key = identity(path).value_or("") + " " + path.string();
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
