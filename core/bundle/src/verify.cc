#include "craftbundle/bundle/verify.h"

#include <algorithm>
#include <array>
#include <boost/filesystem.hpp>
#include <cmath>
#include <cstdio>
#include <limits>

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"
#include "craftbundle/bundle/bundle.h"
#include "craftbundle/bundle/layout.h"
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

// A tensor of a package with its name in the state dict.
struct NamedValue {
  std::string name;
  const Value* value;
};

bool is_tensor(const Value& value) {
  return value.get_if<Tensor>() != nullptr || value.get_if<ComputedTensor>() != nullptr;
}

void collect_tensors(const Value& value, const std::string& name, std::vector<NamedValue>& out) {
  if (is_tensor(value)) {
    out.push_back({name, &value});
  } else if (const auto* list = value.get_if<Value::List>()) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      collect_tensors((*list)[i], name + "[" + std::to_string(i) + "]", out);
    }
  } else if (const auto* dict = value.get_if<Value::Dict>()) {
    for (const auto& [key, item] : *dict) {
      collect_tensors(item, name.empty() ? key : name + "." + key, out);
    }
  }
}

// The key of the package that a state dict lies under is no part of its names.
std::vector<NamedValue> tensors_of(const Value& package) {
  std::vector<NamedValue> tensors;
  const auto* dict = package.get_if<Value::Dict>();
  if (dict == nullptr) return tensors;
  for (const auto& [key, value] : *dict) {
    const auto* state = value.get_if<Value::Dict>();
    const bool is_state = state != nullptr && !state->empty() && is_tensor(state->front().second);
    collect_tensors(value, is_state ? std::string() : key, tensors);
  }
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
    tensor.storage.checkpoint->read(tensor.storage, first + done, bytes);
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

// "0", "3.76e-04"
std::string error_text(double error) {
  std::array<char, 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), error == 0 ? "%.0f" : "%.2e", error);
  return buffer.data();
}

class Verifier {
 public:
  Verifier(const Host& host, const VerifyOptions& options)
      : host_(host), options_(options), cancellation_(*options.cancellation) {}

  Verification bundle(const Path& directory) {
    std::optional<Manifest> manifest;
    attempt(directory / std::string(kManifestFile), kManifestAgain,
            [&] { manifest = read_manifest(directory); });
    if (!manifest && result_.findings.empty()) {
      add(Outcome::warns, {}, {},
          "there is no " + std::string(kManifestFile) + " to compare sizes and SHA-256 with");
    }
    std::vector<ComponentFile> files = component_files(directory, manifest);
    add_unstated(directory, files);
    for (const ComponentFile& file : files) {
      const ManifestComponent* stated = nullptr;
      if (manifest) {
        for (const ManifestComponent& component : manifest->components) {
          if (component.file == file.file) stated = &component;
        }
      }
      check_file(directory / file.file, file.role, stated);
    }
    check_complete(files);
    finish(manifest);
    return std::move(result_);
  }

  Verification file(const Path& path) {
    check_file(path, std::nullopt, nullptr);
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

  // Files of the layout that the manifest does not name: loaders take them all the same.
  void add_unstated(const Path& directory, std::vector<ComponentFile>& files) {
    for (const Layout::File& known : audiocraft_layout().files) {
      boost::system::error_code ignored;
      if (is_named(files, known.file) || !fs::exists(directory / known.file, ignored)) continue;
      add(Outcome::fails, known.file, "manifest.unstated",
          "is there, but the manifest has no word of it",
          "remove what does not belong to the bundle, or make the bundle again");
      files.push_back({known.role, known.file});
    }
  }

  static bool is_named(const std::vector<ComponentFile>& files, const std::string& name) {
    return std::ranges::count(files, name, &ComponentFile::file) != 0;
  }

  // A component that needs another one is of no use alone.
  void check_complete(const std::vector<ComponentFile>& files) {
    const bool enough =
        !files.empty() && result_.prepared.size() == files.size() &&
        std::ranges::all_of(result_.prepared, [](const PreparedComponent& prepared) {
          return prepared.component.requires_.empty();
        });
    for (const Layout::File& known : audiocraft_layout().files) {
      if (is_named(files, known.file)) continue;
      add(enough ? Outcome::warns : Outcome::fails, known.file, enough ? "" : "bundle.incomplete",
          "is missing: the bundle has no component " + quoted(known.role),
          "copy the file into the directory, or make the bundle again");
    }
  }

  // What can be wrong with contents becomes a finding about `where`, with `hint` unless the error
  // has one; what is wrong with the disk or the installation does not.
  template <typename Check>
  void attempt(const Path& file, const std::string& hint, Check&& check) {
    try {
      check();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::input && error.kind() != ErrorKind::mismatch) throw;
      const std::string where = printable(file.filename().string());
      // The path is context; `where` says as much.
      std::string text = error.message_within(path_text(file));
      // That of the host is for those who export.
      const bool mixed_up = error.code() == "exporter.component";
      const std::string& next = error.hint().empty() ? hint : error.hint();
      add(Outcome::fails, where, error.code(), std::move(text), mixed_up ? kMixedUp : next);
    }
  }

  void check_file(const Path& path, const std::optional<std::string>& role,
                  const ManifestComponent* stated) {
    const std::string name = printable(path.filename().string());
    boost::system::error_code ignored;
    if (!fs::exists(path, ignored)) {
      return add(Outcome::fails, name, "manifest.missing",
                 role ? "is missing, the manifest has it as component " + quoted(*role)
                      : std::string("is missing"),
                 kGetAgain);
    }
    std::optional<PreparedComponent> prepared;
    attempt(path, kMakeAgain, [&] {
      const InputFile input(path);
      result_.bytes += input.size();
      const auto progress = [&](std::uint64_t done) {
        options_.sink->progress({name, done, input.size()});
      };
      if (stated != nullptr) compare(input, name, *stated, progress);
      bool has_sums = true;
      attempt(path, kMakeAgain, [&] { has_sums = check_sums(input, name, progress); });
      const std::shared_ptr<const Checkpoint> checkpoint = host_.open(path);
      if (!has_sums) {
        add(Outcome::warns, name, {}, "has no CRC-32 by which damage of the tensors could be seen");
      }
      check_names(*checkpoint, name);
      const Source source = Source::of_checkpoint(path.string(), checkpoint);
      prepared = host_.prepare({source, role, std::nullopt, {}});
      check_exported(*prepared, name, role.has_value());
      describe(*prepared, name, *checkpoint);
      check_values(prepared->component.package, name);
    });
    if (!prepared) return;
    if (options_.against) compare_weights(*prepared, name);
    result_.prepared.push_back(*std::move(prepared));
  }

  template <typename Report>
  void compare(const InputFile& input, const std::string& name, const ManifestComponent& stated,
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

  // Exporters also take what they make exported files of, loaders do not.
  void check_exported(PreparedComponent& prepared, const std::string& name, bool in_bundle) {
    const Object root = prepared.source.checkpoint().root();
    const auto* package = prepared.component.package.get_if<Value::Dict>();
    if (package == nullptr) return;
    for (const auto& [key, value] : *package) {
      const auto* state = value.get_if<Value::Dict>();
      if (state == nullptr || state->empty() || !is_tensor(state->front().second)) continue;
      const std::optional<Object> there = root.is(Kind::dict) ? root.find(key) : std::nullopt;
      const bool is_state = there && there->is(Kind::dict) && there->size() > 0 &&
                            Checkpoint::is_tensor(there->entries().entry(0).value);
      if (is_state) continue;
      add(in_bundle ? Outcome::fails : Outcome::warns, name,
          in_bundle ? "package.not_exported" : "",
          "is no exported file: its tensors do not lie in " + quoted(key) +
              ", where loaders look for them",
          "'craftbundle export' makes an exported file of it");
      for (LoaderAnswer& answer : prepared.component.loaders) {
        if (answer.loads) answer = {answer.loader, false, false, "it is no exported file"};
      }
    }
  }

  // Whether there are any.
  template <typename Report>
  bool check_sums(const InputFile& input, const std::string& name, const Report& progress) {
    // What is no zip file is refused by what it is, or is of a PyTorch before 1.6.
    constexpr std::string_view kZip = "PK";
    const bool zip = input.size() >= kZip.size() && input.read_text(0, kZip.size()) == kZip;
    const std::uint64_t records = zip ? check_records(input, cancellation_, progress) : 0;
    if (records > 0) {
      add(Outcome::holds, name, {}, "the CRC-32 of " + std::to_string(records) + " records holds");
    }
    return records > 0;
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

  void describe(const PreparedComponent& prepared, const std::string& name,
                const Checkpoint& checkpoint) {
    for (const std::string& check : prepared.component.checks) {
      add(Outcome::holds, name, {}, check);
    }
    for (const std::string& warning : prepared.component.warnings) {
      add(Outcome::warns, name, {}, warning);
    }
    for (const std::string& note : checkpoint.format().notes) add(Outcome::warns, name, {}, note);
    VerifiedComponent verified{name, {}};
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
    verified.loaders.push_back(std::move(torch));
    for (const LoaderAnswer& answer : prepared.component.loaders) {
      verified.loaders.push_back(answer);
    }
    result_.components.push_back(std::move(verified));
  }

  void check_values(const Value& package, const std::string& name) {
    std::uint64_t sound = 0;
    std::uint64_t odd = 0;
    std::vector<std::string> unknown;
    for (const NamedValue& named : tensors_of(package)) {
      const auto* tensor = named.value->get_if<Tensor>();
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
        return host_.prepare({source, prepared.component.role, std::nullopt, {}});
      } catch (const Error& error) {
        // Its hint is for those who export.
        if (error.code() != "exporter.component") throw;
        throw Error(error.kind(), error.code(), error.message(), kGiveSource);
      }
    });
    const std::vector<NamedValue> there = tensors_of(original.component.package);
    const auto find = [&](const std::string& wanted) -> const Value* {
      for (const NamedValue& named : there) {
        if (named.name == wanted) return named.value;
      }
      return nullptr;
    };
    std::vector<std::string> strangers;
    std::uint64_t compared = 0;
    double worst = 0;
    for (const NamedValue& named : tensors_of(prepared.component.package)) {
      TensorDifference difference{name, named.name, {}, 0, 0, 0};
      ElementsPtr before;
      if (const Value* same = find(named.name)) {
        before = elements_of(*same);
      } else if (const Value* g = find(named.name + "_g")) {
        const Value* v = find(named.name + "_v");
        if (v != nullptr) before = fold_weight_norm(elements_of(*g), elements_of(*v));
        difference.what = "folded, ";
      }
      const ElementsPtr after = elements_of(*named.value);
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
  Verification result_;
};

}  // namespace

std::vector<ComponentFile> component_files(const Path& directory,
                                           const std::optional<Manifest>& manifest) {
  std::vector<ComponentFile> files;
  if (manifest) {
    for (const ManifestComponent& component : manifest->components) {
      files.push_back({component.role, component.file});
    }
    return files;
  }
  const std::vector<Layout::File>& known = audiocraft_layout().files;
  std::string names;
  boost::system::error_code ignored;
  for (const Layout::File& file : known) {
    if (fs::exists(directory / file.file, ignored)) files.push_back({file.role, file.file});
    names += " nor " + file.file;
  }
  if (files.empty() && fs::exists(directory / "checkpoint.th", ignored)) {
    throw Error(ErrorKind::input, "bundle.none",
                path_text(directory) + ": holds checkpoint.th, which is no bundle yet",
                "make one of it with 'craftbundle bundle', or name the file");
  }
  if (files.empty()) {
    throw Error(ErrorKind::input, "bundle.none",
                path_text(directory) + ": no bundle: neither " + std::string(kManifestFile) +
                    names + " nor checkpoint.th is there",
                "name the directory of a bundle, or a checkpoint file");
  }
  return files;
}

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
