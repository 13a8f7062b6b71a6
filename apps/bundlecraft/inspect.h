// The parts of `bundlecraft inspect`.
#pragma once

#include <string>

#include "arguments.h"

namespace bundlecraft::app {

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

// A directory of components.
int inspect_bundle(const InspectArguments& arguments, Session& session);

}  // namespace bundlecraft::app
