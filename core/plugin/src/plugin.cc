#include "craftbundle/plugin/plugin.h"

#include <ranges>

namespace craftbundle {

void LineFailure::set(const Error& error) {
  failed = true;
  kind = error.kind();
  code = error.code();
  message = error.message();
  hint = error.hint();
  subject = error.subject();
  contexts = error.contexts();
}

void LineFailure::set(std::string_view failure_code, std::string_view failure_message) {
  set(Error(ErrorKind::plugin, failure_code, std::string(failure_message)));
}

void LineFailure::raise() const {
  std::size_t length = 0;
  for (const std::string& context : contexts) length += context.size() + 2;
  Error error(kind, code, message.substr(length), hint);
  error.about(subject);
  for (const std::string& context : contexts | std::views::reverse) error.add_context(context);
  throw error;
}

}  // namespace craftbundle
