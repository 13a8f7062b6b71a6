// Variables of a script, and values with variables put in.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "craftbundle/omegaconf/interpolation.h"
#include "craftbundle/pipeline/workflow.h"

namespace craftbundle {

// The variables that one stage sees. Copies share nothing.
class Variables {
 public:
  Variables(const YamlNode& vars, Resolver resolver);

  // A variable that hides one of the script (an axis of a matrix).
  void set(const std::string& name, const YamlNode& value);

  // `node` with every interpolation in it resolved, keys too; marks stay those of `node`. Throws
  // Error(usage, "script.variable").
  YamlNode resolve(const YamlNode& node) const;

 private:
  YamlNode resolve_text(const YamlNode& node) const;

  ConfigNode root_;
  Resolver resolver_;
};

// Answers oc.env; anything else is passed to `other`.
Resolver environment_resolver(const Environment& environment, Resolver other);

}  // namespace craftbundle
