// What bundle.json is made of, for whatever holds manifests in JSON of its own.
#pragma once

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/bundle/manifest.h"
#include "craftbundle/detail/json/json.h"

namespace CRAFTBUNDLE_API craftbundle {

Json manifest_json(const Manifest& manifest);
// An element of its "components", and its "fit".
Json component_json(const ManifestComponent& component);
Json fit_json(const std::vector<FitCheck>& fit);

// As parse_manifest(). REQUIRES: the reader's group is "manifest".
Manifest manifest_from(const JsonReader& reader);

}  // namespace craftbundle
