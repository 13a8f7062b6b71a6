#include "craftbundle/detail/bundle/transform.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <boost/filesystem/operations.hpp>
#include <charconv>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/adapter.h"
#include "craftbundle/detail/bundle/open.h"
#include "craftbundle/detail/tensor/dtype_words.h"

namespace craftbundle {
namespace {

constexpr std::string_view kKeep = "keep";
constexpr std::string_view kGain = ".weight_g";
constexpr std::string_view kDirection = ".weight_v";
constexpr std::array kFloatTypes = {DType::float32, DType::float16, DType::bfloat16,
                                    DType::float64};

bool matches(std::string_view pattern, const std::string& text) {
  return ::fnmatch(std::string(pattern).c_str(), text.c_str(), 0) == 0;
}

// Tensors that are the same view of the same storage share their elements, and so their storage in
// the package: tied weights stay tied.
class Sharing {
 public:
  ElementsPtr elements(const NamedTensor& named) {
    if (const auto* computed = std::get_if<ComputedTensor>(&named.tensor)) {
      return computed->elements;
    }
    if (const auto* joined = std::get_if<JoinedTensor>(&named.tensor)) {
      return with_context(quoted(named.name), [&] { return elements_of(*joined); });
    }
    const Tensor& stored = std::get<Tensor>(named.tensor);
    const Key key{stored.storage.owner.get(), stored.storage.key,  stored.dtype,
                  stored.layout.offset,       stored.layout.shape, stored.layout.strides};
    ElementsPtr& known = known_[key];
    if (!known) {
      known = with_context(quoted(named.name), [&] { return elements_of(stored); });
    }
    return known;
  }

 private:
  using Key = std::tuple<const TensorFile*, std::string, DType, std::int64_t,
                         std::vector<std::int64_t>, std::vector<std::int64_t>>;
  std::map<Key, ElementsPtr> known_;
};

void reorder(std::vector<NamedTensor>& tensors, const std::vector<std::string>& order) {
  std::unordered_map<std::string_view, std::size_t> places;
  for (const std::string& name : order) places.emplace(name, places.size());
  std::ranges::stable_sort(tensors, {}, [&](const NamedTensor& named) {
    const auto place = places.find(named.name);
    return place == places.end() ? places.size() : place->second;
  });
}

// "PATTERN=TYPE".
struct Rule {
  std::string pattern;
  DType dtype = DType::float32;
  std::size_t tensors = 0;  // that it named
};

Error bad_rule(const std::string& rule, const std::string& why) {
  return Error(ErrorKind::usage, "option.value",
               "option '" + std::string(kDtypeOfOption) + "': " + quoted(rule) + " " + why,
               "write it as PATTERN=TYPE,PATTERN=TYPE, for example '*.bias=float32'");
}

DType float_type(const std::string& rule, const std::string& text) {
  if (const auto dtype = dtype_from_word(text);
      dtype && std::ranges::count(kFloatTypes, *dtype) != 0) {
    return *dtype;
  }
  throw bad_rule(
      rule, "names the type " + quoted(text) + ", expected float32, float16, bfloat16 or float64");
}

std::vector<Rule> read_rules(std::string_view text) {
  std::vector<Rule> rules;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string rule(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    const std::size_t equals = rule.rfind('=');
    if (equals == std::string::npos || equals == 0) throw bad_rule(rule, "is no PATTERN=TYPE");
    rules.push_back({rule.substr(0, equals), float_type(rule, rule.substr(equals + 1)), 0});
  }
  return rules;
}

std::string element_types(const Model& model) {
  std::set<std::string> types;
  for (const NamedTensor& named : model.tensors) types.emplace(name(named.dtype()));
  std::string text;
  std::size_t left = types.size();
  for (const std::string& type : types) {
    text += type;
    --left;
    if (left > 0) text += left == 1 ? " and " : ", ";
  }
  return text;
}

// "300.2 million"
std::string parameter_count(const Model& model) {
  double count = 0;
  for (const NamedTensor& named : model.tensors) {
    if (!is_floating(named.dtype())) continue;
    count += static_cast<double>(element_count(named.shape()).value_or(0));
  }
  constexpr std::array<std::pair<double, const char*>, 3> kScales = {
      {{1e9, "billion"}, {1e6, "million"}, {1e3, "thousand"}}};
  for (const auto& [scale, word] : kScales) {
    if (count < scale) continue;
    std::array<char, 64> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), count / scale,
                                   std::chars_format::fixed, 1);
    return std::string(buffer.data(), end.ptr) + " " + word;
  }
  return std::to_string(static_cast<std::int64_t>(count));
}

void add_summary(const Model& model, std::vector<SummaryItem>& summary) {
  summary.push_back({"parameters", parameter_count(model)});
  summary.push_back({"element type", element_types(model)});
  summary.push_back({"tensors", std::to_string(model.tensors.size())});
  if (!model.origin.empty()) summary.push_back({"state", model.origin});
}

// The transforms that were asked for.
struct Transforms {
  std::string dtype = std::string(kKeep);
  std::string dtype_of;
  std::vector<Path> average;
  std::vector<Path> merge;
  bool fold = false;

  bool any() const {
    return dtype != kKeep || !dtype_of.empty() || !average.empty() || !merge.empty() || fold;
  }
};

bool is_transform(const PreparedComponent& prepared, const OptionValue& option) {
  return std::ranges::count(prepared.exporter.options, option.name, &OptionSpec::name) == 0;
}

Transforms transforms_of(const PreparedComponent& prepared) {
  Transforms transforms;
  for (const OptionValue& option : prepared.options) {
    if (!is_transform(prepared, option)) continue;
    if (option.name == kDtypeOption) transforms.dtype = option.value;
    if (option.name == kDtypeOfOption) transforms.dtype_of = option.value;
    if (option.name == kAverageOption) transforms.average = files_of(option.value);
    if (option.name == kMergeOption) transforms.merge = files_of(option.value);
    if (option.name == kFoldOption) transforms.fold = option.value == "true";
  }
  return transforms;
}

// Whether both are the same file or directory, by whatever names.
bool is_same(const Source& a, const Source& b) {
  if (a.kind() != b.kind()) return false;
  if (a.place() != nullptr && b.place() != nullptr) {
    boost::system::error_code ignored;
    return boost::filesystem::equivalent(a.place()->directory, b.place()->directory, ignored);
  }
  if (a.kind() == AcceptedSource::Kind::checkpoint) {
    return a.checkpoint().file().is_same_file(b.checkpoint().file().path());
  }
  boost::system::error_code ignored;
  return a.kind() == AcceptedSource::Kind::directory &&
         boost::filesystem::equivalent(a.directory().path(), b.directory().path(), ignored);
}

// A source beside `prepared`, which takes its configuration from where that one has it.
std::optional<PreparedComponent> further_weights(const PreparedComponent& prepared,
                                                 const Path& path,
                                                 const std::vector<OptionValue>& options,
                                                 const Host& host) {
  for (const OptionValue& option : prepared.options) {
    if (option.name != kConfigFromOption || option.value.empty()) continue;
    if (!is_transform(prepared, option)) continue;
    NamedRequest request{path.string(),          {},      prepared.component.role,
                         prepared.exporter.name, options, {}};
    request.options.push_back(option);
    return open_component(request, host);
  }
  return std::nullopt;
}

// Models of further sources, as the exporter of `prepared` reads them. What is read for them is
// added to what it has read.
std::vector<Model> further_models(PreparedComponent& prepared, const std::vector<Path>& paths,
                                  const Host& host) {
  std::vector<Source> seen = {prepared.source};
  std::vector<OptionValue> options;
  for (const OptionValue& option : prepared.options) {
    if (!is_transform(prepared, option)) options.push_back(option);
  }
  std::vector<Model> models;
  const auto add = [&](PreparedComponent& further, const std::string& given) {
    for (ReadFile& read : further.read) {
      read.is_below = false;
      prepared.read.push_back(std::move(read));
    }
    auto* model = std::get_if<Model>(&further.component.content);
    if (model == nullptr) {
      throw Error(ErrorKind::input, "average.tensors", given + " holds no weights to average with",
                  "average checkpoints of the same training");
    }
    if (model->config.text() != prepared.component.model()->config.text()) {
      prepared.component.warnings.push_back("the configuration of " + printable(given) +
                                            " is another: that of the first checkpoint is written");
    }
    model->origin = given + ": " + model->origin;
    models.push_back(std::move(*model));
  };
  for (const Path& path : paths) {
    const std::string given = path_text(path.filename());
    if (auto further = further_weights(prepared, path, options, host)) {
      add(*further, given);
      continue;
    }
    boost::system::error_code ignored;
    const Source source = boost::filesystem::is_directory(path, ignored)
                              ? source_at(given, path, host, prepared.component.role)
                              : Source::of_checkpoint(given, host.open(path));
    if (std::ranges::any_of(seen, [&](const Source& other) { return is_same(source, other); })) {
      continue;
    }
    seen.push_back(source);
    PreparedComponent further =
        host.prepare({source, prepared.component.role, prepared.exporter.name, options, {}});
    // The checkpoint in a directory is not what was named.
    if (source.kind() == AcceptedSource::Kind::checkpoint) {
      const InputFile& file = source.checkpoint().file();
      if (file.path() != path) {
        further.read.push_back({file.path().filename().string(),
                                false,
                                {source.checkpoint().shared_from_this(), &file}});
      }
    }
    add(further, given);
  }
  return models;
}

// Merges the adapters at `paths`, in this order.
void merge_adapters(PreparedComponent& prepared, Model& model, const std::vector<Path>& paths,
                    const Host& host) {
  Component& component = prepared.component;
  const auto namings = [&] {
    std::vector<Naming> all;
    for (auto& [layout, names] : host.aliases(model)) all.push_back({layout, std::move(names)});
    return all;
  };
  std::set<std::string> seen;
  for (const Path& given : paths) {
    const Path path = plain_path(given);
    if (!seen.insert(path.string()).second) {
      throw Error(ErrorKind::usage, "option.value",
                  "the adapter " + quoted(given.string()) + " is given twice",
                  "name each adapter once");
    }
    FileReader reader(std::nullopt, [&](const Path& file) { return host.open(file); });
    const MergeNotes notes =
        with_context([&] { return "adapter " + quoted(path.filename().string()); },
                     [&] { return merge(model, read_adapter(path, reader), namings); });
    for (ReadFile& read : reader.read()) prepared.read.push_back(std::move(read));
    component.checks.insert(component.checks.end(), notes.checks.begin(), notes.checks.end());
    component.warnings.insert(component.warnings.end(), notes.warnings.begin(),
                              notes.warnings.end());
  }
}

// Nobody knows what the configuration of such a model says of weight norms.
void refuse_as_is(const PreparedComponent& prepared) {
  if (!is_as_is(prepared.options)) return;
  throw Error(ErrorKind::usage, "option.value",
              "weight norms of a model that is taken as it is cannot be folded: what its "
              "configuration would say then is not known",
              "leave one of the options fold-weight-norm and as-is out")
      .about("option:" + std::string(kFoldOption));
}

}  // namespace

bool is_as_is(const std::vector<OptionValue>& options) {
  return std::ranges::any_of(options, [](const OptionValue& option) {
    return option.name == kAsIsOption && option.value == "true";
  });
}

std::vector<OptionSpec> transform_options() {
  using Type = OptionSpec::Type;
  return {
      {std::string(kDtypeOption),
       Type::text,
       std::string(kKeep),
       "element type of the weights; codebook counters and integers keep theirs",
       {std::string(kKeep), "float32", "float16", "bfloat16"}},
      {std::string(kDtypeOfOption),
       Type::text,
       "",
       "element types by name, PATTERN=TYPE,...: the first pattern that matches a tensor decides, "
       "before option dtype",
       {}},
      {std::string(kFoldOption),
       Type::boolean,
       "false",
       "replace each pair weight_g and weight_v of a weight norm by the weight it makes, and say "
       "so in the configuration",
       {}},
      {std::string(kAverageOption),
       Type::files,
       "",
       "further checkpoints of the same model: the weights become the mean over all of them",
       {}},
      {std::string(kMergeOption),
       Type::files,
       "",
       "LoRA adapters that PEFT has saved, or directories of them: they are merged into the "
       "weights",
       {}},
      {std::string(kConfigFromOption),
       Type::text,
       "",
       "for weights without a configuration: the model that has it, a bundle, a file, or YAML",
       {}},
  };
}

PreparedComponent prepare_component(const ComponentRequest& request, const Host& host) {
  ComponentRequest extended = request;
  extended.further_options = transform_options();
  PreparedComponent prepared = host.prepare(extended);
  const Transforms transforms = transforms_of(prepared);
  Component& component = prepared.component;
  auto* model = std::get_if<Model>(&component.content);
  if (model == nullptr) {
    if (!transforms.any()) return prepared;
    throw Error(ErrorKind::usage, "option.value",
                "this is a reference to " + quoted(std::get<Reference>(component.content).name) +
                    ": it holds no weights to cast, fold, average or merge into",
                "leave the options dtype, dtype-of, fold-weight-norm, average and merge out");
  }
  const auto done = [&](const std::vector<std::string>& clauses) {
    component.checks.insert(component.checks.end(), clauses.begin(), clauses.end());
  };
  const auto named = [&](auto&& action) {
    return with_context([&] { return printable(prepared.source.given()); }, action);
  };
  if (!transforms.average.empty()) {
    const std::vector<Model> others = further_models(prepared, transforms.average, host);
    done(named([&] { return average(*model, others); }));
  }
  // Adapters are added in float32 where that is wanted, as PEFT does when the model is loaded so.
  const bool is_wider = !transforms.merge.empty() && transforms.dtype == name(DType::float32);
  const auto cast_weights = [&] {
    done(named([&] { return cast(*model, transforms.dtype, transforms.dtype_of); }));
  };
  if (is_wider) cast_weights();
  if (!transforms.merge.empty()) merge_adapters(prepared, *model, transforms.merge, host);
  if (transforms.fold) {
    refuse_as_is(prepared);
    done(named([&] { return fold_weight_norm(*model); }));
  }
  if (!is_wider) cast_weights();
  add_summary(*model, component.summary);
  return prepared;
}

std::vector<std::string> average(Model& model, const std::vector<Model>& others) {
  if (others.empty()) return {};
  std::vector<std::unordered_map<std::string_view, const NamedTensor*>> by_name(others.size());
  for (std::size_t i = 0; i < others.size(); ++i) {
    for (const NamedTensor& named : others[i].tensors) by_name[i].emplace(named.name, &named);
  }
  const auto refuse = [](const std::string& what) {
    return Error(ErrorKind::input, "average.tensors", what,
                 "average checkpoints of the same training, or of one that was fine-tuned from it");
  };
  Sharing sharing;
  // Tied weights stay tied when they are in all checkpoints.
  std::map<std::vector<ElementsPtr>, ElementsPtr> means;
  for (NamedTensor& named : model.tensors) {
    std::vector<const NamedTensor*> same;
    for (std::size_t i = 0; i < others.size(); ++i) {
      const auto found = by_name[i].find(named.name);
      if (found == by_name[i].end()) {
        throw refuse(others[i].origin + " has no tensor " + quoted(named.name) +
                     " to average with");
      }
      if (found->second->shape() != named.shape()) {
        throw refuse("tensor " + quoted(named.name) + " is " + shape_text(found->second->shape()) +
                     " in " + others[i].origin + ", and " + shape_text(named.shape()) + " in " +
                     model.origin);
      }
      same.push_back(found->second);
    }
    if (!is_floating(named.dtype())) continue;
    std::vector<ElementsPtr> parts = {sharing.elements(named)};
    for (const NamedTensor* other : same) parts.push_back(sharing.elements(*other));
    ElementsPtr& mean = means[parts];
    if (!mean) mean = craftbundle::average(std::move(parts));
    named.tensor = ComputedTensor{named.dtype(), mean, named.name};
  }
  for (std::size_t i = 0; i < others.size(); ++i) {
    if (others[i].tensors.size() != model.tensors.size()) {
      throw refuse(others[i].origin + " has " + counted(others[i].tensors.size(), "tensor") + ", " +
                   model.origin + " has " + std::to_string(model.tensors.size()));
    }
  }
  return {"weights are the mean over " + std::to_string(others.size() + 1) + " checkpoints"};
}

std::vector<std::string> fold_weight_norm(Model& model) {
  const std::vector<NamedTensor> before = std::move(model.tensors);
  std::unordered_map<std::string_view, const NamedTensor*> by_name;
  for (const NamedTensor& named : before) by_name.emplace(named.name, &named);
  // The other half of a pair: its name is that of `named` with another end.
  const auto partner = [&](const NamedTensor& named, std::string_view end, std::string_view other) {
    if (!named.name.ends_with(end)) return static_cast<const NamedTensor*>(nullptr);
    const std::string name =
        named.name.substr(0, named.name.size() - end.size()) + std::string(other);
    const auto found = by_name.find(name);
    return found == by_name.end() ? nullptr : found->second;
  };
  Sharing sharing;
  std::size_t pairs = 0;
  model.tensors.clear();
  for (const NamedTensor& named : before) {
    if (partner(named, kDirection, kGain) != nullptr) continue;
    const NamedTensor* direction = partner(named, kGain, kDirection);
    if (direction == nullptr) {
      model.tensors.push_back(named);
      continue;
    }
    const std::string name = named.name.substr(0, named.name.size() - kGain.size()) + ".weight";
    if (by_name.contains(name)) {
      throw Error(ErrorKind::input, "fold.duplicate",
                  model.origin + " holds " + quoted(name) +
                      " beside the weight_g and weight_v that " + "make it",
                  "leave the option fold-weight-norm out");
    }
    ElementsPtr weight = with_context(quoted(name), [&] {
      return craftbundle::fold_weight_norm(sharing.elements(named), sharing.elements(*direction));
    });
    model.tensors.push_back({name, ComputedTensor{direction->dtype(), std::move(weight), name}});
    ++pairs;
  }
  if (pairs == 0) {
    throw Error(ErrorKind::input, "fold.none",
                model.origin + " holds no pair weight_g and weight_v: no weight norm to fold",
                "leave the option fold-weight-norm out");
  }
  if (!model.folded.order.empty()) {
    reorder(model.tensors, model.folded.order);
    model.config = model.folded.config;
  }
  return {"weight norm of " + std::to_string(pairs) + " convolutions folded"};
}

std::vector<std::string> cast(Model& model, const std::string& wanted, std::string_view dtype_of) {
  std::vector<Rule> rules = read_rules(dtype_of);
  if (wanted == kKeep && rules.empty()) return {};
  Sharing sharing;
  std::map<std::string, std::size_t> counts;  // by type
  std::size_t stayed = 0;
  for (NamedTensor& named : model.tensors) {
    if (!is_floating(named.dtype())) continue;
    std::optional<DType> dtype;
    for (Rule& rule : rules) {
      if (!matches(rule.pattern, named.name)) continue;
      ++rule.tensors;
      if (!dtype) dtype = rule.dtype;
    }
    if (!dtype && wanted != kKeep) {
      const bool stays = std::ranges::any_of(model.keep_dtype, [&](const std::string& pattern) {
        return matches(pattern, named.name);
      });
      if (stays) {
        ++stayed;
      } else {
        dtype = dtype_from_name(wanted);
      }
    }
    if (!dtype) continue;
    ++counts[std::string(name(*dtype))];
    if (*dtype == named.dtype()) continue;
    named.tensor = ComputedTensor{*dtype, sharing.elements(named), named.name};
  }
  for (const Rule& rule : rules) {
    if (rule.tensors == 0) {
      throw bad_rule(rule.pattern, "matches no tensor of " + model.origin);
    }
  }
  std::vector<std::string> notes;
  for (const auto& [type, count] : counts) {
    notes.push_back(counted(count, "tensor") + (count == 1 ? " is " : " are ") + type +
                    " as asked for");
  }
  if (stayed == 1) notes.emplace_back("1 tensor that counts keeps its type");
  if (stayed > 1) notes.push_back(counted(stayed, "tensor") + " that count keep their type");
  return notes;
}

}  // namespace craftbundle
