// LoRA adapters as PEFT saves them, and merging them into a model.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/checkpoint/named_tensor.h"
#include "craftbundle/detail/host/reading.h"
#include "craftbundle/detail/plugin/layout.h"
#include "craftbundle/detail/plugin/model.h"

namespace CRAFTBUNDLE_API craftbundle {

// What "adapter_config.json" says, as far as it decides what is merged.
struct AdapterConfig {
  std::int64_t rank = 8;
  double alpha = 8;
  // Of modules that have others. The first whose pattern matches a module's name counts.
  std::vector<std::pair<std::string, std::int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
  bool rank_stabilized = false;         // use_rslora: scaled by the root of the rank
  bool normalized = false;              // use_dora
  std::vector<std::string> parameters;  // target_parameters
  std::string base_model;               // that it was trained on, as given then; may be empty
  std::vector<std::string> warnings;
};

// Reads untrusted text. Throws Error(input): "adapter.type" for what is no LoRA,
// "adapter.unsupported" for a variant whose weights are no plain sum, "adapter.config",
// "adapter.syntax", "adapter.missing".
AdapterConfig read_adapter_config(std::string_view text);

// Whether PEFT takes `pattern`, a key of rank_pattern or alpha_pattern, for `module`: a regular
// expression that matches the name or what stands behind one of its dots. Throws Error(input,
// "adapter.config") for one that cannot be read.
bool matches_module(const std::string& pattern, const std::string& module);

// What an adapter adds to one module.
struct AdapterLayer {
  std::string module;  // as the adapter names it
  bool is_embedding = false;
  std::optional<TensorContent> a;
  std::optional<TensorContent> b;
  std::optional<TensorContent> bias = std::nullopt;
  std::optional<TensorContent> magnitude = std::nullopt;
};

struct Adapter {
  std::string name;  // of its directory, for messages
  AdapterConfig config;
  std::vector<AdapterLayer> layers;  // by module
  // Tensors that it has instead of the model's: biases, modules_to_save.
  std::vector<NamedTensor> replacements;
};

// `path` from the root on, without what changes nothing: "a/../b/" is "/here/b".
Path plain_path(const Path& path);

// The adapter in the directory `path`, or the one that the file `path` belongs to:
// "adapter_config.json" beside "adapter_model.safetensors" or "adapter_model.bin". Throws
// Error(input): "adapter.none", as read_adapter_config(), "adapter.tensors" for names that no LoRA
// has and halves without the other; and as the files are opened.
Adapter read_adapter(const Path& path, FileReader& reader);

// The names that a layout has for the tensors of a model.
struct Naming {
  std::string layout;
  std::vector<TensorAlias> names;
};

struct MergeNotes {
  std::vector<std::string> checks;  // what was done, one clause each
  std::vector<std::string> warnings;
};

// Adds `adapter` to the tensors of `model`. Its names are those of the model, or those of one of
// `namings`, which are asked for then; behind a prefix, or without one that all have. Each tensor
// keeps its type, and is computed as PEFT does on a CPU (add_low_rank()). Throws Error(input):
// "adapter.tensors" that lists what fits nothing, "adapter.prefix" when the names could be several
// things, "adapter.duplicate" for rows that two things are added to, "adapter.rank",
// "adapter.scaling", "adapter.shape", "adapter.dtype", "adapter.unsupported".
MergeNotes merge(Model& model, const Adapter& adapter,
                 const std::function<std::vector<Naming>()>& namings);

}  // namespace craftbundle
