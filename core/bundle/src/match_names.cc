#include "match_names.h"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

// Segments that wrappers put anywhere into names.
constexpr std::array<std::string_view, 3> kWrappers = {"_orig_mod.", "_fsdp_wrapped_module.",
                                                       "_checkpoint_wrapped_module."};

// How torch.nn.utils.parametrizations calls what torch.nn.utils.weight_norm calls otherwise.
struct Spelling {
  std::string_view from;
  std::string_view to;
};
constexpr std::array<Spelling, 2> kSpellings = {
    {{".parametrizations.weight.original0", ".weight_g"},
     {".parametrizations.weight.original1", ".weight_v"}}};

bool remove_segment(std::string& name, std::string_view segment) {
  bool removed = false;
  for (std::size_t at = name.find(segment); at != std::string::npos; at = name.find(segment, at)) {
    if (at == 0 || name[at - 1] == '.') {
      name.erase(at, segment.size());
      removed = true;
    } else {
      at += segment.size();
    }
  }
  return removed;
}

// "model." of "model.lm.weight".
std::string_view first_segment(std::string_view name) {
  return name.substr(0, std::min(name.find('.'), name.size() - 1) + 1);
}

// Calls `action` with every beginning of `name` that ends where a segment does: "", "model.", ...
template <typename Action>
void for_each_prefix(std::string_view name, Action&& action) {
  action(std::string_view());
  for (std::size_t dot = name.find('.'); dot != std::string_view::npos;
       dot = name.find('.', dot + 1)) {
    action(name.substr(0, dot + 1));
  }
}

// The part of `name` by which it is told that it is another one than those with `prefix`:
// "model.compression.*".
std::string group_of(std::string_view name, std::string_view prefix) {
  std::string_view common;
  for_each_prefix(name, [&](std::string_view begin) {
    if (prefix.starts_with(begin)) common = begin;
  });
  const std::string_view next = first_segment(name.substr(common.size()));
  return std::string(common) + std::string(next) + (next.ends_with('.') ? "*" : "");
}

std::string groups_text(const std::vector<std::string_view>& names, std::string_view prefix) {
  constexpr std::size_t kShown = 8;
  std::vector<std::pair<std::string, std::size_t>> groups;
  for (const std::string_view name : names) {
    const std::string group = group_of(name, prefix);
    const auto known =
        std::ranges::find(groups, group, &std::pair<std::string, std::size_t>::first);
    if (known == groups.end()) {
      groups.emplace_back(group, 1);
    } else {
      ++known->second;
    }
  }
  std::string text;
  for (std::size_t i = 0; i < std::min(groups.size(), kShown); ++i) {
    text += (text.empty() ? "" : ", ") + quoted(groups[i].first, 100);
    if (groups.size() > 1) text += " (" + std::to_string(groups[i].second) + ")";
  }
  if (groups.size() > kShown) text += " and " + std::to_string(groups.size() - kShown) + " more";
  return text;
}

bool contains(const std::vector<std::string>& names, std::string_view part) {
  return std::ranges::any_of(
      names, [&](const std::string& name) { return name.find(part) != std::string::npos; });
}

std::string advice(const std::vector<std::string>& missing,
                   const std::vector<std::string>& unexpected) {
  for (const std::string_view part : {"lora_A", "lora_B", ".base_layer."}) {
    if (!contains(unexpected, part)) continue;
    return "these weights hold an adapter beside the model: merge it before they are saved "
           "(merge_and_unload() of peft)";
  }
  const bool folded = std::ranges::any_of(missing, [&](const std::string& name) {
    constexpr std::string_view kGain = "_g";
    return name.ends_with(".weight_g") &&
           std::ranges::count(unexpected, name.substr(0, name.size() - kGain.size())) != 0;
  });
  if (folded) {
    return "weight norm was removed from these weights: name a model without, such as an export "
           "with --fold-weight-norm";
  }
  return "name the model that these weights were made from";
}

}  // namespace

NamedWeights::NamedWeights(const Weights& weights, const std::vector<NamedTensor>& known)
    : weights_(weights), known_(known) {
  for (const NamedTensor& named : known_) known_names_.insert(named.name);
  for (const WeightDict& dict : weights_.dicts) clean(dict);
  find_matches();
}

void NamedWeights::clean(const WeightDict& dict) {
  Dict cleaned;
  std::map<std::string, std::size_t> removed;
  for (const WeightDict::Entry& entry : dict.entries) {
    std::string name = entry.name;
    for (const std::string_view wrapper : kWrappers) {
      if (remove_segment(name, wrapper)) ++removed[std::string(wrapper)];
    }
    for (const Spelling& spelling : kSpellings) {
      if (!name.ends_with(spelling.from)) continue;
      const std::string other =
          name.substr(0, name.size() - spelling.from.size()) + std::string(spelling.to);
      bool is_known = false;
      for_each_prefix(other, [&](std::string_view begin) {
        is_known = is_known || known_names_.contains(std::string_view(other).substr(begin.size()));
      });
      if (!is_known) continue;
      name = other;
      ++removed[std::string(spelling.from)];
    }
    cleaned.names.push_back(std::move(name));
  }
  for (const auto& [part, count] : removed) {
    const auto spelling = std::ranges::find(kSpellings, part, &Spelling::from);
    cleaned.removed.push_back(spelling == kSpellings.end()
                                  ? quoted(part) + " taken out of the names of " +
                                        counted(count, "tensor")
                                  : counted(count, "tensor") + " '*" + part + "' called '*" +
                                        std::string(spelling->to) + "'");
  }
  dicts_.push_back(std::move(cleaned));
}

void NamedWeights::find_matches() {
  for (std::size_t i = 0; i < dicts_.size(); ++i) {
    std::map<std::string_view, std::size_t> counts;
    for (const std::string& name : dicts_[i].names) {
      for_each_prefix(name, [&](std::string_view prefix) {
        const bool counts_here =
            known_.empty() || known_names_.contains(std::string_view(name).substr(prefix.size()));
        if (counts_here) ++counts[prefix];
      });
    }
    for (const auto& [prefix, count] : counts) matches_.push_back({i, std::string(prefix), count});
  }
  std::ranges::stable_sort(matches_, [](const NameMatch& a, const NameMatch& b) {
    return a.count != b.count ? a.count > b.count : a.prefix.size() < b.prefix.size();
  });
}

NamedWeights::Selection NamedWeights::select(const NameMatch& match) const {
  const WeightDict& dict = weights_.dicts[match.dict];
  const Dict& cleaned = dicts_[match.dict];
  Selection selection{dict.where, {}, cleaned.removed, {}};
  std::unordered_map<std::string_view, const WeightDict::Entry*> found;
  std::unordered_set<std::string_view> beginnings;
  for (const NamedTensor& named : known_) beginnings.insert(first_segment(named.name));
  std::vector<std::string_view> others;
  std::vector<std::string> unexpected;
  std::size_t taken = 0;
  for (std::size_t i = 0; i < cleaned.names.size(); ++i) {
    const std::string_view name = cleaned.names[i];
    if (!name.starts_with(match.prefix) || name.size() == match.prefix.size()) {
      others.push_back(name);
      continue;
    }
    const std::string_view plain = name.substr(match.prefix.size());
    if (!known_.empty() && !known_names_.contains(plain)) {
      // What stands beside the parts of the model is another thing only where they are not kept
      // together by a prefix.
      if (match.prefix.empty() && !beginnings.contains(first_segment(plain))) {
        others.push_back(name);
      } else {
        unexpected.emplace_back(plain);
      }
      continue;
    }
    if (!found.emplace(plain, &dict.entries[i]).second) {
      throw Error(ErrorKind::input, "weights.names",
                  dict.where + " has two tensors that are " + quoted(plain) +
                      " once what wrappers put into names is taken out",
                  "save the state dict of the model itself");
    }
    ++taken;
    if (known_.empty()) {
      selection.tensors.push_back({std::string(plain), WeightDict::tensor_of(dict.entries[i])});
    }
  }
  std::vector<std::string> missing;
  std::vector<std::string> reshaped;
  for (const NamedTensor& named : known_) {
    const auto entry = found.find(named.name);
    if (entry == found.end()) {
      missing.push_back(named.name);
      continue;
    }
    NamedTensor tensor{named.name, WeightDict::tensor_of(*entry->second)};
    if (tensor.shape() != named.shape()) {
      reshaped.push_back(named.name + ": " + shape_text(tensor.shape()) + " instead of " +
                         shape_text(named.shape()));
    }
    selection.tensors.push_back(std::move(tensor));
  }
  std::string differences;
  const auto list = [&](const std::vector<std::string>& names, std::string_view what) {
    if (names.empty()) return;
    differences += (differences.empty() ? "" : "; ") + std::to_string(names.size()) + " " +
                   std::string(what) + " (" + list_text(names) + ")";
  };
  list(missing, "missing");
  list(unexpected, "unexpected");
  list(reshaped, "of another shape");
  if (!differences.empty()) {
    throw Error(ErrorKind::input, "weights.tensors",
                dict.where +
                    (match.prefix.empty() ? std::string()
                                          : ", without the prefix " + quoted(match.prefix) + ",") +
                    " does not hold the tensors of the model: " + differences,
                advice(missing, unexpected));
  }
  if (!match.prefix.empty()) {
    selection.checks.push_back("prefix " + quoted(match.prefix) + " taken off " +
                               counted(taken, "tensor"));
  }
  if (!others.empty()) {
    selection.warnings.push_back(counted(others.size(), "other tensor") +
                                 " left out: " + groups_text(others, match.prefix));
  }
  if (known_.empty()) return selection;
  std::vector<std::string> rivals;
  for (const NameMatch& other : matches_) {
    if (other.dict != match.dict && other.count == match.count) {
      const std::string& where = weights_.dicts[other.dict].where;
      if (std::ranges::count(rivals, where) == 0) rivals.push_back(where);
    }
  }
  if (!rivals.empty()) {
    selection.warnings.push_back(dict.where + " is taken; the same names are in " +
                                 join(rivals, ", ") + ", left out");
  }
  return selection;
}

std::vector<std::string> NamedWeights::given_names() const {
  return dicts_.empty() ? std::vector<std::string>() : dicts_.front().names;
}

}  // namespace craftbundle
