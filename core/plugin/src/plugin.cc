#include "craftbundle/plugin/plugin.h"

namespace craftbundle {

void LineFailure::set(const Error& error) {
  failed = true;
  kind = error.kind();
  code = error.code();
  message = error.message();
  hint = error.hint();
}

void LineFailure::set(std::string_view failure_code, std::string_view failure_message) {
  failed = true;
  kind = ErrorKind::plugin;
  code = failure_code;
  message = failure_message;
  hint.clear();
}

void LineFailure::raise() const { throw Error(kind, code, message, hint); }

}  // namespace craftbundle
