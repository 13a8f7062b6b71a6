#include "craftbundle/bundle/verify.h"

#include <algorithm>
#include <boost/filesystem.hpp>
#include <cmath>
#include <limits>
#include <set>
#include <unordered_map>

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"
#include "craftbundle/bundle/bundle.h"
#include "craftbundle/bundle/read.h"
#include "craftbundle/checkpoint/container.h"
#include "craftbundle/checkpoint/loading.h"
#include "craftbundle/io/sha256.h"
#include "craftbundle/tensor/convert.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

using Outcome = Finding::Outcome;

// Bytes, or as many elements as fit, that are looked at in one go.
constexpr std::size_t kPiece = 1 << 20;

// Tensors among the further data of a file.
void collect_tensors(const Value& value, const std::string& name, std::vector<NamedTensor>& out) {
  if (const auto* tensor = value.get_if<Tensor>()) {
    out.push_back({name, *tensor});
  } else if (const auto* list = value.get_if<Value::List>()) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      collect_tensors((*list)[i], name + "[" + std::to_string(i) + "]", out);
    }
  } else if (const auto* dict = value.get_if<Value::Dict>()) {
    for (const auto& [key, item] : *dict) collect_tensors(item, name + "." + key, out);
  }
}

// All tensors of a component, the model's under their own names.
std::vector<NamedTensor> tensors_of(const Component& component) {
  const Model* model = component.model();
  std::vector<NamedTensor> tensors;
  if (model != nullptr) tensors = model->tensors;
  const Value::Dict& extra =
      model != nullptr ? model->extra : std::get<Reference>(component.content).extra;
  for (const auto& [key, value] : extra) collect_tensors(value, key, tensors);
  return tensors;
}

void count_stored(const Tensor& tensor, const Cancellation& cancellation, ValueCounts& counts) {
  const std::size_t size = item_size(tensor.dtype);
  const std::uint64_t count = element_count(tensor.layout.shape).value_or(0);
  const std::uint64_t first = static_cast<std::uint64_t>(tensor.layout.offset) * size;
  std::vector<std::byte> bytes;
  for (std::uint64_t done = 0; done < count * size; done += bytes.size()) {
    cancellation.check();
    bytes.resize(std::min<std::uint64_t>(kPiece, count * size - done));
    tensor.storage.owner->read(tensor.storage, first + done, bytes);
    count_values(tensor.dtype, bytes, counts);
  }
}

ValueCounts count(const Tensor& tensor, const Cancellation& cancellation) {
  ValueCounts counts;
  if (!is_convertible(tensor.dtype)) return counts;
  if (is_contiguous(tensor.layout)) {
    count_stored(tensor, cancellation, counts);
    return counts;
  }
  const ElementsPtr elements = elements_of(tensor);
  std::vector<double> numbers;
  for (std::uint64_t done = 0; done < elements->size(); done += numbers.size()) {
    cancellation.check();
    numbers.resize(std::min<std::uint64_t>(kPiece / sizeof(double), elements->size() - done));
    elements->read(done, numbers);
    count_values(DType::float64, std::as_bytes(std::span(numbers)), counts);
  }
  return counts;
}

// Sums over the elements of a tensor and its original.
void measure(const Elements& found, const Elements& original, const Cancellation& cancellation,
             TensorDifference& difference) {
  std::vector<double> a;
  std::vector<double> b;
  double squares = 0;
  double errors = 0;
  difference.elements = found.size();
  for (std::uint64_t done = 0; done < found.size(); done += a.size()) {
    cancellation.check();
    a.resize(std::min<std::uint64_t>(kPiece / sizeof(double), found.size() - done));
    b.resize(a.size());
    found.read(done, a);
    original.read(done, b);
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double error = std::abs(a[i] - b[i]);
      // NaN on one side only is as far as can be.
      if (std::isnan(error) && std::isnan(a[i]) == std::isnan(b[i])) continue;
      if (a[i] == b[i]) {
        squares += b[i] * b[i];
        continue;
      }
      const double distance = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
      difference.absolute = std::max(difference.absolute, distance);
      errors += distance * distance;
      squares += b[i] * b[i];
    }
  }
  if (errors > 0) {
    difference.relative = std::isfinite(errors) ? std::sqrt(errors / squares)
                                                : std::numeric_limits<double>::infinity();
  }
}

// The tensors of an original, also as they are once weight norms are folded.
class Originals {
 public:
  explicit Originals(const Component& component) {
    add(tensors_of(component), plain_);
    if (component.model() == nullptr) return;
    try {
      Model folded = *component.model();
      fold_weight_norm(folded);
      add(folded.tensors, folded_);
    } catch (const Error&) {
      // Nothing to fold, which is no fault of an original.
    }
  }

  // nullptr when there is none. `how` is what was done to it, for people.
  ElementsPtr find(const std::string& name, std::string& how) const {
    if (const auto found = plain_.find(name); found != plain_.end()) {
      return elements_of(found->second);
    }
    const auto found = folded_.find(name);
    if (found == folded_.end()) return nullptr;
    how = "folded, ";
    return elements_of(found->second);
  }

 private:
  using ByName = std::unordered_map<std::string, NamedTensor>;
  static void add(std::vector<NamedTensor> tensors, ByName& by_name) {
    for (NamedTensor& named : tensors) {
      std::string name = named.name;
      by_name.emplace(std::move(name), std::move(named));
    }
  }

  ByName plain_;
  ByName folded_;
};

class Verifier {
 public:
  Verifier(const Host& host, const VerifyOptions& options)
      : host_(host), options_(options), cancellation_(*options.cancellation) {}

  Verification bundle(const Path& directory) {
    std::optional<Manifest> manifest;
    attempt(directory / std::string(kManifestFile), std::string(kManifestFile), kManifestAgain,
            [&] { manifest = read_manifest(directory); });
    if (!manifest && result_.findings.empty()) {
      add(Outcome::warns, {}, {},
          "there is no " + std::string(kManifestFile) + " to compare sizes and SHA-256 with");
    }
    const BundleListing bundle = list_bundle(directory, manifest, host_);
    layout_ = bundle.layout.name;
    for (const BundleListing::Entry& entry : bundle.entries) {
      if (!entry.stated && manifest) {
        add(Outcome::fails, entry.file, "manifest.unstated",
            "is there, but the manifest has no word of it",
            "remove what does not belong to the bundle, or make the bundle again");
      }
      check_component(bundle, entry);
    }
    if (manifest) {
      for (const ManifestFile& file : manifest->files) check_further(directory, file);
    }
    check_complete(bundle);
    finish(manifest);
    return std::move(result_);
  }

  Verification file(const Path& path) {
    const std::string name = printable(path.filename().string());
    std::optional<PreparedComponent> prepared;
    attempt(path, name, kMakeAgain, [&] {
      const bool sums = check_bytes(path, name, nullptr);
      for (const RoleSource& source : host_.sources_in(std::string(kDefaultLayout), path, {})) {
        prepared = check_source(source, name, sums, false);
      }
    });
    keep(std::move(prepared), name);
    finish(std::nullopt);
    return std::move(result_);
  }

 private:
  // A file that is cut off is found so by each check.
  void add(Outcome outcome, const std::string& where, const std::string& code, std::string text,
           std::string hint = {}) {
    for (const Finding& known : result_.findings) {
      if (known.outcome == outcome && known.where == where && known.text == text) return;
    }
    result_.findings.push_back({outcome, where, code, std::move(text), std::move(hint)});
  }

  // A component that needs another one is of no use alone.
  void check_complete(const BundleListing& bundle) {
    const bool enough =
        !bundle.entries.empty() && result_.prepared.size() == bundle.entries.size() &&
        std::ranges::all_of(result_.prepared, [](const PreparedComponent& prepared) {
          return prepared.component.requires_.empty();
        });
    for (const LayoutInfo::Part& part : bundle.layout.parts) {
      if (part.role == "*" || bundle.has(part.role)) continue;
      add(enough ? Outcome::warns : Outcome::fails, part.file, enough ? "" : "bundle.incomplete",
          "is missing: the bundle has no component " + quoted(part.role),
          "copy the file into the directory, or make the bundle again");
    }
  }

  // What can be wrong with contents of `file` becomes a finding about `where`, with `hint` unless
  // the error has one; what is wrong with the disk or the installation does not.
  template <typename Check>
  void attempt(const Path& file, const std::string& where, const std::string& hint, Check&& check) {
    try {
      check();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::input && error.kind() != ErrorKind::mismatch) throw;
      // The path is context; `where` says as much.
      std::string text = error.message_within(path_text(file));
      // That of the host is for those who export.
      const bool mixed_up = error.code() == "exporter.component";
      const std::string& next = error.hint().empty() ? hint : error.hint();
      add(Outcome::fails, where, error.code(), std::move(text), mixed_up ? kMixedUp : next);
    }
  }

  void check_component(const BundleListing& bundle, const BundleListing::Entry& entry) {
    const std::string name = printable(entry.file);
    const Path path = bundle.directory / entry.file;
    boost::system::error_code ignored;
    if (!fs::exists(path, ignored)) {
      add(Outcome::fails, name, "manifest.missing",
          "is missing, the manifest has it as component " + quoted(entry.role), kGetAgain);
      looked_at_.insert(entry.file);
      return;
    }
    std::optional<PreparedComponent> prepared;
    attempt(path, name, kMakeAgain, [&] {
      const ManifestFile* stated = nullptr;
      if (entry.stated) stated = file_of(*bundle.manifest, entry.role);
      looked_at_.insert(entry.file);
      const bool sums = check_bytes(path, name, stated);
      prepared = check_source(find_source(bundle, entry.role, host_), name, sums, true);
    });
    keep(std::move(prepared), name);
  }

  // What an exporter takes is compared and kept for who wants to run it.
  void keep(std::optional<PreparedComponent> prepared, const std::string& name) {
    if (!prepared) return;
    if (options_.against) compare_weights(*prepared, name);
    result_.prepared.push_back(*std::move(prepared));
  }

  // A file of the manifest by which no component is named.
  void check_further(const Path& directory, const ManifestFile& file) {
    if (!looked_at_.insert(file.name).second) return;
    const std::string name = printable(file.name);
    boost::system::error_code ignored;
    if (!fs::exists(directory / file.name, ignored)) {
      return add(Outcome::fails, name, "manifest.missing", "is missing, the manifest has it",
                 kGetAgain);
    }
    attempt(directory / file.name, name, kGetAgain,
            [&] { check_bytes(directory / file.name, name, &file); });
  }

  // The bytes against the manifest, and the sums of a zip file. Returns whether damage of what it
  // holds would show.
  bool check_bytes(const Path& path, const std::string& name, const ManifestFile* stated) {
    const InputFile input(path);
    result_.bytes += input.size();
    const auto progress = [&](std::uint64_t done) {
      options_.sink->progress({name, done, input.size()});
    };
    if (stated != nullptr) compare(input, name, *stated, progress);
    bool has_sums = true;
    attempt(path, name, kMakeAgain, [&] { has_sums = check_sums(input, name, progress); });
    return has_sums;
  }

  PreparedComponent check_source(const RoleSource& found, const std::string& name, bool has_sums,
                                 bool in_bundle) {
    const Source& source = found.source;
    const Checkpoint* checkpoint =
        source.kind() == AcceptedSource::Kind::checkpoint ? &source.checkpoint() : nullptr;
    if (checkpoint != nullptr) {
      if (!has_sums) {
        add(Outcome::warns, name, {}, "has no CRC-32 by which damage of the tensors could be seen");
      }
      check_names(*checkpoint, name);
    }
    std::optional<std::string> role;
    if (!found.role.empty()) role = found.role;
    PreparedComponent prepared = prepare_component({source, role, {}, {}, {}}, host_);
    if (found.misplaced) {
      add(in_bundle ? Outcome::fails : Outcome::warns, name,
          in_bundle ? found.misplaced->code() : std::string(), found.misplaced->message(),
          found.misplaced->hint());
      for (LoaderAnswer& answer : prepared.component.loaders) {
        if (answer.loads) answer = {answer.loader, false, false, "it is no exported file"};
      }
    }
    // What exporters say of loaders holds for the layout that is the usual one.
    if (layout_ != kDefaultLayout) {
      for (LoaderAnswer& answer : prepared.component.loaders) {
        if (!answer.loads) continue;
        answer = {answer.loader, false, false,
                  "it reads the layout " + quoted(kDefaultLayout) +
                      ", which 'craftbundle convert' makes of this one"};
      }
    }
    describe(prepared, name, checkpoint);
    check_values(prepared.component, name);
    return prepared;
  }

  template <typename Report>
  void compare(const InputFile& input, const std::string& name, const ManifestFile& stated,
               const Report& progress) {
    if (input.size() != stated.size) {
      return add(Outcome::fails, name, "manifest.size",
                 "has " + std::to_string(input.size()) + " bytes, the manifest says " +
                     std::to_string(stated.size),
                 kGetAgain);
    }
    const std::string found = sha256_of_file(input, cancellation_, progress);
    if (found == stated.sha256) {
      return add(Outcome::holds, name, {}, "size and SHA-256 are those of the manifest");
    }
    add(Outcome::fails, name, "manifest.sha256",
        "has the SHA-256 " + found + ", the manifest says " + printable(stated.sha256), kGetAgain);
  }

  template <typename Report>
  bool check_sums(const InputFile& input, const std::string& name, const Report& progress) {
    // What is no zip file is refused by what it is, or is of a PyTorch before 1.6.
    constexpr std::string_view kZip = "PK";
    if (input.size() < kZip.size() || input.read_text(0, kZip.size()) != kZip) return false;
    const std::uint64_t records = check_records(input, cancellation_, progress);
    if (records == 0) return false;
    add(Outcome::holds, name, {}, "the CRC-32 of " + std::to_string(records) + " records holds");
    return true;
  }

  void check_names(const Checkpoint& checkpoint, const std::string& name) {
    bool harmless = true;
    for (const GlobalReference& reference : checkpoint.globals()) {
      if (reference.verdict == GlobalReference::Verdict::known) continue;
      harmless = false;
      const bool unsafe = reference.verdict == GlobalReference::Verdict::unsafe;
      add(Outcome::fails, name, unsafe ? "pickle.unsafe" : "pickle.unknown_name",
          (unsafe ? "would run code when Python loads it: names " : "names ") +
              printable(reference.name) + " (" + printable(reference.where) + ")" +
              (unsafe ? "" : ", which no loader of models knows"),
          unsafe ? "do not load it in Python; get the file from someone you trust"
                 : "'craftbundle export' makes a copy of it without what is not part of the model");
    }
    if (harmless) add(Outcome::holds, name, {}, "nothing in the pickle runs code");
  }

  // Whether PyTorch's safe loader takes the file.
  LoaderAnswer torch_answer(const Checkpoint& checkpoint, const std::string& name) {
    const std::vector<std::string> obstacles = weights_only_obstacles(checkpoint);
    const std::string oldest = oldest_pytorch(checkpoint);
    LoaderAnswer torch{"torch.load, weights_only", obstacles.empty(), false, {}};
    torch.words = oldest == "any" ? "any PyTorch" : "PyTorch " + oldest + " and later";
    if (!obstacles.empty()) {
      torch.words.clear();
      for (const std::string& obstacle : obstacles) {
        torch.words += (torch.words.empty() ? "" : ", and ") + obstacle;
      }
    }
    // Names that are harmless, but no part of an exported file: what training left.
    if (!torch.loads) {
      add(Outcome::warns, name, {}, "torch.load refuses it: " + torch.words);
    }
    return torch;
  }

  void describe(const PreparedComponent& prepared, const std::string& name,
                const Checkpoint* checkpoint) {
    for (const std::string& check : prepared.component.checks) {
      add(Outcome::holds, name, {}, check);
    }
    for (const std::string& warning : prepared.component.warnings) {
      add(Outcome::warns, name, {}, warning);
    }
    VerifiedComponent verified{name, {}};
    if (checkpoint != nullptr) {
      for (const std::string& note : checkpoint->format().notes) {
        add(Outcome::warns, name, {}, note);
      }
      verified.loaders.push_back(torch_answer(*checkpoint, name));
    }
    for (const LoaderAnswer& answer : prepared.component.loaders) {
      verified.loaders.push_back(answer);
    }
    result_.components.push_back(std::move(verified));
  }

  void check_values(const Component& component, const std::string& name) {
    std::uint64_t sound = 0;
    std::uint64_t odd = 0;
    std::vector<std::string> unknown;
    for (const NamedTensor& named : tensors_of(component)) {
      const auto* tensor = std::get_if<Tensor>(&named.tensor);
      if (tensor == nullptr) continue;
      if (!is_convertible(tensor->dtype)) {
        unknown.push_back(named.name);
        continue;
      }
      const ValueCounts counts = count(*tensor, cancellation_);
      const auto some = [&](std::uint64_t part) {
        return std::to_string(part) + " of " + std::to_string(counts.elements) + " elements of " +
               quoted(named.name, 200) + (part == 1 ? " is " : " are ");
      };
      if (counts.not_a_number + counts.infinite > 0) {
        ++odd;
        if (odd > kMostNamed) continue;
        if (counts.not_a_number > 0) {
          add(Outcome::fails, name, "values.not_a_number",
              some(counts.not_a_number) + "not a number", kOddElements);
        }
        if (counts.infinite > 0) {
          add(Outcome::fails, name, "values.infinite", some(counts.infinite) + "infinite",
              kOddElements);
        }
        continue;
      }
      ++sound;
      const bool floating = is_floating(tensor->dtype);
      if (floating && counts.elements > 1 && counts.zero == counts.elements) {
        add(Outcome::warns, name, "values.zero",
            "all " + std::to_string(counts.elements) + " elements of " + quoted(named.name, 200) +
                " are zero");
      }
    }
    if (odd > kMostNamed) {
      add(Outcome::fails, name, "values.more",
          std::to_string(odd - kMostNamed) + " more tensors have such elements", kOddElements);
    }
    if (!unknown.empty()) {
      add(Outcome::warns, name, {},
          "the elements of " + list_text(unknown) + " are of types that are not looked at");
    }
    if (odd == 0 && sound > 0) {
      add(Outcome::holds, name, {},
          "the elements of " + std::to_string(sound) + (sound == 1 ? " tensor" : " tensors") +
              " are finite");
    }
  }

  // The file that `name` is compared with.
  Path original_of(const std::string& name) const {
    boost::system::error_code ignored;
    if (!fs::is_directory(*options_.against, ignored)) return *options_.against;
    Path file = *options_.against / name;
    if (fs::exists(file, ignored)) return file;
    throw Error(ErrorKind::usage, "verify.against",
                path_text(*options_.against) + " has no " + quoted(name) + " to compare with",
                kGiveSource);
  }

  void compare_weights(const PreparedComponent& prepared, const std::string& name) {
    const Path path = original_of(name);
    const PreparedComponent original = with_context("the original", [&] {
      const Source source = Source::of_checkpoint(path.string(), host_.open(path));
      try {
        return host_.prepare({source, prepared.component.role, {}, {}, {}});
      } catch (const Error& error) {
        // Its hint is for those who export.
        if (error.code() != "exporter.component") throw;
        throw Error(error.kind(), error.code(), error.message(), kGiveSource);
      }
    });
    const Originals originals(original.component);
    std::vector<std::string> strangers;
    std::uint64_t compared = 0;
    double worst = 0;
    for (const NamedTensor& named : tensors_of(prepared.component)) {
      TensorDifference difference{name, named.name, {}, 0, 0, 0};
      const ElementsPtr before = originals.find(named.name, difference.what);
      const ElementsPtr after = elements_of(named);
      if (!before || before->shape() != after->shape()) {
        strangers.push_back(named.name);
        continue;
      }
      difference.what += before->dtype() == after->dtype()
                             ? std::string(craftbundle::name(after->dtype()))
                             : std::string(craftbundle::name(before->dtype())) + " to " +
                                   std::string(craftbundle::name(after->dtype()));
      measure(*after, *before, cancellation_, difference);
      worst = std::max(worst, difference.relative);
      ++compared;
      result_.differences.push_back(std::move(difference));
    }
    if (!strangers.empty()) {
      add(Outcome::fails, name, "verify.against",
          path_text(path) + " has no tensor to compare with for " + list_text(strangers));
    }
    if (compared == 0) return;
    add(Outcome::holds, name, {},
        std::to_string(compared) + " tensors compared with " + path_text(path) +
            ", largest relative error " + error_text(worst));
  }

  void finish(const std::optional<Manifest>& stated) {
    Manifest described = describe_bundle(result_.prepared);
    for (const FitCheck& check : described.fit) {
      if (check.outcome == FitCheck::Outcome::differs) {
        add(Outcome::fails, {}, "bundle.mismatch", "does not fit: " + to_string(check),
            kBelongTogether);
      } else if (check.outcome == FitCheck::Outcome::agrees) {
        add(Outcome::holds, {}, {}, "fits: " + to_string(check));
      }
    }
    const std::optional<Error> misfit = find_misfit(described);
    if (result_.prepared.size() > 1 && misfit && misfit->code() == "bundle.unchecked") {
      add(Outcome::fails, {}, misfit->code(), misfit->message(), kBelongTogether);
    }
    if (stated && stated->mismatch_allowed) {
      add(Outcome::warns, {}, {}, "was written with --allow-mismatch");
    }
    if (stated) {
      described.layout = stated->layout;
      described.layout_revision = stated->layout_revision;
      described.files = stated->files;
    }
    result_.manifest = std::move(described);
  }

  static constexpr const char* kGiveSource = "give the file that it was made from";
  static constexpr const char* kManifestAgain =
      "get bundle.json again from where the bundle was made; without it all else is still checked";
  static constexpr const char* kMakeAgain =
      "make the file again from its checkpoint or pretrained name with 'craftbundle export'";
  static constexpr const char* kMixedUp =
      "the files are mixed up: give each the name of its component, or make the bundle again";
  static constexpr const char* kGetAgain =
      "get the file again from where the bundle was made, or make the bundle again";
  static constexpr const char* kBelongTogether =
      "make the bundle of components that belong together";
  static constexpr const char* kOddElements =
      "the training diverged, or numbers were too large for the type: export another checkpoint";
  // Of the tensors with odd elements, these many are named.
  static constexpr std::uint64_t kMostNamed = 16;

  const Host& host_;
  const VerifyOptions& options_;
  const Cancellation& cancellation_;
  std::string layout_ = std::string(kDefaultLayout);
  std::set<std::string> looked_at_;  // names of files
  Verification result_;
};

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
  return static_cast<std::uint64_t>(std::ranges::count(
      findings, outcome, [](const Finding& finding) { return finding.outcome; }));
}

std::vector<std::string> Verification::texts(Finding::Outcome outcome) const {
  std::vector<std::string> result;
  for (const Finding& finding : findings) {
    if (finding.outcome != outcome) continue;
    result.push_back(finding.where.empty() ? finding.text : finding.where + ": " + finding.text);
  }
  return result;
}

Verification verify(const Path& path, const Host& host, const VerifyOptions& options) {
  boost::system::error_code ignored;
  if (options.against && !fs::exists(*options.against, ignored)) {
    throw Error(ErrorKind::usage, "verify.against",
                path_text(*options.against) + " is not there to compare with",
                "give the file or directory that " + path_text(path.filename()) + " was made from");
  }
  Verifier verifier(host, options);
  return fs::is_directory(path, ignored) ? verifier.bundle(path) : verifier.file(path);
}

}  // namespace craftbundle
