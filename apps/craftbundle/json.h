// JSON for people's scripts: what --json prints and --log-format json logs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "craftbundle/base/error.h"
#include "craftbundle/bundle/manifest.h"

namespace craftbundle::app {

using Json = nlohmann::ordered_json;

// Indented, with a newline at the end. Bytes that are not UTF-8 are replaced.
std::string dump_pretty(const Json& json);
// On one line, without a newline.
std::string dump_line(const Json& json);

// {"kind", "code", "message", "hint"}
Json error_json(const Error& error);

// As bundle.json holds it.
Json manifest_json(const Manifest& manifest);
// The same of a component that is described, not written: without size and hash.
Json component_json(const ManifestComponent& component);

}  // namespace craftbundle::app
