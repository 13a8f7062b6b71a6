// Reading a LoRA adapter, finding what its names mean in a model, and adding it.
#include "craftbundle/detail/bundle/adapter.h"

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <cmath>
#include <map>
#include <set>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/plugin/context.h"
#include "craftbundle/detail/tensor/convert.h"

namespace craftbundle {
namespace {

constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kTensorFile = "adapter_model.safetensors";
constexpr const char* kPickledFile = "adapter_model.bin";
constexpr std::uint64_t kMaxConfigBytes = 16U << 20;
constexpr std::size_t kListed = 16;  // names in a message

// Around the whole model.
constexpr std::string_view kPrefix = "base_model.model.";
// What PEFT puts around a module that it adapts, or saves as a whole.
constexpr std::string_view kBaseLayer = "base_layer";
constexpr std::string_view kSaved = "modules_to_save";
constexpr std::string_view kOriginal = "original_module";
constexpr std::string_view kWeight = ".weight";
// Of torch.nn.MultiheadAttention, which PEFT adapts under the name of the module.
constexpr std::string_view kProjections = ".in_proj_weight";

using Shape = std::vector<std::int64_t>;

Error refusal(std::string_view check, const std::string& message, const std::string& hint = {}) {
  return Error(ErrorKind::input, "adapter." + std::string(check), message, hint);
}

std::vector<std::string> split(std::string_view name) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t dot = name.find('.');
    parts.emplace_back(name.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    name.remove_prefix(dot + 1);
  }
}

bool is_there(const Path& path) {
  boost::system::error_code ignored;
  return boost::filesystem::exists(path, ignored);
}

// ---- What lies in the file -------------------------------------------------------------------

std::vector<NamedTensor> tensors_in(const Path& path, FileReader& reader) {
  if (path.extension() == ".safetensors") return reader.open_safetensors(path).tensors;
  const std::shared_ptr<const Checkpoint> checkpoint = reader.open(path);
  const Object root = checkpoint->root();
  std::vector<NamedTensor> tensors;
  if (!root.is(Kind::dict)) {
    throw refusal("tensors",
                  path_text(path.filename()) + " holds " + describe(root) + ", no dict of tensors");
  }
  std::set<std::string> names;
  for (const auto& [key, value] : root.entries()) {
    if (!key.is(Kind::string) || !Checkpoint::is_tensor(value)) {
      throw refusal("tensors", path_text(path.filename()) + " holds " + describe(value) +
                                   " under " + describe(key) +
                                   ", expected tensors under their names");
    }
    const std::string name(key.as_string());
    if (!names.insert(name).second) {
      throw refusal("duplicate", path_text(path.filename()) + " holds " + quoted(name) + " twice");
    }
    tensors.push_back({name, with_context([&] { return quoted(name); },
                                          [&] { return checkpoint->tensor(value); })});
  }
  return tensors;
}

// Sorts tensors by what PEFT's names say of them.
class Sorter {
 public:
  void add(const NamedTensor& named) {
    std::string_view name = named.name;
    if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
    const std::vector<std::string> parts = split(name);
    for (std::size_t i = parts.size(); i-- > 1;) {
      if (parts[i].starts_with("lora_")) return add_layer(named, parts, i);
    }
    add_replacement(named, parts);
  }

  void finish(Adapter& adapter) {
    if (!strange_.empty()) {
      throw refusal("tensors",
                    "names that no LoRA of a layer has: " + list_text(strange_, kListed));
    }
    std::vector<std::string> halves;
    for (auto& [module, layer] : layers_) {
      if (!layer.a || !layer.b) halves.push_back(module + (layer.a ? ".lora_A" : ".lora_B"));
      adapter.layers.push_back(std::move(layer));
    }
    if (!halves.empty()) {
      throw refusal("tensors", "halves without the other one, lora_A and lora_B make a pair: " +
                                   list_text(halves, kListed));
    }
    adapter.replacements = std::move(replacements_);
  }

 private:
  // "<module>.lora_A.weight", with the name of the adapter between when it is from a state dict.
  void add_layer(const NamedTensor& named, const std::vector<std::string>& parts, std::size_t at) {
    const std::string& kind = parts[at];
    std::vector<std::string> rest(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1, parts.end());
    const bool ends_with_weight = !rest.empty() && rest.back() == "weight";
    const bool is_bias = !rest.empty() && rest.back() == "bias";
    if (ends_with_weight || is_bias) rest.pop_back();
    const bool is_linear = kind == "lora_A" || kind == "lora_B";
    const bool is_embedding = kind == "lora_embedding_A" || kind == "lora_embedding_B";
    const bool is_magnitude = kind == "lora_magnitude_vector";
    const bool known = rest.size() <= 1 && !(is_bias && kind != "lora_B") &&
                       ((is_linear && (ends_with_weight || is_bias)) ||
                        (is_embedding && !ends_with_weight) || is_magnitude);
    if (!known) return strange_.push_back(named.name);
    if (!rest.empty()) check_adapter(rest.front());

    std::vector<std::string> module(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(at));
    std::erase(module, kBaseLayer);
    const std::string name = join(module, ".");
    AdapterLayer& layer = layers_[name];
    layer.module = name;
    std::optional<TensorContent>& place = is_magnitude           ? layer.magnitude
                                          : is_bias              ? layer.bias
                                          : kind.ends_with("_A") ? layer.a
                                                                 : layer.b;
    const bool is_other_kind =
        !is_magnitude && (layer.a || layer.b) && layer.is_embedding != is_embedding;
    if (place || is_other_kind) {
      throw refusal("duplicate", "module " + quoted(name) + " is adapted twice",
                    "PEFT adapts several parameters of one module one around the other, and no "
                    "name says which is which; merge it with PEFT (merge_and_unload)");
    }
    if (!is_magnitude) layer.is_embedding = is_embedding;
    place = named.tensor;
  }

  // A tensor of the base model, wherever PEFT has put the module that it belongs to.
  void add_replacement(const NamedTensor& named, std::vector<std::string> parts) {
    if (std::ranges::count(parts, kOriginal) != 0) return;  // what it is saved instead of
    std::erase(parts, kBaseLayer);
    const auto saved = std::ranges::find(parts, kSaved);
    if (saved != parts.end() && parts.end() - saved > 2) {
      check_adapter(saved[1]);
      parts.erase(saved, saved + 2);
    }
    const std::string name = join(parts, ".");
    if (!names_.insert(name).second) {
      throw refusal("duplicate", "the tensor " + quoted(name) + " is there twice");
    }
    replacements_.push_back({name, named.tensor});
  }

  void check_adapter(const std::string& name) {
    if (name_.empty()) name_ = name;
    if (name_ == name) return;
    throw refusal("tensors",
                  "weights of several adapters, " + quoted(name_) + " and " + quoted(name),
                  "save each by itself (save_pretrained with selected_adapters)");
  }

  std::map<std::string, AdapterLayer> layers_;  // by module
  std::vector<NamedTensor> replacements_;
  std::set<std::string> names_;  // of these
  std::vector<std::string> strange_;
  std::string name_;  // of the adapter, where names have it
};

// ---- What its names mean ---------------------------------------------------------------------

// Rows of a tensor of the model.
struct Place {
  std::size_t tensor = 0;
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
};

std::int64_t rows_of(const NamedTensor& named) {
  return named.shape().empty() ? 1 : named.shape().front();
}

// The names of one kind that the tensors of the model have.
struct Names {
  std::string layout;  // empty: those of the model itself
  std::map<std::string, Place> places;
  std::vector<std::string> others;  // how names of other components begin

  const Place* find(const std::string& name) const {
    const auto found = places.find(name);
    if (found != places.end()) return &found->second;
    if (!name.ends_with(kWeight)) return nullptr;
    const auto stem = name.substr(0, name.size() - kWeight.size());
    const auto projections = places.find(stem + std::string(kProjections));
    return projections == places.end() ? nullptr : &projections->second;
  }
  bool is_other(const std::string& name) const {
    return std::ranges::any_of(others,
                               [&](const std::string& prefix) { return name.starts_with(prefix); });
  }
};

Names own_names(const Model& model) {
  Names names;
  for (std::size_t i = 0; i < model.tensors.size(); ++i) {
    names.places.emplace(model.tensors[i].name, Place{i, 0, rows_of(model.tensors[i])});
  }
  return names;
}

Names names_of(const Naming& naming, const Names& own) {
  Names names{naming.layout, {}, {}};
  for (const TensorAlias& alias : naming.names) {
    if (alias.tensor.empty()) {
      names.others.push_back(alias.name);
      continue;
    }
    const auto found = own.places.find(alias.tensor);
    if (found == own.places.end()) continue;
    Place place = found->second;
    if (alias.rows > 0) {
      place.first_row = alias.first_row;
      place.rows = alias.rows;
    }
    names.places.emplace(alias.name, place);
  }
  return names;
}

// How the names of an adapter differ from those of the model: all begin with `removed`, and the
// model's with `added`.
struct Edit {
  std::string removed;
  std::string added;

  std::optional<std::string> apply(const std::string& name) const {
    if (!name.starts_with(removed)) return std::nullopt;
    return added + name.substr(removed.size());
  }
  std::size_t size() const { return removed.size() + added.size(); }
  friend auto operator<=>(const Edit&, const Edit&) = default;
};

// Some of what could be meant; names are somebody else's, so not all of it.
std::set<Edit> edits(const Names& names, const std::vector<std::string>& wanted) {
  constexpr std::size_t kSamples = 8;
  constexpr std::size_t kDepth = 6;
  constexpr std::size_t kMost = 64;
  std::set<Edit> edits = {Edit{}};
  const std::size_t step = std::max<std::size_t>(1, wanted.size() / kSamples);
  for (std::size_t i = 0; i < wanted.size(); i += step) {
    const std::string& name = wanted[i];
    std::size_t dot = name.find('.');
    for (std::size_t depth = 0; depth < kDepth && dot != std::string::npos; ++depth) {
      if (edits.size() < kMost) edits.insert({name.substr(0, dot + 1), {}});
      dot = name.find('.', dot + 1);
    }
    for (const auto& [known, place] : names.places) {
      if (edits.size() < kMost && known.ends_with("." + name)) {
        edits.insert({{}, known.substr(0, known.size() - name.size())});
      }
    }
  }
  return edits;
}

// The names of an adapter, by one reading.
struct Reading {
  const Names* names = nullptr;
  Edit edit;
  std::size_t found = 0;
  std::vector<std::string> missing;
  std::vector<std::string> other;     // of other components
  std::vector<std::string> prefixes;  // that could stand in front, when something has to

  const Place* find(const std::string& name) const {
    const std::optional<std::string> there = edit.apply(name);
    return there ? names->find(*there) : nullptr;
  }
};

Reading read_by(const Names& names, const Edit& edit, const std::vector<std::string>& wanted) {
  Reading reading{&names, edit, 0, {}, {}, {}};
  for (const std::string& name : wanted) {
    const std::optional<std::string> there = edit.apply(name);
    if (there && names.find(*there) != nullptr) {
      ++reading.found;
    } else if (names.is_other(there.value_or(name))) {
      reading.other.push_back(name);
    } else {
      reading.missing.push_back(name);
    }
  }
  return reading;
}

Reading best_reading(const Names& names, const std::vector<std::string>& wanted) {
  std::vector<Reading> best;  // those that find most
  for (const Edit& edit : edits(names, wanted)) {
    Reading reading = read_by(names, edit, wanted);
    if (!best.empty() && reading.found < best.front().found) continue;
    if (!best.empty() && reading.found > best.front().found) best.clear();
    best.push_back(std::move(reading));
  }
  const auto shortest = std::ranges::min_element(
      best, {}, [](const Reading& reading) { return reading.edit.size(); });
  Reading chosen = *shortest;
  if (chosen.edit.added.empty() || chosen.found == 0) return chosen;
  for (const Reading& reading : best) {
    if (!reading.edit.added.empty()) chosen.prefixes.push_back(reading.edit.added);
  }
  return chosen;
}

std::string origin_text(const Model& model) {
  return model.origin.empty() ? std::string("the model") : model.origin;
}

std::string base_text(const Adapter& adapter) {
  if (adapter.config.base_model.empty()) return {};
  return ", trained on " + quoted(adapter.config.base_model);
}

// The reading by which all names mean something. `layouts` are looked at when the model's own names
// are others.
Reading find_reading(const Model& model, const Adapter& adapter,
                     const std::vector<std::string>& wanted, const Names& own,
                     const std::function<const std::vector<Names>&()>& layouts) {
  Reading best = best_reading(own, wanted);
  if (!best.missing.empty()) {
    for (const Names& names : layouts()) {
      Reading reading = best_reading(names, wanted);
      if (reading.found > best.found) best = std::move(reading);
    }
  }
  if (best.found == 0 || !best.missing.empty()) {
    std::vector<std::string> known = {"of the model"};
    for (const Names& names : layouts()) known.push_back("of layout " + quoted(names.layout));
    const std::vector<std::string>& listed = best.missing.empty() ? best.other : best.missing;
    throw refusal("tensors",
                  counted(listed.size(), "tensor") + " of " + std::to_string(wanted.size()) +
                      " fit nothing in " + origin_text(model) + ": " + list_text(listed, kListed),
                  "its names have to be those " + join(known, ", or ") +
                      (adapter.config.base_model.empty()
                           ? std::string()
                           : "; it was trained on " + quoted(adapter.config.base_model)));
  }
  if (best.prefixes.size() > 1) {
    throw refusal("prefix",
                  "its names could stand behind " + list_text(best.prefixes, kListed) + " of " +
                      origin_text(model),
                  "adapt the whole model, so that names say which part is meant");
  }
  return best;
}

// ---- Adding it ---------------------------------------------------------------------------------

template <typename Value>
Value for_module(const std::vector<std::pair<std::string, Value>>& patterns,
                 const std::string& module, Value otherwise) {
  for (const auto& [pattern, value] : patterns) {
    if (matches_module(pattern, module)) return value;
  }
  return otherwise;
}

// "0.5" where a rank of 8 has an alpha of 4.
double scaling_of(const AdapterConfig& config, const std::string& module, std::int64_t rank) {
  const double alpha = for_module(config.alpha_pattern, module, config.alpha);
  const auto size = static_cast<double>(rank);
  const double scaling = alpha / (config.rank_stabilized ? std::sqrt(size) : size);
  if (!std::isfinite(static_cast<float>(scaling))) {
    throw refusal("scaling", "module " + quoted(module) + " is scaled by " + number_text(scaling) +
                                 ", which is no float32");
  }
  return scaling;
}

// The tensor that a layer adapts.
std::string target_of(const AdapterLayer& layer, const AdapterConfig& config) {
  std::vector<std::string> targets;
  for (const std::string& parameter : config.parameters) {
    const std::string last = parameter.substr(parameter.rfind('.') + 1);
    const std::string full = layer.module + "." + last;
    if (full == parameter || full.ends_with("." + parameter)) targets.push_back(full);
  }
  std::ranges::sort(targets);
  const auto same = std::ranges::unique(targets);
  targets.erase(same.begin(), same.end());
  if (targets.empty()) return layer.module + std::string(kWeight);
  if (targets.size() == 1) return targets.front();
  throw refusal("unsupported",
                "target_parameters name several of one module, and the adapter does not say which "
                "it adapts: " +
                    list_text(targets),
                "merge it with PEFT (merge_and_unload)");
}

class Merger {
 public:
  Merger(Model& model, const Adapter& adapter, Reading reading)
      : model_(model), adapter_(adapter), reading_(std::move(reading)) {}

  void replace(const NamedTensor& replacement) {
    const Place* place = reading_.find(replacement.name);
    if (place == nullptr) return;
    NamedTensor& named = model_.tensors[place->tensor];
    claim(replaced_, *place);
    require_shape(replacement, named, *place);
    const bool is_same_type = dtype_of(replacement.tensor) == named.dtype();
    if (!is_same_type && !(computes(dtype_of(replacement.tensor)) && computes(named.dtype()))) {
      throw refusal("dtype", quoted(replacement.name) + " is " +
                                 std::string(name(dtype_of(replacement.tensor))) + ", and " +
                                 quoted(named.name) + " is " + std::string(name(named.dtype())));
    }
    std::vector<TensorContent> parts;
    const std::int64_t behind = place->first_row + place->rows;
    if (place->first_row > 0) parts.push_back(row_range(named.tensor, 0, place->first_row));
    parts.push_back(cast(replacement.tensor, named.dtype()));
    if (behind < rows_of(named)) {
      parts.push_back(row_range(named.tensor, behind, rows_of(named) - behind));
    }
    named.tensor = concatenate(parts);
    if (auto* computed = std::get_if<ComputedTensor>(&named.tensor)) computed->name = named.name;
    replaced_names_.insert(place->tensor);
  }

  void add(const AdapterLayer& layer) {
    const std::string target = target_of(layer, adapter_.config);
    const Place* place = reading_.find(target);
    if (place != nullptr) add_product(layer, target, *place);
    if (!layer.bias) return;
    if (const Place* bias = reading_.find(bias_of(layer))) add_bias(layer, *bias);
  }

  static std::string bias_of(const AdapterLayer& layer) { return layer.module + ".bias"; }

  MergeNotes finish() {
    for (auto& [tensor, parts] : parts_) {
      NamedTensor& named = model_.tensors[tensor];
      named.tensor =
          with_context([&] { return quoted(named.name); },
                       [&] {
                         return ComputedTensor{
                             named.dtype(),
                             add_low_rank(elements_of(named.tensor), std::move(parts)), named.name};
                       });
    }
    MergeNotes notes;
    notes.checks = {done(), naming()};
    std::erase(notes.checks, "");
    const std::string adapter = "adapter " + printable(adapter_.name);
    for (const std::string& warning : adapter_.config.warnings) {
      notes.warnings.push_back(adapter + ": " + warning);
    }
    if (!reading_.other.empty()) {
      notes.warnings.push_back(
          adapter + " changes " + counted(reading_.other.size(), "tensor") +
          " of other components, which are left out here: " + list_text(reading_.other, 4));
    }
    return notes;
  }

 private:
  static bool computes(DType dtype) { return is_floating(dtype) && is_convertible(dtype); }

  // Notes that rows are changed; two things that change the same ones are a mistake.
  void claim(std::map<std::size_t, std::vector<Place>>& claims, const Place& place) const {
    std::vector<Place>& same = claims[place.tensor];
    for (const Place& other : same) {
      if (place.first_row < other.first_row + other.rows &&
          other.first_row < place.first_row + place.rows) {
        throw refusal("duplicate", "two of its tensors change the same rows of " +
                                       quoted(model_.tensors[place.tensor].name));
      }
    }
    same.push_back(place);
  }

  static Shape shape_at(const NamedTensor& named, const Place& place) {
    Shape shape = named.shape();
    if (!shape.empty()) shape.front() = place.rows;
    return shape;
  }

  static void require_shape(const NamedTensor& replacement, const NamedTensor& named,
                            const Place& place) {
    const Shape expected = shape_at(named, place);
    if (shape_of(replacement.tensor) == expected) return;
    throw refusal("shape", quoted(replacement.name) + " has the shape " +
                               shape_text(shape_of(replacement.tensor)) + ", expected " +
                               shape_text(expected) + " as in " + quoted(named.name));
  }

  void require_float(const NamedTensor& named) const {
    if (computes(named.dtype())) return;
    throw refusal("dtype",
                  quoted(named.name) + " is " + std::string(name(named.dtype())) +
                      ": nothing can be added to it",
                  "merge into a model whose weights are floating point");
  }

  // The rank of a layer, its sizes held against those of the weight.
  std::int64_t rank_of(const AdapterLayer& layer, const NamedTensor& named,
                       const Place& place) const {
    const Shape& a = shape_of(*layer.a);
    const Shape& b = shape_of(*layer.b);
    const Shape weight = shape_at(named, place);
    const auto fail = [&](const std::string& hint = {}) {
      throw refusal("shape",
                    "module " + quoted(layer.module) + ": lora_A " + shape_text(a) +
                        " and lora_B " + shape_text(b) + " do not fit " + shape_text(weight) +
                        " of " + quoted(named.name),
                    hint);
    };
    if (a.size() < 2 || b.size() < 2) {
      fail("when it was trained in parts (DeepSpeed ZeRO-3, FSDP), gather them before it is saved");
    }
    const std::int64_t rank = a.front();
    const auto ones = [](auto first, auto last) {
      return std::all_of(first, last, [](std::int64_t size) { return size == 1; });
    };
    bool fits = weight.size() >= 2;
    if (fits && layer.is_embedding) {
      fits = weight.size() == 2 && a == Shape{rank, weight[0]} && b == Shape{weight[1], rank};
    } else if (fits) {
      fits = b[0] == weight[0] && b[1] == rank && ones(b.begin() + 2, b.end()) &&
             std::equal(a.begin() + 1, a.end(), weight.begin() + 1, weight.end());
    }
    if (!fits || rank < 1) fail();
    const std::int64_t stated =
        for_module(adapter_.config.rank_pattern, layer.module, adapter_.config.rank);
    if (stated != rank) {
      throw refusal("rank",
                    "module " + quoted(layer.module) + " has the rank " + std::to_string(rank) +
                        ", adapter_config.json says " + std::to_string(stated),
                    "the file and adapter_config.json belong to different adapters");
    }
    return rank;
  }

  void add_product(const AdapterLayer& layer, const std::string& target, const Place& place) {
    const NamedTensor& named = model_.tensors[place.tensor];
    require_float(named);
    claim(added_, place);
    const std::int64_t rank = rank_of(layer, named, place);
    require_magnitude(layer, named);
    LowRank part;
    part.left = elements(layer, layer.is_embedding ? *layer.a : *layer.b);
    part.right = elements(layer, layer.is_embedding ? *layer.b : *layer.a);
    part.scaling = scaling_of(adapter_.config, layer.module, rank);
    part.first_row = place.first_row;
    part.transposed = layer.is_embedding;
    if (is_rounded(target, layer, named)) part.rounded = named.dtype();
    if (layer.magnitude) part.magnitude = elements(layer, *layer.magnitude);
    parts_[place.tensor].push_back(std::move(part));
    ranks_.insert(rank);
  }

  // PEFT adds to the weight of a linear layer in float32, and rounds first everywhere else.
  bool is_rounded(const std::string& target, const AdapterLayer& layer,
                  const NamedTensor& named) const {
    if (layer.is_embedding) return true;
    // Under another layout's name it is the weight of a linear layer, whatever it is here.
    const bool is_own = reading_.names->layout.empty();
    if (is_own && named.name.ends_with(kProjections.substr(1))) return true;
    return std::ranges::any_of(adapter_.config.parameters, [&](const std::string& parameter) {
      return target == parameter || target.ends_with("." + parameter);
    });
  }

  void require_magnitude(const AdapterLayer& layer, const NamedTensor& named) const {
    if (!layer.magnitude && !adapter_.config.normalized) return;
    if (!layer.magnitude || !adapter_.config.normalized) {
      throw refusal("tensors", "module " + quoted(layer.module) +
                                   (layer.magnitude ? " has a lora_magnitude_vector, and use_dora "
                                                      "is not set in adapter_config.json"
                                                    : " has no lora_magnitude_vector, although "
                                                      "adapter_config.json says use_dora"));
    }
    if (layer.is_embedding || named.shape().size() != 2) {
      throw refusal("unsupported",
                    "module " + quoted(layer.module) +
                        ": use_dora is true for a layer of the shape " + shape_text(named.shape()) +
                        ", which is no linear one",
                    "merge it with PEFT (merge_and_unload), and export the result");
    }
  }

  void add_bias(const AdapterLayer& layer, const Place& place) {
    const NamedTensor& named = model_.tensors[place.tensor];
    require_float(named);
    claim(added_, place);
    const Shape weight = shape_at(named, place);
    if (shape_of(*layer.bias) != weight || weight.size() != 1) {
      throw refusal("shape", "module " + quoted(layer.module) +
                                 ": the bias of lora_B has the shape " +
                                 shape_text(shape_of(*layer.bias)) + ", expected " +
                                 shape_text(weight) + " as in " + quoted(named.name));
    }
    LowRank part;
    part.left = elements(layer, *layer.bias);
    part.scaling = scaling_of(adapter_.config, layer.module, shape_of(*layer.b)[1]);
    part.first_row = place.first_row;
    parts_[place.tensor].push_back(std::move(part));
  }

  static ElementsPtr elements(const AdapterLayer& layer, const TensorContent& tensor) {
    return with_context([&] { return quoted(layer.module); }, [&] { return elements_of(tensor); });
  }

  // "adapter x merged into 4 tensors: LoRA of rank 8, trained on 'y'"
  std::string done() const {
    std::string text = "adapter " + printable(adapter_.name);
    if (!parts_.empty()) {
      const std::string first = std::to_string(*ranks_.begin());
      text += " merged into " + counted(parts_.size(), "tensor") + ": " +
              (adapter_.config.normalized ? "DoRA" : "LoRA") +
              (ranks_.size() > 1 ? " of ranks " + first + " to " + std::to_string(*ranks_.rbegin())
                                 : " of rank " + first);
    }
    if (!replaced_names_.empty()) {
      text += (parts_.empty() ? " replaces " : "; replaces ") +
              counted(replaced_names_.size(), "tensor");
    }
    return text + base_text(adapter_);
  }

  std::string naming() const {
    const Edit& edit = reading_.edit;
    std::string text;
    if (!reading_.names->layout.empty()) {
      text = " are those of layout " + printable(reading_.names->layout);
    }
    if (edit.size() > 0) {
      text += text.empty() ? " stand" : ",";
      text += edit.added.empty() ? " behind " + quoted(edit.removed)
                                 : " without " + quoted(edit.added) + " in front";
    }
    return text.empty() ? text : "names of adapter " + printable(adapter_.name) + text;
  }

  Model& model_;
  const Adapter& adapter_;
  Reading reading_;
  std::map<std::size_t, std::vector<LowRank>> parts_;  // by tensor
  std::map<std::size_t, std::vector<Place>> added_;
  std::map<std::size_t, std::vector<Place>> replaced_;
  std::set<std::size_t> replaced_names_;
  std::set<std::int64_t> ranks_;
};

}  // namespace

Path plain_path(const Path& path) {
  const Path plain = absolute_path(path).lexically_normal();
  return plain.filename() == "." ? plain.parent_path() : plain;
}

Adapter read_adapter(const Path& given, FileReader& reader) {
  const Path path = plain_path(given);
  boost::system::error_code ignored;
  const bool is_directory = boost::filesystem::is_directory(path, ignored);
  const Path directory = is_directory ? path : path.parent_path();
  Path tensors = path;
  if (is_directory || path.filename() == kConfigFile) {
    tensors = directory / kTensorFile;
    if (!is_there(tensors) && is_there(directory / kPickledFile))
      tensors = directory / kPickledFile;
  }
  for (const Path& file : {directory / kConfigFile, tensors}) {
    if (is_there(file)) continue;
    throw refusal("none",
                  path_text(path) + " is no adapter: there is no " + path_text(file.filename()),
                  "give a directory with adapter_config.json and adapter_model.safetensors, as "
                  "PEFT's save_pretrained writes it");
  }
  Adapter adapter;
  adapter.name = directory.filename().string();
  const auto config = reader.open_file(directory / kConfigFile);
  adapter.config = with_context(
      kConfigFile, [&] { return read_adapter_config(text_of(*config, kMaxConfigBytes)); });
  Sorter sorter;
  for (const NamedTensor& named : tensors_in(tensors, reader)) sorter.add(named);
  sorter.finish(adapter);
  if (adapter.layers.empty() && adapter.replacements.empty()) {
    throw refusal("tensors", path_text(tensors.filename()) + " holds no tensors");
  }
  return adapter;
}

MergeNotes merge(Model& model, const Adapter& adapter,
                 const std::function<std::vector<Naming>()>& namings) {
  std::vector<std::string> wanted;
  for (const AdapterLayer& layer : adapter.layers) {
    wanted.push_back(target_of(layer, adapter.config));
    if (layer.bias) wanted.push_back(Merger::bias_of(layer));
  }
  for (const NamedTensor& named : adapter.replacements) wanted.push_back(named.name);
  const Names own = own_names(model);
  std::optional<std::vector<Names>> known;
  const auto layouts = [&]() -> const std::vector<Names>& {
    if (known) return *known;
    known.emplace();
    for (const Naming& naming : namings()) {
      if (!naming.names.empty()) known->push_back(names_of(naming, own));
    }
    return *known;
  };
  Merger merger(model, adapter, find_reading(model, adapter, wanted, own, layouts));
  for (const NamedTensor& replacement : adapter.replacements) merger.replace(replacement);
  for (const AdapterLayer& layer : adapter.layers) merger.add(layer);
  return merger.finish();
}

}  // namespace craftbundle
