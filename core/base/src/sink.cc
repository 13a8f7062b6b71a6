#include "craftbundle/detail/base/sink.h"

#include "craftbundle/detail/base/error.h"

namespace craftbundle {

void Sink::log(LogLevel /*level*/, std::string_view /*message*/) noexcept {}
void Sink::progress(const Progress& /*progress*/) noexcept {}

Sink& Sink::none() {
  static Sink sink;
  return sink;
}

void Cancellation::check() const {
  if (cancelled()) throw Error(ErrorKind::interrupted, "run.interrupted", "interrupted");
}

const Cancellation& Cancellation::never() {
  static const Cancellation cancellation;
  return cancellation;
}

}  // namespace craftbundle
