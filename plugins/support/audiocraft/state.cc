#include "craftbundle/audiocraft_rules/state.h"

#include <algorithm>
#include <array>
#include <boost/filesystem/operations.hpp>
#include <charconv>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/limits.h"

namespace craftbundle::audiocraft {
namespace {

// Longest name and number of names that one list of a message shows: four lists of these stay
// readable in a terminal.
constexpr std::size_t kShownName = 100;
constexpr std::size_t kShownNames = 8;

Error refuse(std::string_view code, std::string message, std::string hint = {}) {
  return Error(ErrorKind::input, code, std::move(message), std::move(hint));
}

// What Python's `if value:` decides.
bool is_truthy(std::optional<Object> value) {
  if (!value) return false;
  switch (value->kind()) {
    case Kind::none:
      return false;
    case Kind::boolean:
      return value->as_bool();
    case Kind::integer:
      return value->as_int() != 0;
    case Kind::list:
    case Kind::tuple:
    case Kind::set:
    case Kind::dict:
      return value->size() != 0;
    default:
      return true;
  }
}

std::vector<std::string> string_keys(Object dict) {
  std::vector<std::string> keys;
  for (const DictView::Entry entry : dict.entries()) {
    if (keys.size() > kShownNames) break;
    keys.push_back(entry.key.is(Kind::string) ? std::string(entry.key.as_string())
                                              : describe(entry.key));
  }
  return keys;
}

std::string keys_text(Object dict) {
  return dict.size() == 0 ? "nothing" : list_text(string_keys(dict));
}

bool is_complex(DType dtype) {
  return dtype == DType::complex32 || dtype == DType::complex64 || dtype == DType::complex128;
}

constexpr std::string_view kCompiled = "_orig_mod.";
constexpr std::string_view kDistributed = "module.";

// Models of other layouts have no place in a checkpoint.
std::string place_of(const State& state) { return state.where.empty() ? "the model" : state.where; }

// `name` without the segment `wrapper`, wherever it stands.
std::string without(std::string_view wrapper, std::string name) {
  for (std::size_t at = name.find(wrapper); at != std::string::npos; at = name.find(wrapper, at)) {
    if (at == 0 || name[at - 1] == '.') {
      name.erase(at, wrapper.size());
    } else {
      at += wrapper.size();
    }
  }
  return name;
}

// FSDP puts these into the names of what it wraps; AudioCraft takes them out when it loads.
std::string without_wrappers(std::string_view name) {
  constexpr std::array<std::string_view, 2> kWrappers = {"_fsdp_wrapped_module.",
                                                         "_checkpoint_wrapped_module."};
  std::string result(name);
  for (const std::string_view wrapper : kWrappers) result = without(wrapper, std::move(result));
  return result;
}

// Whether `value` is a ShardedTensor or DTensor: a piece of a tensor that is spread over processes.
bool is_distributed(Object value) {
  if (!value.is(Kind::call) || !value.arguments().is(Kind::tuple)) return false;
  const Object arguments = value.arguments();
  for (std::size_t i = 0; i < std::min<std::size_t>(arguments.size(), 2); ++i) {
    if (!arguments[i].is(Kind::global)) continue;
    const std::string_view name = arguments[i].qualified_name();
    if (name == "ShardedTensor" || name == "DTensor") return true;
  }
  return false;
}

// "checkpoint.th.3" is what rank 3 of a sharded training wrote beside "checkpoint.th".
struct RankFile {
  std::string rank;
  Path full;  // of rank 0
};

std::optional<RankFile> rank_file(const Path& path) {
  const std::string name = path.filename().string();
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos || dot + 1 == name.size()) return std::nullopt;
  const std::string rank = name.substr(dot + 1);
  const bool digits =
      std::all_of(rank.begin(), rank.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || !name.substr(0, dot).ends_with(".th")) return std::nullopt;
  return RankFile{rank, path.parent_path() / name.substr(0, dot)};
}

Error rank_shard(const Checkpoint& checkpoint, const std::string& found) {
  const std::optional<RankFile> file = rank_file(checkpoint.file().path());
  const std::string owner =
      file ? "rank " + printable(file->rank, 12) : std::string("a rank other than 0");
  std::string hint = "export the checkpoint.th that rank 0 wrote";
  if (file) {
    boost::system::error_code ignored;
    hint = boost::filesystem::exists(file->full, ignored)
               ? "export " + quoted(file->full.string()) + " instead"
               : "export " + quoted(file->full.filename().string()) + " of the same training";
  }
  return refuse("state.rank_shard",
                "this is the shard of " + owner +
                    " of a training with FSDP; the full state is in checkpoint.th of rank 0 (" +
                    found + ")",
                std::move(hint));
}

bool is_flattened(const State& state) {
  const auto flat_name = [](const NamedTensor& named) {
    return named.name.ends_with("flat_param");
  };
  const auto flat_shape = [](const NamedTensor& named) { return named.shape().size() <= 1; };
  return std::any_of(state.tensors.begin(), state.tensors.end(), flat_name) ||
         (state.tensors.size() > 1 &&
          std::all_of(state.tensors.begin(), state.tensors.end(), flat_shape));
}

// The state dict under `path`, or why it is not there.
struct Lookup {
  std::optional<Object> dict;
  std::string missing;
};

Lookup look_up(Object root, std::initializer_list<const char*> path) {
  Object at = root;
  std::string where;
  for (const char* key : path) {
    if (!at.is(Kind::dict)) return {std::nullopt, where + " is " + describe(at)};
    const std::optional<Object> next = at.find(key);
    const std::string here = where.empty() ? std::string("the checkpoint") : where;
    if (!next) {
      return {std::nullopt, here + " has no '" + key + "' (it holds " + keys_text(at) + ")"};
    }
    where = where.empty() ? key : where + "['" + key + "']";
    at = *next;
  }
  if (!at.is(Kind::dict)) return {std::nullopt, where + " is " + describe(at)};
  if (at.size() == 0) return {std::nullopt, where + " is empty"};
  return {at, {}};
}

Lookup look_up_ema(Object root) { return look_up(root, {"ema", "state", "model"}); }
Lookup look_up_last(Object root) { return look_up(root, {"model"}); }

// "pass --state last or --state ema", for what the file does hold.
std::string other_states(Object root) {
  std::vector<std::string> there;
  if (look_up_last(root).dict) there.push_back("last");
  if (look_up_ema(root).dict) there.push_back("ema");
  if (there.empty())
    return "the file has no other state either; use another checkpoint of the training";
  std::string text = "the file has another state: pass --state " + there.front();
  if (there.size() > 1) text += " or --state " + there.back();
  return text;
}

State best_state(const Checkpoint& checkpoint) {
  const Object root = checkpoint.root();
  if (is_truthy(root.find("fsdp_best_state"))) {
    const Lookup full = look_up(root, {"fsdp_best_state", "model"});
    if (full.dict) return read_state(*full.dict, checkpoint, "fsdp_best_state['model']");
    // Every process but the first keeps the key and drops the tensors; Python's export writes an
    // empty model then.
    const std::optional<Object> holder = root.find("fsdp_best_state");
    if (holder->is(Kind::dict) && holder->find("model") && !is_truthy(holder->find("model"))) {
      throw rank_shard(checkpoint, full.missing);
    }
    throw refuse("state.missing", full.missing + "; expected the state dict of the model",
                 other_states(root));
  }
  const Lookup best = look_up(root, {"best_state", "model"});
  if (best.dict) return read_state(*best.dict, checkpoint, "best_state['model']");
  const std::optional<Object> holder = root.find("best_state");
  if (holder && !is_truthy(holder)) {
    throw refuse("state.empty",
                 "best_state is empty: the training has not finished an epoch with validation",
                 other_states(root));
  }
  throw refuse("state.missing", best.missing + "; expected the best state of the training",
               other_states(root));
}

State last_state(const Checkpoint& checkpoint) {
  const Lookup last = look_up_last(checkpoint.root());
  if (!last.dict) {
    throw refuse("state.missing", "there is no last state: " + last.missing, "use --state best");
  }
  return read_state(*last.dict, checkpoint, "model");
}

State ema_state(const Checkpoint& checkpoint) {
  const Lookup ema = look_up_ema(checkpoint.root());
  if (!ema.dict) {
    throw refuse("state.missing", "there is no moving average of the weights: " + ema.missing,
                 "use --state best, or train with optim.ema.use=true");
  }
  State state = read_state(*ema.dict, checkpoint, "ema['state']['model']");
  const Lookup last = look_up_last(checkpoint.root());
  if (!last.dict) return state;
  // The average leaves out counters and other integers; the model has them.
  std::unordered_set<std::string_view> averaged;
  for (const NamedTensor& named : state.tensors) averaged.insert(named.name);
  std::vector<NamedTensor> added;
  for (NamedTensor& named : read_state(*last.dict, checkpoint, "model").tensors) {
    if (!is_floating(named.dtype()) && !averaged.contains(named.name)) {
      added.push_back(std::move(named));
    }
  }
  if (!added.empty()) {
    state.notes.push_back(std::to_string(added.size()) +
                          " tensors of integers taken from 'model': they have no moving average");
  }
  std::move(added.begin(), added.end(), std::back_inserter(state.tensors));
  return state;
}

// One list of a message: "3 missing ('a', 'b' and 'c')".
class Findings {
 public:
  explicit Findings(std::string what) : what_(std::move(what)) {}

  void add(const std::string& name, const std::string& detail = {}) {
    if (++count_ <= kShownNames) shown_.push_back(quoted(name, kShownName) + detail);
  }
  bool empty() const { return count_ == 0; }
  // With at most so many names, REQUIRES: at most kShownNames.
  std::string text(std::size_t most) const {
    const std::size_t shown = std::min(most, shown_.size());
    const std::string more =
        count_ > shown ? " and " + std::to_string(count_ - shown) + " more" : "";
    return std::to_string(count_) + " " + what_ + " (" +
           join(std::span(shown_).first(shown), ", ") + more + ")";
  }

 private:
  std::string what_;
  std::vector<std::string> shown_;
  std::size_t count_ = 0;
};

bool shape_fits(const std::vector<std::int64_t>& found, const std::vector<std::int64_t>& expected) {
  return std::equal(found.begin(), found.end(), expected.begin(), expected.end(),
                    [](std::int64_t a, std::int64_t b) { return b == kAnySize || a == b; });
}

std::string expected_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) {
    if (text.size() > 1) text += ", ";
    text += size == kAnySize ? "any" : std::to_string(size);
  }
  return text + "]";
}

// Whether convolutions have their weight where `expected` has the two halves of a weight norm.
bool is_folded(const State& state, const ExpectedState& expected) {
  constexpr std::string_view kGain = "_g";
  std::unordered_set<std::string_view> names;
  for (const NamedTensor& named : state.tensors) names.insert(named.name);
  return std::ranges::any_of(expected.tensors(), [&](const ExpectedTensor& tensor) {
    const std::string_view name = tensor.name;
    return name.ends_with(".weight_g") && !names.contains(name) &&
           names.contains(name.substr(0, name.size() - kGain.size()));
  });
}

// What stands in front of the names of all tensors that are expected; empty: nothing does.
std::string common_prefix(const State& state, const ExpectedState& expected) {
  if (expected.tensors().empty()) return {};
  std::unordered_set<std::string_view> names;
  for (const NamedTensor& named : state.tensors) names.insert(named.name);
  const std::string last = "." + expected.tensors().front().name;
  for (const std::string_view name : names) {
    if (!name.ends_with(last)) continue;
    const std::string prefix(name.substr(0, name.size() - last.size() + 1));
    if (std::ranges::all_of(expected.tensors(), [&](const ExpectedTensor& tensor) {
          return names.contains(prefix + tensor.name) ||
                 (!tensor.also.empty() && names.contains(prefix + tensor.also));
        })) {
      return prefix;
    }
  }
  return {};
}

// Why names differ and what to do about it; empty when that cannot be told from them.
std::string known_reason(const State& state, const ExpectedState& expected) {
  const auto any_name = [&](std::string_view part) {
    return std::any_of(state.tensors.begin(), state.tensors.end(), [&](const NamedTensor& named) {
      return named.name.find(part) != std::string::npos;
    });
  };
  if (any_name(".parametrizations.weight.")) {
    return "the weight norm was saved by torch.nn.utils.parametrizations; AudioCraft reads "
           "weight_g (original0) and weight_v (original1): rename the tensors";
  }
  if (any_name(".lora_A") || any_name(".lora_B")) {
    return "an adapter lies beside the weights: merge it before they are saved "
           "(merge_and_unload() of peft)";
  }
  if (is_folded(state, expected)) {
    return "weight norm was removed from the tensors; xp.cfg needs seanet.norm: none then, as "
           "--fold-weight-norm writes it";
  }
  if (any_name("encoder.layers.0.conv.")) {
    return "these are names of transformers' EncodecModel; give its Hugging Face name instead of "
           "the file";
  }
  if (const std::string prefix = common_prefix(state, expected); !prefix.empty()) {
    return "the model is there, under names that begin with " + quoted(prefix, kShownName) +
           ", beside other tensors: say with --config-from which model has the same configuration";
  }
  return {};
}

std::string unknown_reason(std::string_view config) {
  const std::string name(config);
  return "the tensors and " + name + " come from different models, or " + name +
         " was edited after training";
}

}  // namespace

StateChoice state_choice(std::string_view option) {
  if (option == "best") return StateChoice::best;
  if (option == "ema") return StateChoice::ema;
  if (option == "last") return StateChoice::last;
  throw Error(ErrorKind::usage, "option.value",
              "option 'state' is " + quoted(option) + ", expected best, ema or last")
      .about("option:state");
}

State choose_state(const Checkpoint& checkpoint, const Config& config, StateChoice choice) {
  State state = choice == StateChoice::best  ? best_state(checkpoint)
                : choice == StateChoice::ema ? ema_state(checkpoint)
                                             : last_state(checkpoint);
  if (config.get_bool("fsdp.use").value_or(false) && is_flattened(state)) {
    const std::string found = place_of(state) + " holds flat pieces of the tensors";
    if (!is_truthy(checkpoint.root().find("fsdp_best_state"))) throw rank_shard(checkpoint, found);
    throw refuse("state.rank_shard",
                 found +
                     ", as each process of a training with FSDP keeps them; the full state is "
                     "fsdp_best_state",
                 "use --state best");
  }
  return state;
}

void remove_wrappers(State& state) {
  const auto note = [&](std::string_view wrapper, std::string_view whose, std::size_t count) {
    state.notes.push_back("'" + std::string(wrapper) + "' of " + std::string(whose) +
                          " taken out of the names of " + counted(count, "tensor"));
  };
  std::size_t compiled = 0;
  for (NamedTensor& named : state.tensors) {
    std::string name = without(kCompiled, named.name);
    if (name == named.name) continue;
    ++compiled;
    named.name = std::move(name);
  }
  if (compiled > 0) note(kCompiled, "torch.compile", compiled);
  const bool distributed = std::ranges::all_of(
      state.tensors, [](const NamedTensor& named) { return named.name.starts_with(kDistributed); });
  if (distributed && !state.tensors.empty()) {
    for (NamedTensor& named : state.tensors) named.name.erase(0, kDistributed.size());
    note(kDistributed, "DistributedDataParallel", state.tensors.size());
  }
  if (compiled == 0 && !distributed) return;
  std::unordered_set<std::string_view> names;
  for (const NamedTensor& named : state.tensors) {
    if (!names.insert(named.name).second) {
      throw refuse("state.duplicate",
                   place_of(state) + " has two tensors named " + quoted(named.name));
    }
  }
}

State read_state(Object dict, const Checkpoint& checkpoint, std::string where) {
  if (!dict.is(Kind::dict)) {
    throw refuse("state.type", where + " is " + describe(dict) + ", expected a dict of tensors");
  }
  if (dict.size() == 0) throw refuse("state.empty", where + " is empty, expected tensors by name");
  State state;
  state.where = std::move(where);
  state.tensors.reserve(dict.size());
  std::unordered_set<std::string> names;
  bool unwrapped = false;
  for (const DictView::Entry entry : dict.entries()) {
    if (!entry.key.is(Kind::string)) {
      throw refuse("state.name", state.where + " has the key " + describe(entry.key) +
                                     ", expected names of tensors");
    }
    const std::string_view given = entry.key.as_string();
    const std::string place = state.where + "[" + quoted(given, kShownName) + "]";
    if (given.empty() || given.size() > limits::kTensorNameBytes) {
      throw refuse("state.name", place + ": a name of " + std::to_string(given.size()) +
                                     " bytes, expected 1 to " +
                                     std::to_string(limits::kTensorNameBytes));
    }
    if (is_distributed(entry.value)) {
      throw refuse("state.rank_shard",
                   place + " is a distributed tensor, of which this file holds one piece",
                   "gather the full state on rank 0 before saving it (FSDP: FULL_STATE_DICT)");
    }
    if (!Checkpoint::is_tensor(entry.value)) {
      const bool packed = given.find("_packed_params") != std::string_view::npos;
      throw refuse("state.value", place + " is " + describe(entry.value) + ", expected a tensor",
                   packed ? "the model was quantized by PyTorch: export it before that" : "");
    }
    std::string name = without_wrappers(given);
    unwrapped = unwrapped || name != given;
    if (!names.insert(name).second) {
      throw refuse("state.duplicate", place_of(state) + " has two tensors named " + quoted(name));
    }
    Tensor tensor = with_context(place, [&] { return checkpoint.tensor(entry.value); });
    state.tensors.push_back({std::move(name), std::move(tensor)});
  }
  if (unwrapped) state.notes.push_back("wrapper names of FSDP removed from tensor names");
  return state;
}

void ExpectedState::add(std::string name, std::vector<std::int64_t> shape) {
  tensors_.push_back({std::move(name), std::move(shape)});
}

void ExpectedState::add_linear(const std::string& prefix, std::int64_t out, std::int64_t in,
                               bool bias) {
  add(prefix + ".weight", {out, in});
  if (bias) add(prefix + ".bias", {out});
}

void ExpectedState::add_norm(const std::string& prefix, std::int64_t size) {
  add(prefix + ".weight", {size});
  add(prefix + ".bias", {size});
}

void ExpectedState::add_weight_norm(const std::string& prefix,
                                    const std::vector<std::int64_t>& shape, std::int64_t out) {
  // The norm is taken over all dimensions but the first, transposed convolutions included.
  std::vector<std::int64_t> gain(shape.size(), 1);
  gain.front() = shape.front();
  add(prefix + ".bias", {out});
  add(prefix + ".weight_g", std::move(gain));
  add(prefix + ".weight_v", shape);
}

void ExpectedState::add_codebooks(const std::string& prefix, std::int64_t count, std::int64_t bins,
                                  std::int64_t dimension) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::string codebook = prefix + ".vq.layers." + std::to_string(i) + "._codebook.";
    add(codebook + "inited", {1});
    add(codebook + "cluster_size", {bins});
    add(codebook + "embed", {bins, dimension});
    add(codebook + "embed_avg", {bins, dimension});
  }
}

void ExpectedState::add_counter(std::string name) {
  tensors_.push_back({std::move(name), {}, false});
}

void ExpectedState::allow_name(std::string also) { tensors_.back().also = std::move(also); }

void ExpectedState::add_unchecked(UncheckedGroup group) { unchecked_.push_back(std::move(group)); }

void remove_prefix(State& state, const ExpectedState& expected) {
  const std::string prefix = common_prefix(state, expected);
  if (prefix.empty() || !std::ranges::all_of(state.tensors, [&](const NamedTensor& named) {
        return named.name.starts_with(prefix);
      })) {
    return;
  }
  for (NamedTensor& named : state.tensors) named.name.erase(0, prefix.size());
  state.notes.push_back("prefix " + quoted(prefix, kShownName) + " taken off the names of " +
                        counted(state.tensors.size(), "tensor"));
}

std::vector<std::string> check_state(const State& state, const ExpectedState& expected,
                                     std::string_view config) {
  std::unordered_map<std::string_view, const ExpectedTensor*> by_name;
  for (const ExpectedTensor& tensor : expected.tensors()) {
    by_name.emplace(tensor.name, &tensor);
    if (!tensor.also.empty()) by_name.emplace(tensor.also, &tensor);
  }

  Findings missing("missing");
  Findings unexpected("unexpected");
  Findings reshaped("of another shape");
  Findings retyped("of another type");
  std::unordered_set<std::string_view> seen;
  std::vector<std::size_t> group_sizes(expected.unchecked().size(), 0);
  for (const NamedTensor& named : state.tensors) {
    const auto found = by_name.find(named.name);
    if (found == by_name.end()) {
      const auto& groups = expected.unchecked();
      const auto group = std::find_if(groups.begin(), groups.end(), [&](const UncheckedGroup& g) {
        return named.name.starts_with(g.prefix);
      });
      if (group == groups.end()) {
        unexpected.add(named.name);
      } else {
        ++group_sizes[static_cast<std::size_t>(group - groups.begin())];
      }
      continue;
    }
    const ExpectedTensor& want = *found->second;
    if (!seen.insert(want.name).second) {
      unexpected.add(named.name);
      continue;
    }
    const std::vector<std::int64_t>& shape = named.shape();
    if (!shape_fits(shape, want.shape)) {
      reshaped.add(named.name,
                   " is " + shape_text(shape) + ", expected " + expected_text(want.shape));
    }
    if (want.floating && (!is_floating(named.dtype()) || is_complex(named.dtype()))) {
      retyped.add(named.name, " is " + std::string(name(named.dtype())) +
                                  (is_complex(named.dtype()) ? ", expected real numbers"
                                                             : ", expected floating point"));
    }
  }
  for (const ExpectedTensor& tensor : expected.tensors()) {
    if (!seen.contains(tensor.name)) missing.add(tensor.name);
  }
  for (std::size_t i = 0; i < group_sizes.size(); ++i) {
    const UncheckedGroup& group = expected.unchecked()[i];
    if (group.required && group_sizes[i] == 0) missing.add(group.prefix + "*");
  }

  // Names tell little once it is known why they differ.
  constexpr std::size_t kShownExplained = 2;
  const bool agree = missing.empty() && unexpected.empty() && reshaped.empty() && retyped.empty();
  const std::string reason = agree ? std::string() : known_reason(state, expected);
  const std::size_t most = reason.empty() ? kShownNames : kShownExplained;
  std::string differences;
  for (const Findings* findings : {&missing, &unexpected, &reshaped, &retyped}) {
    if (findings->empty()) continue;
    if (!differences.empty()) differences += "; ";
    differences += findings->text(most);
  }
  if (!differences.empty()) {
    throw refuse("state.tensors",
                 place_of(state) + " does not hold the tensors that " + std::string(config) +
                     " describes: " + differences,
                 reason.empty() ? unknown_reason(config) : reason);
  }

  const bool one = expected.tensors().size() == 1;
  std::vector<std::string> checks = {
      counted(expected.tensors().size(), "tensor") + " of " + place_of(state) +
      (one ? " has the name and shape" : " have the names and shapes") + " that " +
      std::string(config) + " implies"};
  for (std::size_t i = 0; i < group_sizes.size(); ++i) {
    if (group_sizes[i] == 0) continue;
    checks.push_back(counted(group_sizes[i], "tensor") + " of " + expected.unchecked()[i].what +
                     " taken as they are");
  }
  return checks;
}

std::vector<std::string> ExpectedState::names() const {
  std::vector<std::string> names;
  names.reserve(tensors_.size());
  for (const ExpectedTensor& tensor : tensors_) names.push_back(tensor.name);
  return names;
}

}  // namespace craftbundle::audiocraft
