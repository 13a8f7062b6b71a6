#include "craftbundle/detail/bundle/fit.h"

#include <algorithm>
#include <cmath>

#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

constexpr double kRelativeTolerance = 1e-9;

// The value as a number, when it is one.
std::optional<double> number(const FactValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
  if (const auto* real = std::get_if<double>(&value)) return *real;
  return std::nullopt;
}

bool same(const FactValue& a, const FactValue& b) {
  // Integers beyond 2^53 would be rounded as doubles.
  if (std::holds_alternative<std::int64_t>(a) && std::holds_alternative<std::int64_t>(b)) {
    return a == b;
  }
  const std::optional<double> x = number(a);
  const std::optional<double> y = number(b);
  if (x && y) {
    return std::abs(*x - *y) <= kRelativeTolerance * std::max(std::abs(*x), std::abs(*y));
  }
  return !x && !y && a == b;
}

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
          check.outcome = same(required.value, provided.value) ? FitCheck::Outcome::agrees
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
