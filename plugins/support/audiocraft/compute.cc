#include "support/audiocraft/compute.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"

namespace craftbundle::audiocraft {
namespace {

constexpr std::string_view kKeep = "keep";
constexpr std::string_view kGain = ".weight_g";
constexpr std::string_view kDirection = ".weight_v";
// What training counts and sums up in AudioCraft's codebooks: sums grow beyond what 16 bits hold,
// and no loader computes with them.
constexpr std::array<std::string_view, 3> kCounters = {
    "*._codebook.inited", "*._codebook.cluster_size", "*._codebook.embed_avg"};
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
    const Tensor& stored = std::get<Tensor>(named.tensor);
    const Key key{stored.storage.checkpoint.get(),
                  stored.storage.key,
                  stored.dtype,
                  stored.layout.offset,
                  stored.layout.shape,
                  stored.layout.strides};
    ElementsPtr& known = known_[key];
    if (!known) {
      known = with_context(quoted(named.name), [&] { return elements_of(stored); });
    }
    return known;
  }

 private:
  using Key = std::tuple<const Checkpoint*, std::string, DType, std::int64_t,
                         std::vector<std::int64_t>, std::vector<std::int64_t>>;
  std::map<Key, ElementsPtr> known_;
};

// "PATTERN=TYPE".
struct Rule {
  std::string pattern;
  DType dtype = DType::float32;
  std::size_t tensors = 0;  // that it named
};

Error bad_rule(const std::string& rule, const std::string& why) {
  return Error(ErrorKind::usage, "option.value",
               "option '" + std::string(kDtypeOfOption) + "': " + quoted(rule) + " " + why,
               "write it as PATTERN=TYPE,PATTERN=TYPE, for example '*.bias=float32'")
      .about("option:" + std::string(kDtypeOfOption));
}

DType float_type(const std::string& rule, const std::string& text) {
  for (const DType dtype : kFloatTypes) {
    if (name(dtype) == text) return dtype;
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

std::string tensors_text(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " tensor" : " tensors");
}

}  // namespace

OptionSpec dtype_option() {
  return {std::string(kDtypeOption),
          OptionSpec::Type::text,
          std::string(kKeep),
          "element type of the weights; codebook counters and integers keep theirs",
          {std::string(kKeep), "float32", "float16", "bfloat16"}};
}

OptionSpec dtype_of_option() {
  return {
      std::string(kDtypeOfOption),
      OptionSpec::Type::text,
      "",
      "element types by name, PATTERN=TYPE,...: the first pattern that matches a tensor decides, "
      "before option dtype",
      {}};
}

OptionSpec average_option() {
  return {std::string(kAverageOption),
          OptionSpec::Type::files,
          "",
          "further checkpoints of the same model: the weights become the mean over all of them",
          {}};
}

OptionSpec fold_option() {
  return {
      std::string(kFoldOption),
      OptionSpec::Type::boolean,
      "false",
      "replace each pair weight_g and weight_v of a weight norm by the weight it makes, and say "
      "so in xp.cfg",
      {}};
}

bool computes(const ExportRequest& request) {
  const bool folds = std::ranges::any_of(request.options, [](const OptionValue& option) {
    return option.name == kFoldOption && option.value == "true";
  });
  return folds || !request.option_is(kDtypeOption, kKeep) ||
         !request.option_is(kDtypeOfOption, "") || !request.option_is(kAverageOption, "");
}

void require_nothing_computed(const ExportRequest& request, std::string_view what) {
  if (!computes(request)) return;
  throw Error(ErrorKind::usage, "option.value",
              "this is " + std::string(what) + ": it holds no weights to cast, fold or average",
              "leave the options dtype, dtype-of, fold-weight-norm and average out");
}

void average(State& state, const std::vector<State>& others) {
  if (others.empty()) return;
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
  for (NamedTensor& named : state.tensors) {
    std::vector<const NamedTensor*> same;
    for (std::size_t i = 0; i < others.size(); ++i) {
      const auto found = by_name[i].find(named.name);
      if (found == by_name[i].end()) {
        throw refuse(others[i].where + " has no tensor " + quoted(named.name) + " to average with");
      }
      if (found->second->shape() != named.shape()) {
        throw refuse("tensor " + quoted(named.name) + " is " + shape_text(found->second->shape()) +
                     " in " + others[i].where + ", and " + shape_text(named.shape()) + " in " +
                     state.where);
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
    if (others[i].tensors.size() != state.tensors.size()) {
      throw refuse(others[i].where + " has " + tensors_text(others[i].tensors.size()) + ", " +
                   state.where + " has " + std::to_string(state.tensors.size()));
    }
  }
  state.notes.push_back("weights are the mean over " + std::to_string(others.size() + 1) +
                        " checkpoints");
}

void fold_weight_norm(State& state) {
  const std::vector<NamedTensor> before = std::move(state.tensors);
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
  state.tensors.clear();
  for (const NamedTensor& named : before) {
    if (partner(named, kDirection, kGain) != nullptr) continue;
    const NamedTensor* direction = partner(named, kGain, kDirection);
    if (direction == nullptr) {
      state.tensors.push_back(named);
      continue;
    }
    const std::string name = named.name.substr(0, named.name.size() - kGain.size()) + ".weight";
    if (by_name.contains(name)) {
      throw Error(ErrorKind::input, "fold.duplicate",
                  state.where + " holds " + quoted(name) +
                      " beside the weight_g and weight_v that " + "make it",
                  "leave the option fold-weight-norm out");
    }
    ElementsPtr weight = with_context(quoted(name), [&] {
      return craftbundle::fold_weight_norm(sharing.elements(named), sharing.elements(*direction));
    });
    state.tensors.push_back({name, ComputedTensor{direction->dtype(), std::move(weight), name}});
    ++pairs;
  }
  if (pairs == 0) {
    throw Error(ErrorKind::input, "fold.none",
                state.where + " holds no pair weight_g and weight_v: no weight norm to fold",
                "leave the option fold-weight-norm out");
  }
  state.notes.push_back("weight norm of " + std::to_string(pairs) + " convolutions folded");
}

void reorder(State& state, const ExpectedState& expected) {
  std::unordered_map<std::string_view, std::size_t> places;
  for (const ExpectedTensor& tensor : expected.tensors()) {
    places.emplace(tensor.name, places.size());
  }
  std::ranges::stable_sort(state.tensors, {}, [&](const NamedTensor& named) {
    const auto place = places.find(named.name);
    return place == places.end() ? places.size() : place->second;
  });
}

void cast(State& state, const ExportRequest& request) {
  const std::string& wanted = request.option(kDtypeOption);
  std::vector<Rule> rules = read_rules(request.option(kDtypeOfOption));
  if (wanted == kKeep && rules.empty()) return;
  Sharing sharing;
  std::map<std::string, std::size_t> counts;  // by type
  std::size_t stayed = 0;
  for (NamedTensor& named : state.tensors) {
    if (!is_floating(named.dtype())) continue;
    std::optional<DType> dtype;
    for (Rule& rule : rules) {
      if (!matches(rule.pattern, named.name)) continue;
      ++rule.tensors;
      if (!dtype) dtype = rule.dtype;
    }
    if (!dtype && wanted != kKeep) {
      const bool stays = std::ranges::any_of(
          kCounters, [&](std::string_view pattern) { return matches(pattern, named.name); });
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
      throw bad_rule(rule.pattern, "matches no tensor of " + state.where);
    }
  }
  for (const auto& [type, count] : counts) {
    state.notes.push_back(tensors_text(count) + (count == 1 ? " is " : " are ") + type +
                          " as asked for");
  }
  if (stayed == 1) state.notes.emplace_back("1 tensor that counts keeps its type");
  if (stayed > 1) state.notes.push_back(tensors_text(stayed) + " that count keep their type");
}

}  // namespace craftbundle::audiocraft
