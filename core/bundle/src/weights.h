// Tensors by name, in whatever file somebody saved them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "craftbundle/detail/checkpoint/named_tensor.h"
#include "craftbundle/detail/host/host.h"

namespace craftbundle {

// A dict of tensors. Those of a checkpoint are described when they are asked for: of most nobody
// asks.
struct WeightDict {
  struct Entry {
    std::string name;
    std::shared_ptr<const Checkpoint> checkpoint;  // with `object`, else `tensor`
    std::optional<Object> object;
    std::optional<TensorContent> tensor;
  };
  std::string where;  // "['state_dict']", or what it is: "the state dict"
  std::vector<Entry> entries;

  // Throws as Checkpoint::tensor().
  static TensorContent tensor_of(const Entry& entry);
};

struct Weights {
  std::vector<WeightDict> dicts;  // in the order of the file; none is empty
  std::vector<ReadFile> files;    // that they lie in, indices included
};

// Opens the file at `path`, or what looks like the only model in that directory: an index, the one
// file of safetensors, or the one that torch.save wrote. Throws Error(input, "weights.none",
// "weights.directory", "weights.index"), and as Host::open(), Safetensors::open() and
// open_safetensors_index().
Weights open_weights(const Path& path, const Host& host);

}  // namespace craftbundle
