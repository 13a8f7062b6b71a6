// Variables of a script, and values with variables put in.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "craftbundle/detail/omegaconf/interpolation.h"
#include "craftbundle/detail/pipeline/workflow.h"

namespace craftbundle {

// The variables that one stage sees. Copies share nothing.
class Variables {
 public:
  // `environment_reads` counts how often `resolver` has taken a value from the environment.
  Variables(const YamlNode& vars, Resolver resolver, const std::size_t& environment_reads);

  // A variable that hides one of the script (an axis of a matrix).
  void set(const std::string& name, const YamlNode& value);

  // `node` with every interpolation in it resolved, keys too; marks stay those of `node`. What
  // holds a value of the environment says so (YamlNode::from_environment). Throws
  // Error(usage, "script.variable").
  YamlNode resolve(const YamlNode& node) const;

 private:
  YamlNode resolve_text(const YamlNode& node) const;

  ConfigNode root_;
  Resolver resolver_;
  const std::size_t* environment_reads_;
};

// Answers oc.env and counts in `reads` how often a variable was set; anything else is passed to
// `other`.
Resolver environment_resolver(const Environment& environment, std::size_t& reads, Resolver other);

}  // namespace craftbundle
