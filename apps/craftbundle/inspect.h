// The parts of `craftbundle inspect`.
#pragma once

#include <string>

#include "arguments.h"
#include "json.h"

namespace craftbundle::app {

struct InspectArguments {
  std::string source;
  SourceArguments how;
  bool config = false;
  bool json = false;
};

// A checkpoint or the name of a pretrained model.
int inspect_source(const InspectArguments& arguments, Session& session);

// The configuration text alone.
int inspect_config(const InspectArguments& arguments, Session& session);

// The same as JSON, for other places than standard output.
Json source_findings(const Source& source, const Host& host);
Json bundle_findings(const Path& directory, const Host& host);

// A directory of components.
int inspect_bundle(const InspectArguments& arguments, Session& session);

}  // namespace craftbundle::app
