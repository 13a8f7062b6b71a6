// Model cards: README.md of a bundle, as model hubs show it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/host/host.h"
#include "craftbundle/detail/yaml/yaml.h"

namespace CRAFTBUNDLE_API craftbundle {

struct CardOptions {
  std::string title;        // empty: the name of the directory
  std::string description;  // Markdown below the title
  // A map for the front matter: written as it stands there, numbers, true and false as such when
  // they are YamlNode::plain. What is not in it is filled in as far as the manifest tells:
  // library_name, pipeline_tag, tags, base_model. An empty text leaves a key out.
  YamlNode metadata;
  // Keys of the training's configuration to show, or "all".
  std::vector<std::string> config;
};

// The card of the bundle in `directory`. What it says of the bundle is between marks, as is the
// front matter, so that a person can write around it. Throws Error(input, "card.manifest") when the
// directory has no manifest, and for `config` what opening its components throws.
std::string make_card(const Path& directory, const CardOptions& options, const Host& host);

// The card that is there with its marked parts replaced by those of `card`; front matter that a
// person has changed stays. nullopt: it has no marked part, or a person has changed that.
std::optional<std::string> update_card(const std::string& there, const std::string& card);

}  // namespace craftbundle
