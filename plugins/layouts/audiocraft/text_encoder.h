// The text encoder of a language model as a folder of its own, which AudioCraft's T5Conditioner
// finds by the name in the configuration when the working directory is that of the bundle.
#pragma once

#include <optional>
#include <vector>

#include "craftbundle/detail/plugin/layout.h"

namespace craftbundle::audiocraft {

// Adds the folder to `files`. Throws Error(mismatch, "embed.text_encoder") when no name for it is
// known, or it is one that AudioCraft does not take.
void plan_text_encoder(const Component& component, const Model* language_model,
                       std::vector<BundleFile>& files);

// The one in the directory of a bundle; nullopt when there is none. Throws as reading its files.
std::optional<RoleSource> read_text_encoder(const Path& directory, const Checkpoint& language_model,
                                            LayoutContext& context);

}  // namespace craftbundle::audiocraft
