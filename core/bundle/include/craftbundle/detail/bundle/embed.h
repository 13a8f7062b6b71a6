// What loaders would fetch when they load a bundle, and putting it into the bundle.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/host/host.h"

namespace CRAFTBUNDLE_API craftbundle {

// What a bundle has, for those who would fetch it otherwise.
struct BundleContents {
  std::string layout;
  std::vector<std::string> models = {};  // roles of the components beside it
  // Whether files of it lie in a directory of this name: AudioCraft's loaders look for one before
  // they ask the network.
  std::function<bool(const std::string& name)> has_folder = {};
};

// Names of what loaders of the bundle fetch for a component of it.
std::vector<std::string> fetched_for(const Component& component, const BundleContents& contents);
// The same when nothing else is there.
std::vector<std::string> fetched_for(const Component& component);

// A clause for people about what is fetched for `component`; nullopt when nothing is, and for a
// reference, which says so itself.
std::optional<std::string> fetch_warning(const Component& component,
                                         const std::vector<std::string>& fetched);

// Whether a layout is told to hold what would be fetched (kEmbedOption).
bool embeds(const LayoutChoice& layout);
// `layout`, told so; as it is when it has no such option, as one that holds everything anyway.
LayoutChoice embedding(LayoutChoice layout, const Host& host);

// `components` with what would be fetched for them, found in the cache of the hub: a reference
// becomes the model that it names, and what has a role of its own that is not there is added.
// Throws Error(mismatch, "embed.reference") for a name that loaders take as a name only, and as
// resolve_source() and prepare_component().
std::vector<PreparedComponent> embed(std::vector<PreparedComponent> components,
                                     const SourceOptions& lookup, const Host& host);

}  // namespace craftbundle
