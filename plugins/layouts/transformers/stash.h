// What a package of AudioCraft holds and transformers has no place for, in a file beside the
// others: so the way back gives the package again, byte for byte.
#pragma once

#include <string>
#include <vector>

#include "craftbundle/detail/plugin/layout.h"

namespace craftbundle::transformers {

// Nobody but this layout reads it.
inline constexpr const char* kStashFile = "audiocraft.safetensors";

class Stash {
 public:
  Stash() = default;
  // Reads one. Throws as Safetensors::open().
  explicit Stash(const Safetensors& file);

  // Configuration, order, types and further data of a model, and of its tensors `unplaced`.
  void add(const std::string& role, const Model& model, const std::vector<NamedTensor>& unplaced);
  bool empty() const { return metadata_.empty(); }
  FileContentPtr file() const;

  // `model`, which was read in transformers' form, as it was once. Left as it is when the file says
  // nothing about it, or about another model: one that was trained on, say.
  void restore(const std::string& role, Model& model) const;
  // Whether the tensor `name` of ours lay in the package of `role`.
  bool had(const std::string& role, const std::string& name) const;

 private:
  SafetensorsMetadata metadata_;
  std::vector<NamedTensor> tensors_;
};

}  // namespace craftbundle::transformers
