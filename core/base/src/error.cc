#include "craftbundle/detail/base/error.h"

#include <cerrno>
#include <cstring>
#include <system_error>

namespace craftbundle {
namespace {

std::string_view errno_code(int error_number) {
  switch (error_number) {
    case ENOENT:
      return "io.enoent";
    case EACCES:
    case EPERM:
      return "io.eacces";
    case ENOSPC:
      return "io.enospc";
    case EDQUOT:
      return "io.edquot";
    case EFBIG:
      return "io.efbig";
    case EROFS:
      return "io.erofs";
    case EMFILE:
    case ENFILE:
      return "io.emfile";
    case ENOTDIR:
      return "io.enotdir";
    case ENAMETOOLONG:
      return "io.enametoolong";
    case ELOOP:
      return "io.eloop";
    case ENOMEM:
      return "io.enomem";
    case EIO:
      return "io.eio";
    default:
      return "io.error";
  }
}

std::string_view default_hint(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return "free some space, or write to another file system";
    case EROFS:
      return "write to another file system";
    case EACCES:
    case EPERM:
      return "'ls -ld' shows whose it is; use another place, or have its owner change the mode";
    case EMFILE:
    case ENFILE:
      return "allow more open files ('ulimit -n'), or do less at a time";
    case ENAMETOOLONG:
      return "use a shorter name";
    case ENOTDIR:
      return "a part of the path is a file, and no directory";
    case ELOOP:
      return "a link on the way leads back to itself";
    case EIO:
      return "the disk or the network has failed, 'dmesg' may say more";
    default:
      return {};
  }
}

}  // namespace

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
      return "usage";
    case ErrorKind::input:
      return "input";
    case ErrorKind::system:
      return "system";
    case ErrorKind::plugin:
      return "plugin";
    case ErrorKind::mismatch:
      return "mismatch";
    case ErrorKind::interrupted:
      return "interrupted";
    case ErrorKind::internal:
      return "internal";
  }
  return "internal";
}

Error::Error(ErrorKind kind, std::string_view code, std::string message, std::string hint)
    : kind_(kind), code_(code), message_(std::move(message)), hint_(std::move(hint)) {}

Error& Error::add_context(std::string_view where) {
  message_.insert(0, ": ");
  message_.insert(0, where);
  contexts_.emplace(contexts_.begin(), where);
  return *this;
}

Error& Error::about(std::string_view subject) {
  subject_ = subject;
  return *this;
}

const char* Error::what() const noexcept { return message_.c_str(); }

std::string Error::bare_message() const {
  std::size_t length = 0;
  for (const std::string& context : contexts_) length += context.size() + 2;
  return message_.substr(length);
}

std::string Error::message_within(std::string_view where) const {
  std::size_t length = 0;
  for (const std::string& context : contexts_) {
    length += context.size() + 2;
    if (context == where) return message_.substr(length);
  }
  return message_;
}

Error system_error(int error_number, std::string_view what, std::string hint) {
  if (hint.empty()) hint = default_hint(error_number);
  return Error(ErrorKind::system, errno_code(error_number),
               std::generic_category().message(error_number), std::move(hint))
      .add_context(what);
}

}  // namespace craftbundle
