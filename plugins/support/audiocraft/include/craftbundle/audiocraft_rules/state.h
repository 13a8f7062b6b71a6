// State dicts of AudioCraft checkpoints: which one to export, and whether it is the one the
// configuration describes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "craftbundle/detail/checkpoint/named_tensor.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/omegaconf/config.h"

namespace craftbundle::audiocraft {

// A flat state dict, in the order of the file. Names are distinct.
struct State {
  std::string where;  // "best_state['model']"
  std::vector<NamedTensor> tensors;
  std::vector<std::string> notes;  // what was done to it, one clause each
};

// Which of the states a training checkpoint carries.
enum class StateChoice {
  best,  // what AudioCraft's own export takes: fsdp_best_state unless it is empty, else best_state
  ema,   // moving average of the weights
  last,  // weights after the last epoch
};
// REQUIRES: one of "best", "ema", "last".
StateChoice state_choice(std::string_view option);

// The chosen state of a training checkpoint, free of FSDP's wrapper names. Throws Error(input) when
// it is not in this file: "state.missing", "state.empty", "state.rank_shard" (the piece that one
// process of a sharded training kept), "state.type", "state.name", "state.value",
// "state.duplicate".
State choose_state(const Checkpoint& checkpoint, const Config& config, StateChoice choice);

// Takes off what all names begin with although the model does not: "module." of
// DistributedDataParallel, "_orig_mod." of torch.compile, which also stands inside of names.
void remove_wrappers(State& state);

// The tensors of `dict`; `where` names it in messages. Throws as choose_state.
State read_state(Object dict, const Checkpoint& checkpoint, std::string where);

// A size that the configuration does not give.
inline constexpr std::int64_t kAnySize = -1;

struct ExpectedTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  bool floating = true;  // false: a counter, of any type
  // Another name that loaders take for it; empty: none.
  std::string also = {};
};

// Tensors that the configuration calls for without giving their names or shapes.
struct UncheckedGroup {
  std::string prefix;
  std::string what;       // "the fine-tuned text encoder"
  bool required = false;  // at least one must be there
};

// What state_dict() of the model that a configuration describes would hold, in its order.
class ExpectedState {
 public:
  void add(std::string name, std::vector<std::int64_t> shape);
  // "<prefix>.weight" [out, in] and "<prefix>.bias" [out].
  void add_linear(const std::string& prefix, std::int64_t out, std::int64_t in, bool bias);
  // "<prefix>.weight" and "<prefix>.bias", both [size].
  void add_norm(const std::string& prefix, std::int64_t size);
  // A convolution under torch.nn.utils.weight_norm: bias, weight_g, weight_v. `shape` is that of
  // its weight, `out` the number of its output channels.
  void add_weight_norm(const std::string& prefix, const std::vector<std::int64_t>& shape,
                       std::int64_t out);
  // AudioCraft's ResidualVectorQuantizer: "<prefix>.vq.layers.<i>._codebook.*".
  void add_codebooks(const std::string& prefix, std::int64_t count, std::int64_t bins,
                     std::int64_t dimension);
  void add_counter(std::string name);
  // The tensor that was added last may have the name `also` as well.
  void allow_name(std::string also);
  void add_unchecked(UncheckedGroup group);

  const std::vector<ExpectedTensor>& tensors() const { return tensors_; }
  std::vector<std::string> names() const;
  const std::vector<UncheckedGroup>& unchecked() const { return unchecked_; }

 private:
  std::vector<ExpectedTensor> tensors_;
  std::vector<UncheckedGroup> unchecked_;
};

// Takes off what stands in front of the names of all tensors, when they are those of `expected`
// without it; says so in State::notes.
void remove_prefix(State& state, const ExpectedState& expected);

// Throws Error(input, "state.tensors") that lists, in one message, everything by which `state`
// differs from `expected`, which follows from `config`. Returns what was checked, one clause each.
std::vector<std::string> check_state(const State& state, const ExpectedState& expected,
                                     std::string_view config = "xp.cfg");

}  // namespace craftbundle::audiocraft
