#include "escape.h"

#include <iterator>

#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

// Longer than anything that a person reads.
constexpr std::size_t kLongest = 10'000;

void escape(std::string& text) { text = printable(text, kLongest); }

void escape(std::vector<std::string>& texts) {
  for (std::string& text : texts) escape(text);
}

void escape(std::vector<SummaryItem>& items) {
  for (SummaryItem& item : items) {
    escape(item.name);
    escape(item.value);
  }
}

void escape(std::vector<FitFact>& facts) {
  for (FitFact& fact : facts) {
    escape(fact.origin);
    if (auto* text = std::get_if<std::string>(&fact.value)) escape(*text);
  }
}

}  // namespace

void escape(Component& component) {
  escape(component.provides);
  escape(component.requires_);
  escape(component.summary);
  escape(component.checks);
  escape(component.warnings);
  for (LoaderAnswer& answer : component.loaders) {
    escape(answer.loader);
    escape(answer.words);
  }
  escape(component.load_with);
}

void escape(StageOutcome& outcome) {
  escape(outcome.summary);
  escape(outcome.checks);
  escape(outcome.warnings);
}

void escape(BundleFile& file) {
  escape(file.warnings);
  escape(file.use);
}

Error escaped(const Error& error) {
  Error result(error.kind(), printable(error.code()), printable_lines(error.bare_message()),
               printable_lines(error.hint()));
  result.about(error.subject());
  const std::vector<std::string>& contexts = error.contexts();
  for (auto context = contexts.rbegin(); context != contexts.rend(); ++context) {
    result.add_context(printable_lines(*context));
  }
  return result;
}

}  // namespace craftbundle
