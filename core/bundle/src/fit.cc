#include "craftbundle/detail/bundle/fit.h"

#include <algorithm>

#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

std::string value_text(const FitFact& fact) {
  std::string text = printable(to_string(fact.value));
  if (!fact.origin.empty()) text += " (" + printable(fact.origin) + ")";
  return text;
}

}  // namespace

std::vector<FitCheck> check_fit(const std::vector<StatedFacts>& components) {
  std::vector<FitCheck> checks;
  for (const StatedFacts& needy : components) {
    for (const FitFact& required : needy.requires_) {
      FitCheck check{required.name, FitCheck::Outcome::unstated, needy.role, required, {}, {}};
      bool stated = false;
      for (const StatedFacts& giver : components) {
        if (&giver == &needy) continue;
        for (const FitFact& provided : giver.provides) {
          if (provided.name != required.name) continue;
          stated = true;
          check.provided_by = giver.role;
          check.provided = provided;
          check.outcome = same_value(required.value, provided.value) ? FitCheck::Outcome::agrees
                                                                     : FitCheck::Outcome::differs;
          checks.push_back(check);
        }
      }
      if (!stated) checks.push_back(std::move(check));
    }
  }
  return checks;
}

std::optional<UncheckedFit> find_unchecked(const std::vector<FitCheck>& checks) {
  for (const FitCheck& first : checks) {
    UncheckedFit unchecked{first.required_by, {}};
    bool compared = false;
    for (const FitCheck& check : checks) {
      if (check.required_by != first.required_by) continue;
      compared = compared || check.outcome != FitCheck::Outcome::unstated;
      if (std::ranges::count(unchecked.facts, check.name) == 0) {
        unchecked.facts.push_back(check.name);
      }
    }
    if (!compared) return unchecked;
  }
  return std::nullopt;
}

std::string to_string(const UncheckedFit& unchecked) {
  return "whether the components fit cannot be told: " + unchecked.role + " needs " +
         list_text(unchecked.facts) + ", no other component states any of it";
}

std::string to_string(const FitCheck& check) {
  std::string text = printable(check.name) + ": " + printable(check.required_by) + " needs " +
                     value_text(check.required);
  if (check.outcome == FitCheck::Outcome::unstated) return text + ", no other component states it";
  return text + ", " + printable(check.provided_by) + " has " + value_text(check.provided);
}

std::string_view to_string(FitCheck::Outcome outcome) {
  switch (outcome) {
    case FitCheck::Outcome::agrees:
      return "agrees";
    case FitCheck::Outcome::differs:
      return "differs";
    case FitCheck::Outcome::unstated:
      return "unstated";
  }
  return "unstated";
}

}  // namespace craftbundle
