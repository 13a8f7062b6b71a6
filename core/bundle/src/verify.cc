#include "craftbundle/detail/bundle/verify.h"

#include <algorithm>
#include <boost/filesystem.hpp>
#include <deque>
#include <limits>
#include <map>
#include <set>
#include <string_view>
#include <unordered_set>

#include "counted_tensor.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/fault.h"
#include "craftbundle/detail/base/heartbeat.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/bundle.h"
#include "craftbundle/detail/bundle/embed.h"
#include "craftbundle/detail/bundle/read.h"
#include "craftbundle/detail/bundle/transform.h"
#include "craftbundle/detail/checkpoint/container.h"
#include "craftbundle/detail/checkpoint/loading.h"
#include "craftbundle/detail/io/read_through.h"
#include "craftbundle/detail/io/sha256.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

using Outcome = Finding::Outcome;
using Depth = VerifyOptions::Depth;

constexpr const char* kMixedUp =
    "the files are mixed up: give each the name of its component, or make the bundle again";
constexpr const char* kExportIt = "'craftbundle export' makes a file of it that loads";
constexpr const char* kGiveSource = "give the file that it was made from";

// Checks of the structure come before those of the contents, for all files; people see what was
// found file by file, in the order of the checks.
struct PlacedFinding {
  std::size_t item = 0;
  std::size_t check = 0;
  Finding finding;
};

// What is looked at in one go: the files of a bundle, or a single file.
struct Subject {
  const Host& host;
  const VerifyOptions& options;
  Path path;
  std::optional<BundleListing> listing = {};  // of a bundle
  Verification result = {};
  std::vector<PlacedFinding> findings = {};
};

// A file, or the bundle as a whole, and what checks have made of it so far.
struct Item {
  Item(std::string name, Path file) : where(std::move(name)), path(std::move(file)) {}

  std::string where;  // its name, printable; empty: the bundle as a whole
  Path path;
  const ManifestFile* stated = nullptr;         // what the manifest says of the file
  const BundleListing::Entry* entry = nullptr;  // of a component of a bundle
  bool is_component = true;
  bool is_there = false;
  std::optional<InputFile> input = {};
  std::size_t number = 0;    // in the order of the findings
  bool size_agrees = false;  // with the manifest
  std::optional<RoleSource> source = {};
  VerifiedComponent component = {};

  // What was found out while the file was read once.
  std::string sha256 = {};
  std::optional<RecordSums> sums = {};      // of a zip file
  std::optional<Error> unsound = {};        // why there are none
  std::optional<Error> unread = {};         // why not all of the file could be read
  std::vector<CountedTensor> tensors = {};  // of the component, whatever file they lie in
  std::map<const TensorFile*, const Item*> read_with = {};  // those that were read as items

  const Checkpoint* checkpoint() const {
    const bool is_file = source->source.kind() == AcceptedSource::Kind::checkpoint;
    return is_file ? &source->source.checkpoint() : nullptr;
  }
};

// A check at work on an item.
struct Run {
  Subject& subject;
  Item& item;
  std::size_t check;
  std::string hint;  // for failures, unless they have one of their own

  void add(Outcome outcome, const std::string& where, std::string_view code, std::string text,
           std::string advice) {
    subject.findings.push_back(
        {item.number,
         check,
         {outcome, where, std::string(code), std::move(text), std::move(advice)}});
  }
  void holds(std::string text) { add(Outcome::holds, item.where, {}, std::move(text), {}); }
  void warns(std::string text, std::string_view code = {}) {
    add(Outcome::warns, item.where, code, std::move(text), {});
  }
  void fails(std::string_view code, std::string text) { fails(code, std::move(text), hint); }
  void fails(std::string_view code, std::string text, std::string advice) {
    add(Outcome::fails, item.where, code, std::move(text), std::move(advice));
  }

  const Cancellation& cancellation() const { return *subject.options.cancellation; }
};

// --- The bundle as a whole ---------------------------------------------------------------------

void check_manifest(Run& run) {
  run.subject.result.stated = read_manifest(run.subject.path);
  if (run.subject.result.stated) return;
  run.item.where.clear();
  run.warns("there is no " + std::string(kManifestFile) + " to compare sizes and SHA-256 with");
}

// A component that needs another one is of no use alone.
void check_complete(Run& run) {
  if (!run.subject.listing) return;
  const BundleListing& listing = *run.subject.listing;
  const auto& components = run.subject.result.components;
  const bool enough =
      !components.empty() && std::ranges::all_of(components, [](const VerifiedComponent& one) {
        return one.prepared && one.prepared->component.requires_.empty();
      });
  for (const LayoutInfo::Part& part : listing.layout.parts) {
    if (part.role == "*" || listing.has(part.role)) continue;
    // A file of several components does not say that all of them belong to the model.
    if (std::ranges::count(listing.layout.parts, part.file, &LayoutInfo::Part::file) > 1) continue;
    run.add(enough ? Outcome::warns : Outcome::fails, part.file, enough ? "" : "bundle.incomplete",
            "is missing: the bundle has no component " + quoted(part.role), run.hint);
  }
}

void check_facts(Run& run) {
  Verification& result = run.subject.result;
  const std::vector<FitCheck>& fit = result.described.fit;
  for (const FitCheck& check : fit) {
    if (check.outcome == FitCheck::Outcome::differs) {
      run.fails("bundle.mismatch", "does not fit: " + to_string(check));
    } else if (check.outcome == FitCheck::Outcome::agrees) {
      run.holds("fits: " + to_string(check));
    }
  }
  const std::optional<UncheckedFit> unchecked = find_unchecked(fit);
  if (result.described.components.size() > 1 && unchecked) {
    const bool as_is = std::ranges::any_of(
        result.described.components,
        [](const ManifestComponent& component) { return is_as_is(component.options); });
    if (as_is) {
      run.warns(to_string(*unchecked));
    } else {
      run.fails("bundle.unchecked", to_string(*unchecked));
    }
  }
  if (result.stated && result.stated->mismatch_allowed) {
    run.warns("was written with --allow-mismatch");
  }
  if (result.stated && result.stated->check == ContentCheck::structure) {
    run.warns(unchecked_text());
  }
}

// --- Its files ---------------------------------------------------------------------------------

void check_stated(Run& run) {
  const BundleListing::Entry* entry = run.item.entry;
  if (entry == nullptr || entry->stated || !run.subject.result.stated) return;
  run.fails("manifest.unstated", "is there, but the manifest has no word of it");
}

void check_present(Run& run) {
  Item& item = run.item;
  boost::system::error_code ignored;
  item.is_there = fs::exists(item.path, ignored);
  if (item.is_there) return;
  run.fails(
      "manifest.missing",
      "is missing, the manifest has it" +
          (item.entry == nullptr ? std::string() : " as component " + quoted(item.entry->role)));
}

void check_readable(Run& run) {
  Item& item = run.item;
  item.input.emplace(item.path);
  item.component.size = item.input->size();
  run.subject.result.bytes += item.input->size();
}

void check_size(Run& run) {
  const Item& item = run.item;
  if (item.stated == nullptr) return;
  run.item.size_agrees = item.input->size() == item.stated->size;
  if (item.size_agrees) return;
  run.fails("manifest.size", "has " + std::to_string(item.input->size()) +
                                 " bytes, the manifest says " + std::to_string(item.stated->size));
}

void check_sha256(Run& run) {
  const Item& item = run.item;
  if (!item.size_agrees) return;
  if (item.stated->sha256.empty()) {
    return run.holds("size is that of the manifest, which states no SHA-256");
  }
  if (item.unread) throw *item.unread;
  if (item.sha256 == item.stated->sha256) {
    return run.holds("size and SHA-256 are those of the manifest");
  }
  run.fails("manifest.sha256", "has the SHA-256 " + item.sha256 + ", the manifest says " +
                                   printable(item.stated->sha256));
}

void check_sums(Run& run) {
  const Item& item = run.item;
  if (item.unsound) throw *item.unsound;
  if (item.sums && item.sums->count() > 0) {
    if (item.unread) throw *item.unread;
    item.sums->check();
    run.holds("the CRC-32 of " + std::to_string(item.sums->count()) + " records holds");
  } else if (item.source && item.checkpoint() != nullptr) {
    run.warns("has no CRC-32 by which damage of the tensors could be seen");
  }
}

void check_source(Run& run) {
  const Subject& subject = run.subject;
  if (subject.listing) {
    run.item.source = find_source(*subject.listing, run.item.entry->role, subject.host);
    return;
  }
  for (RoleSource& found :
       subject.host.sources_in(std::string(kDefaultLayout), run.item.path, {})) {
    run.item.source = std::move(found);
  }
}

// --- The components in them --------------------------------------------------------------------

void check_names(Run& run) {
  const Checkpoint* checkpoint = run.item.checkpoint();
  if (checkpoint == nullptr) return;
  bool harmless = true;
  for (const GlobalReference& reference : checkpoint->globals()) {
    if (reference.verdict == GlobalReference::Verdict::known) continue;
    harmless = false;
    const std::string place = printable(reference.name) + " (" + printable(reference.where) + ")";
    if (reference.verdict == GlobalReference::Verdict::unsafe) {
      run.fails("pickle.unsafe", "would run code when Python loads it: names " + place);
    } else {
      run.fails("pickle.unknown_name", "names " + place + ", which no loader of models knows",
                "'craftbundle export' makes a copy of it without what is not part of the model");
    }
  }
  if (harmless) run.holds("nothing in the pickle runs code");
}

// How a component has to be read.
std::vector<OptionValue> reading_options(const Subject& subject, const std::string& role) {
  if (subject.options.as_is) return {{std::string(kAsIsOption), "true"}};
  return craftbundle::reading_options(subject.result.stated, role);
}

// Whether an exporter has taken something out of the names of tensors, which loaders do not.
bool has_other_names(const Checkpoint& checkpoint, const Component& component) {
  const Model* model = component.model();
  if (model == nullptr || !checkpoint.root().is(Kind::dict)) return false;
  std::unordered_set<std::string_view> names;
  for (const DictView::Entry entry : checkpoint.root().entries()) {
    if (!entry.value.is(Kind::dict)) continue;
    for (const DictView::Entry named : entry.value.entries()) {
      if (named.key.is(Kind::string)) names.insert(named.key.as_string());
    }
  }
  return std::ranges::any_of(model->tensors, [&](const NamedTensor& named) {
    return !names.contains(std::string_view(named.name));
  });
}

// What the manifest says of a component that an exporter made which is not installed.
const ManifestComponent* made_by_missing(const Subject& subject, const std::string& role) {
  if (!subject.result.stated) return nullptr;
  for (const ManifestComponent& component : subject.result.stated->components) {
    const auto is_maker = [&](const FoundOffer<ExporterInfo>& offer) {
      return offer.info->name == component.exporter;
    };
    if (component.role != role || component.exporter.empty()) continue;
    if (std::ranges::none_of(subject.host.offers<ExporterInfo>(), is_maker)) return &component;
  }
  return nullptr;
}

void check_exporter(Run& run) {
  Item& item = run.item;
  std::optional<std::string> role;
  if (!item.source->role.empty()) role = item.source->role;
  const Heartbeat beat(*run.subject.options.sink, "checking " + item.where,
                       item.input ? item.input->size() : 0);
  PreparedComponent prepared = [&] {
    const ManifestComponent* const made =
        made_by_missing(run.subject, role.value_or(item.component.role));
    try {
      return prepare_component(
          {item.source->source, role, {}, reading_options(run.subject, role.value_or("")), {}},
          run.subject.host);
    } catch (const Error& error) {
      if (made == nullptr || error.kind() == ErrorKind::interrupted || is_fault_of_machine(error)) {
        throw;
      }
      throw Error(ErrorKind::input, "exporter.missing",
                  "was made by exporter " + quoted(made->exporter) +
                      (made->exporter_version.empty()
                           ? std::string()
                           : " of a plugin of version " + printable(made->exporter_version)) +
                      ", which is not installed, and no other understands it",
                  "install that plugin, or name its directory with --plugin-dir");
    }
  }();
  // Why what exporters say of loaders does not hold here.
  std::string obstacle;
  if (const std::optional<Error>& misplaced = item.source->misplaced) {
    if (run.subject.listing) {
      run.fails(misplaced->code(), misplaced->message(), misplaced->hint());
    } else {
      run.add(Outcome::warns, item.where, {}, misplaced->message(), misplaced->hint());
    }
    obstacle = "it is no exported file";
  } else if (item.checkpoint() != nullptr &&
             has_other_names(*item.checkpoint(), prepared.component)) {
    obstacle = "its tensors have other names than those of the model";
    run.fails("state.tensors", obstacle, kExportIt);
  } else if (!joins_layout(run.subject.result.layout, kDefaultLayout)) {
    obstacle = "it reads the layout " + quoted(kDefaultLayout) +
               ", which 'craftbundle convert' makes of this one";
  }
  for (LoaderAnswer& answer : prepared.component.loaders) {
    // A layout is called after the library that reads it.
    if (joins_layout(run.subject.result.layout, answer.loader)) {
      answer = {answer.loader, true, false, "reads the layout " + quoted(answer.loader)};
    } else if (answer.loads && !obstacle.empty()) {
      answer = {answer.loader, false, false, obstacle};
    }
  }
  for (const std::string& check : prepared.component.checks) run.holds(check);
  for (const std::string& warning : prepared.component.warnings) run.warns(warning);
  item.component.prepared = std::move(prepared);
}

// What is in the bundle beside a component of this role.
BundleContents contents_beside(const std::string& role, const Subject& subject) {
  BundleContents contents{subject.result.layout};
  if (!subject.listing) return contents;
  for (const BundleListing::Entry& entry : subject.listing->entries) {
    if (entry.role != role) contents.models.push_back(entry.role);
  }
  contents.has_folder = [&subject](const std::string& name) {
    boost::system::error_code ignored;
    return fs::is_directory(subject.path / name, ignored);
  };
  return contents;
}

void check_fetches(Run& run) {
  Component& component = run.item.component.prepared->component;
  const std::vector<std::string> fetched =
      fetched_for(component, contents_beside(component.role, run.subject));
  for (const std::string& name : fetched) {
    std::vector<std::string>& all = run.subject.result.fetched;
    if (std::ranges::count(all, name) == 0) all.push_back(name);
  }
  if (const auto warning = fetch_warning(component, fetched)) run.warns(*warning);
  if (component.fetches.empty()) return;
  for (LoaderAnswer& answer : component.loaders) {
    if (!answer.loads || !answer.needs_network) continue;
    answer.needs_network = !fetched.empty();
    if (fetched.empty()) continue;
    answer.words += (answer.words.empty() ? "fetches " : "; fetches ") + list_text(fetched);
  }
}

// Whether PyTorch's safe loader takes the file, and what the exporter says of others.
void check_loaders(Run& run) {
  std::vector<LoaderAnswer>& loaders = run.item.component.loaders;
  loaders = run.item.component.prepared->component.loaders;
  const Checkpoint* checkpoint = run.item.checkpoint();
  if (checkpoint == nullptr) return;
  for (const std::string& note : checkpoint->format().notes) run.warns(note);
  const std::vector<std::string> obstacles = weights_only_obstacles(*checkpoint);
  const std::string oldest = oldest_pytorch(*checkpoint);
  LoaderAnswer torch{"torch.load, weights_only", obstacles.empty(), false, {}};
  torch.words = !torch.loads      ? join(obstacles, ", and ")
                : oldest == "any" ? "any PyTorch"
                                  : "PyTorch " + oldest + " and later";
  // Names that are harmless, but no part of an exported file: what training left.
  if (!torch.loads) run.warns("torch.load refuses it: " + torch.words);
  loaders.insert(loaders.begin(), std::move(torch));
}

std::uint64_t bytes_of(const Tensor& tensor) {
  return element_count(tensor.layout.shape).value_or(0) * item_size(tensor.dtype);
}

std::uint64_t bytes_of(const std::vector<NamedTensor>& tensors) {
  std::uint64_t bytes = 0;
  for (const NamedTensor& named : tensors) {
    if (const auto* tensor = std::get_if<Tensor>(&named.tensor)) bytes += bytes_of(*tensor);
  }
  return bytes;
}

// Those of a part that was not read with its file are read here.
ValueCounts counts_of(const CountedTensor& tensor, const Run& run) {
  ValueCounts all;
  for (const CountedPart& part : tensor.parts) {
    const auto file = run.item.read_with.find(part.tensor().storage.owner.get());
    const bool is_read =
        part.range() && file != run.item.read_with.end() && file->second != nullptr;
    if (is_read && file->second->unread) throw *file->second->unread;
    const ValueCounts counts =
        is_read ? part.counts() : count_values(part.tensor(), run.cancellation());
    all.elements += counts.elements;
    all.not_a_number += counts.not_a_number;
    all.infinite += counts.infinite;
    all.zero += counts.zero;
  }
  return all;
}

void check_values(Run& run) {
  constexpr std::uint64_t kMostNamed = 16;  // of the tensors with odd elements
  std::uint64_t sound = 0;
  std::uint64_t odd = 0;
  std::vector<std::string> unknown;
  const Heartbeat beat(*run.subject.options.sink, "elements of " + run.item.where,
                       run.item.component.size);
  for (const CountedTensor& tensor : run.item.tensors) {
    if (!is_convertible(tensor.dtype)) {
      unknown.push_back(tensor.name);
      continue;
    }
    const ValueCounts counts = counts_of(tensor, run);
    const std::string elements =
        std::to_string(counts.elements) + " elements of " + quoted(tensor.name, 200);
    const auto some = [&](std::uint64_t part) {
      return std::to_string(part) + " of " + elements + (part == 1 ? " is " : " are ");
    };
    if (counts.not_a_number + counts.infinite > 0) {
      if (++odd > kMostNamed) continue;
      if (counts.not_a_number > 0) {
        run.fails("values.not_a_number", some(counts.not_a_number) + "not a number");
      }
      if (counts.infinite > 0) run.fails("values.infinite", some(counts.infinite) + "infinite");
      continue;
    }
    ++sound;
    if (is_floating(tensor.dtype) && counts.elements > 1 && counts.zero == counts.elements) {
      run.warns("all " + elements + " are zero", "values.zero");
    }
  }
  if (odd > kMostNamed) {
    run.fails("values.more", std::to_string(odd - kMostNamed) + " more tensors have such elements");
  }
  if (!unknown.empty()) {
    run.warns("the elements of " + list_text(unknown) + " are of types that are not looked at");
  }
  if (odd == 0 && sound > 0) {
    run.holds("the elements of " + counted(sound, "tensor") + " are finite");
  }
}

// What a check needs to have something to look at, in the order in which it comes to be.
enum class Needs {
  directory,
  file,
  present_file,
  readable_file,
  component_file,
  source,
  component,
  bundle,
};

struct Check {
  std::string_view name;
  std::string_view description;
  const char* hint;  // what to do about a failure
  Needs needs;
  Depth depth;
  void (*run)(Run&);
};

constexpr const char* kGetAgain =
    "get the file again from where the bundle was made, or make the bundle again";
constexpr const char* kMakeAgain =
    "make the file again from its checkpoint or pretrained name with 'craftbundle export'";

constexpr Check kChecks[] = {
    {"manifest", "What bundle.json says can be read.",
     "get bundle.json again from where the bundle was made; without it all else is still checked",
     Needs::directory, Depth::structure, &check_manifest},
    {"stated", "The manifest has every component that is there.",
     "remove what does not belong to the bundle, or make the bundle again", Needs::file,
     Depth::structure, &check_stated},
    {"present", "Every file of the manifest is there.", kGetAgain, Needs::file, Depth::structure,
     &check_present},
    {"readable", "It is a file that can be read.", kMakeAgain, Needs::present_file,
     Depth::structure, &check_readable},
    {"size", "Its size is that of the manifest.", kGetAgain, Needs::readable_file, Depth::structure,
     &check_size},
    {"sha256", "Its SHA-256 is that of the manifest.", kGetAgain, Needs::readable_file,
     Depth::contents, &check_sha256},
    {"crc", "The CRC-32 of every record of a zip file holds.", kMakeAgain, Needs::readable_file,
     Depth::contents, &check_sums},
    {"source", "The layout finds a component in it.", kMakeAgain, Needs::component_file,
     Depth::structure, &check_source},
    {"names", "No name in a pickle runs code, and loaders know them all.",
     "do not load it in Python; get the file from someone you trust", Needs::source,
     Depth::structure, &check_names},
    {"exporter",
     "An exporter takes the component: keys, configuration, every tensor and its shape.",
     kMakeAgain, Needs::source, Depth::structure, &check_exporter},
    {"offline", "What loaders fetch by a name is in the bundle.", "make the bundle with --embed",
     Needs::component, Depth::structure, &check_fetches},
    {"loaders", "Loaders take the component as it lies there.", kMakeAgain, Needs::component,
     Depth::structure, &check_loaders},
    {"values", "Every element of its tensors is a finite number.",
     "the training diverged, or numbers were too large for the type: export another checkpoint",
     Needs::component, Depth::contents, &check_values},
    {"complete", "No component of the layout is missing.",
     "copy the file into the directory, or make the bundle again", Needs::bundle, Depth::structure,
     &check_complete},
    {"fit", "What components need is what the others have.",
     "make the bundle of components that belong together", Needs::bundle, Depth::structure,
     &check_facts},
};

bool can_look(const Check& check, const Item& item) {
  switch (check.needs) {
    case Needs::directory:
    case Needs::bundle:
    case Needs::file:
      return true;
    case Needs::present_file:
      return item.is_there;
    case Needs::readable_file:
      return item.input.has_value();
    case Needs::component_file:
      return item.input && item.is_component;
    case Needs::source:
      return item.source.has_value();
    case Needs::component:
      return item.component.prepared.has_value();
  }
  return false;
}

// What can be wrong with the contents becomes a finding; what is wrong with the disk or the
// installation does not.
void run_check(const Check& check, Subject& subject, Item& item) {
  Run run{subject, item, static_cast<std::size_t>(&check - kChecks), check.hint};
  try {
    check.run(run);
  } catch (const Error& error) {
    // A plugin that fails says nothing of the others.
    const bool is_of_plugin =
        error.kind() == ErrorKind::plugin && error.code().starts_with("plugin.");
    if (error.kind() != ErrorKind::input && error.kind() != ErrorKind::mismatch && !is_of_plugin) {
      throw;
    }
    // The host's hint is for those who export.
    const bool mixed_up = error.subject() == kRoleSubject;
    // The path is context; the item's name says as much.
    run.fails(error.code(), error.message_within(path_text(item.path)),
              mixed_up               ? kMixedUp
              : error.hint().empty() ? check.hint
                                     : error.hint());
  }
}

// Makes the checks of this depth whose needs are among [first, last] and met.
void run_checks(Needs first, Needs last, Depth depth, Subject& subject, Item& item) {
  for (const Check& check : kChecks) {
    if (check.needs < first || check.needs > last || !can_look(check, item)) continue;
    if (check.depth == depth) run_check(check, subject, item);
  }
}

// Why `action` refuses what it looks at. Other errors pass.
template <typename Action>
std::optional<Error> refusal_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::input) throw;
    return error;
  }
  return std::nullopt;
}

// Reads a file once, for all that is asked of its contents. `parts` are those of tensors in it.
void read_contents(Subject& subject, Item& item, std::vector<CountedPart*> parts) {
  // What is no zip file is refused by what it is, or is of a PyTorch before 1.6.
  constexpr std::string_view kZip = "PK";
  const InputFile& input = *item.input;
  std::vector<BufferRing::Use> uses;
  Sha256 sum;
  if (item.size_agrees && !item.stated->sha256.empty()) {
    uses.emplace_back([&sum](std::span<const std::byte> bytes) { sum.update(bytes); });
  }
  item.unsound = refusal_of([&] {
    if (input.size() < kZip.size() || input.read_text(0, kZip.size()) != kZip) return;
    uses.push_back(item.sums.emplace(input).use());
  });
  if (!parts.empty()) uses.push_back(count_parts(std::move(parts)));
  if (uses.empty()) return;
  item.unread = refusal_of([&] {
    read_through(input, std::move(uses), *subject.options.cancellation, [&](std::uint64_t done) {
      subject.options.sink->progress({item.where, done, input.size()});
    });
  });
  item.sha256 = sum.digest();
}

// The file that the one called `name` is compared with.
Path original_of(const Path& against, const std::string& name) {
  boost::system::error_code ignored;
  if (!fs::is_directory(against, ignored)) return against;
  Path file = against / name;
  if (fs::exists(file, ignored)) return file;
  throw Error(ErrorKind::usage, "verify.against",
              path_text(against) + " has no " + quoted(name) + " to compare with", kGiveSource);
}

PreparedComponent prepare_original(const Path& path, const std::string& role,
                                   const std::vector<OptionValue>& options, const Host& host) {
  try {
    return host.prepare(
        {Source::of_checkpoint(path.string(), host.open(path)), role, {}, options, {}});
  } catch (const Error& error) {
    // As above.
    if (error.subject() != kRoleSubject) throw;
    throw Error(error.kind(), error.code(), error.message(), kGiveSource);
  }
}

void compare_weights(Subject& subject, Item& item) {
  const Component& found = item.component.prepared->component;
  const Path path = original_of(*subject.options.against, item.where);
  const PreparedComponent original = with_context("the original", [&] {
    return prepare_original(path, found.role, reading_options(subject, found.role), subject.host);
  });
  const Heartbeat beat(*subject.options.sink, "comparing " + item.where,
                       bytes_of(tensors_of(found)));
  TensorComparison comparison =
      compare_tensors(found, original.component, *subject.options.cancellation);
  Run run{subject, item, std::size(kChecks), {}};
  if (!comparison.strangers.empty()) {
    run.fails("verify.against", path_text(path) + " has no tensor to compare with for " +
                                    list_text(comparison.strangers));
  }
  if (comparison.differences.empty()) return;
  double worst = 0;
  for (TensorDifference& difference : comparison.differences) {
    worst = std::max(worst, difference.relative);
    difference.file = item.where;
  }
  run.holds(std::to_string(comparison.differences.size()) + " tensors compared with " +
            path_text(path) + ", largest relative error " + error_text(worst));
  std::ranges::move(comparison.differences, std::back_inserter(subject.result.differences));
}

void read_contents(Subject& subject, std::deque<Item>& items) {
  std::map<const Item*, std::vector<CountedPart*>> parts;  // that lie in the item
  for (Item& item : items) {
    if (!item.component.prepared) continue;
    item.tensors = counted(tensors_of(item.component.prepared->component));
    for (CountedTensor& tensor : item.tensors) {
      for (CountedPart& part : tensor.parts) {
        const TensorFile* const owner = part.tensor().storage.owner.get();
        const auto [file, is_new] = item.read_with.try_emplace(owner);
        if (is_new) {
          for (const Item& one : items) {
            if (one.input && one.input->is_same_file(owner->file())) file->second = &one;
          }
        }
        if (file->second != nullptr && part.range() && is_convertible(tensor.dtype)) {
          parts[file->second].push_back(&part);
        }
      }
    }
  }
  for (Item& item : items) {
    if (item.input) read_contents(subject, item, std::move(parts[&item]));
  }
}

void look_at(std::deque<Item>& items, Subject& subject) {
  std::size_t number = 0;
  for (Item& item : items) {
    item.number = ++number;
    run_checks(Needs::file, Needs::component, Depth::structure, subject, item);
  }
  if (subject.options.depth == Depth::contents) {
    read_contents(subject, items);
    for (Item& item : items) {
      run_checks(Needs::file, Needs::component, Depth::contents, subject, item);
    }
  }
  for (Item& item : items) {
    if (item.component.prepared && subject.options.against) compare_weights(subject, item);
    if (item.is_component) subject.result.components.push_back(std::move(item.component));
  }
}

// A file that is cut off is found so by each check.
void add_new(const Finding& finding, std::vector<Finding>& findings) {
  for (const Finding& known : findings) {
    if (known.outcome == finding.outcome && known.where == finding.where &&
        known.text == finding.text) {
      return;
    }
  }
  findings.push_back(finding);
}

// What is there as exporters see it, and whether it belongs together.
Verification finish(Subject& subject) {
  Verification& result = subject.result;
  std::vector<PreparedComponent> prepared;
  for (const VerifiedComponent& component : result.components) {
    if (component.prepared) prepared.push_back(*component.prepared);
  }
  result.described = describe_bundle(prepared);
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    const Component& component = prepared[i].component;
    ManifestComponent& described = result.described.components[i];
    // Whether it can be loaded depends on the others.
    std::string load_with = std::move(described.load_with);
    described = describe_component(
        prepared[i], fetched_for(component, contents_beside(component.role, subject)));
    described.load_with = std::move(load_with);
  }
  if (result.stated) {
    result.described.layout = result.stated->layout;
    result.described.layout_revision = result.stated->layout_revision;
    result.described.files = result.stated->files;
  }
  Item whole{{}, subject.path};
  whole.number = std::numeric_limits<std::size_t>::max();
  run_checks(Needs::bundle, Needs::bundle, Depth::structure, subject, whole);
  std::ranges::stable_sort(subject.findings, {}, [](const PlacedFinding& placed) {
    return std::pair(placed.item, placed.check);
  });
  for (const PlacedFinding& placed : subject.findings) add_new(placed.finding, result.findings);
  return std::move(result);
}

Verification verify_bundle(Subject subject) {
  const Path& directory = subject.path;
  Item manifest{std::string(kManifestFile), directory / std::string(kManifestFile)};
  run_checks(Needs::directory, Needs::directory, Depth::structure, subject, manifest);
  subject.listing = list_bundle(directory, subject.result.stated, subject.host);
  subject.result.layout = subject.listing->layout.name;
  std::set<std::string> seen;  // names of files
  std::deque<Item> items;
  for (const BundleListing::Entry& entry : subject.listing->entries) {
    Item& item = items.emplace_back(printable(entry.file), directory / entry.file);
    if (entry.stated) item.stated = file_of(*subject.result.stated, entry.role);
    item.entry = &entry;
    item.component.role = entry.role;
    item.component.file = item.where;
    seen.insert(entry.file);
  }
  if (subject.result.stated) {
    for (const ManifestFile& file : subject.result.stated->files) {
      if (!seen.insert(file.name).second) continue;
      Item& item = items.emplace_back(printable(file.name), directory / file.name);
      item.stated = &file;
      item.is_component = false;
    }
  }
  look_at(items, subject);
  return finish(subject);
}

Verification verify_file(Subject subject) {
  std::deque<Item> items;
  Item& item = items.emplace_back(printable(subject.path.filename().string()), subject.path);
  item.component.file = item.where;
  look_at(items, subject);
  return finish(subject);
}

}  // namespace

std::string_view to_string(Finding::Outcome outcome) {
  switch (outcome) {
    case Finding::Outcome::holds:
      return "holds";
    case Finding::Outcome::fails:
      return "fails";
    case Finding::Outcome::warns:
      return "warns";
  }
  return "fails";
}

std::uint64_t Verification::count(Finding::Outcome outcome) const {
  return static_cast<std::uint64_t>(std::ranges::count(findings, outcome, &Finding::outcome));
}

std::vector<std::string> Verification::texts(Finding::Outcome outcome) const {
  std::vector<std::string> result;
  for (const Finding& finding : findings) {
    if (finding.outcome != outcome) continue;
    result.push_back(finding.where.empty() ? finding.text : finding.where + ": " + finding.text);
  }
  return result;
}

bool Verification::any_prepared() const {
  return std::ranges::any_of(components, [](const VerifiedComponent& component) {
    return component.prepared.has_value();
  });
}

std::optional<bool> Verification::is_offline() const {
  if (!any_prepared() || !fetched.empty()) return false;
  const bool known = std::ranges::none_of(
      described.components,
      [](const ManifestComponent& component) { return is_as_is(component.options); });
  return known ? std::optional(true) : std::nullopt;
}

std::vector<const FitCheck*> Verification::not_compared() const {
  std::vector<const FitCheck*> unstated;
  if (described.components.size() < 2) return unstated;
  for (const FitCheck& check : described.fit) {
    if (check.outcome == FitCheck::Outcome::unstated) unstated.push_back(&check);
  }
  return unstated;
}

Verification verify(const Path& path, const Host& host, const VerifyOptions& options) {
  boost::system::error_code ignored;
  if (options.against && !fs::exists(*options.against, ignored)) {
    throw Error(ErrorKind::usage, "verify.against",
                path_text(*options.against) + " is not there to compare with",
                "give the file or directory that " + path_text(path.filename()) + " was made from");
  }
  Subject subject{host, options, path};
  subject.result.depth = options.depth;
  return fs::is_directory(path, ignored) ? verify_bundle(std::move(subject))
                                         : verify_file(std::move(subject));
}

std::vector<VerifyCheck> verify_checks() {
  std::vector<VerifyCheck> checks;
  for (const Check& check : kChecks) checks.push_back({check.name, check.description});
  return checks;
}

}  // namespace craftbundle
