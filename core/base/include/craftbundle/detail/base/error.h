// The one error type of Craftbundle.
//
// Core reports failure by throwing Error and nothing else (docs/design.md, "Errors"). An Error says
// what the caller can do about it (kind), which check failed (code, stable, tested), and, in words,
// the culprit, what was found, what was expected and what to do next.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// What the caller can do about an error. The values are not persisted.
enum class ErrorKind {
  usage,        // the request is wrong: fix the call (unknown option, target exists)
  input,        // the source is malformed, unsafe or not what was asked for: fix the source
  system,       // the operating system refused: disk full, no permission, I/O error
  plugin,       // an exporter plugin is missing, refused or failed: fix the installation
  mismatch,     // everything is readable, but a check of the contents failed
  interrupted,  // cancelled by the user
  internal,     // a bug in Craftbundle
};

// Lower-case word for `kind`, as used in JSON output ("usage", "input", ...).
std::string_view to_string(ErrorKind kind);

// Thrown by every layer of core. Copyable, like every exception object; owns its text, so it stays
// valid after the object that threw it is gone.
//
// Text that came from a file must pass through quoted() or printable() (base/text.h) before it
// becomes part of a message.
//
// Messages are for people. Whoever decides by an Error asks kind(), code(), subject() and
// contexts(), never the text.
class Error : public std::exception {
 public:
  // `code` names the failed check, "<group>.<check>" in lower case, for example "zip.crc".
  // `message` is one or more sentences without a final period on the last one.
  // `hint` is the next step for the user ("pass --force to replace it"); may be empty.
  Error(ErrorKind kind, std::string_view code, std::string message, std::string hint = {});

  ErrorKind kind() const noexcept { return kind_; }
  const std::string& code() const noexcept { return code_; }
  const std::string& hint() const noexcept { return hint_; }

  // The message with all context in front: "checkpoint.th: record 'data/3': CRC-32 is ...".
  const std::string& message() const noexcept { return message_; }
  // Defined in libcraftbundle, so that the type is one and the same in all libraries.
  const char* what() const noexcept override;

  // The context, outermost first: "checkpoint.th", "record 'data/3'".
  const std::vector<std::string>& contexts() const noexcept { return contexts_; }
  // The message without any context: "CRC-32 is ...".
  std::string bare_message() const;
  // The message without the context `where` and what is outside of it; the whole message when there
  // is no such context.
  std::string message_within(std::string_view where) const;

  // What in the request is the culprit, for callers who show where it was written:
  // "option:NAME", "key:NAME" of a configuration; empty when nothing says so.
  const std::string& subject() const noexcept { return subject_; }
  Error& about(std::string_view subject);

  // Puts "`where`: " in front of the message. Called on the way up, outermost last.
  Error& add_context(std::string_view where);

 private:
  ErrorKind kind_;
  std::string code_;
  std::string message_;
  std::string hint_;
  std::string subject_;
  std::vector<std::string> contexts_;
};

// Runs `action`; an Error that leaves it gains `where` as context. `where` is only evaluated on
// failure when it is a callable returning std::string.
template <typename Where, typename Action>
decltype(auto) with_context(Where&& where, Action&& action) {
  try {
    return action();
  } catch (Error& error) {
    if constexpr (requires { std::string(where()); }) {
      error.add_context(where());
    } else {
      error.add_context(where);
    }
    throw;
  }
}

// Error of kind system from errno: "<what>: <strerror text>", `what` being context. The code is
// "io.<errno name>" for the errors a user can act on (io.enospc, io.eacces, io.enoent, ...), else
// "io.error".
Error system_error(int error_number, std::string_view what, std::string hint = {});

}  // namespace craftbundle
