// Whether the components of a bundle fit together.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/plugin/exporter.h"

namespace CRAFTBUNDLE_API craftbundle {

// The facts one component states.
struct StatedFacts {
  std::string role;
  std::vector<FitFact> provides;
  std::vector<FitFact> requires_;
};

struct FitCheck {
  enum class Outcome {
    agrees,
    differs,
    unstated,  // required, but no other component provides the name
  };
  std::string name;
  Outcome outcome = Outcome::agrees;
  std::string required_by;  // role
  FitFact required;
  std::string provided_by;  // role; empty when unstated
  FitFact provided;         // meaningless when unstated
};

std::string_view to_string(FitCheck::Outcome outcome);

// Compares every required fact with the provided fact of the same name of the other components. A
// component that requires or provides the same name twice (config and tensors) is checked twice.
// Numbers are compared as numbers (50 == 50.0, relative 1e-9), text as text.
std::vector<FitCheck> check_fit(const std::vector<StatedFacts>& components);

// A component that needs facts none of which could be compared.
struct UncheckedFit {
  std::string role;
  std::vector<std::string> facts;  // that it needs
};
std::optional<UncheckedFit> find_unchecked(const std::vector<FitCheck>& checks);
// "whether the components fit cannot be told: lm needs 'codebooks', no other ..."
std::string to_string(const UncheckedFit& unchecked);

// "codebooks: lm needs 4 (transformer_lm.n_q in xp.cfg), compression has 8 (rvq.n_q in xp.cfg)"
std::string to_string(const FitCheck& check);

}  // namespace craftbundle
