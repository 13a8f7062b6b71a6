#include "craftbundle/detail/base/fault.h"

#include <exception>
#include <new>

#include "craftbundle/detail/base/text.h"

namespace craftbundle {

bool is_fault_of_machine(const Error& error) {
  if (error.kind() != ErrorKind::system) return false;
  for (const char* code : {"io.emfile", "io.enomem", "io.eio", "run.memory", "run.threads"}) {
    if (error.code() == code) return true;
  }
  return false;
}

Error memory_error() {
  return Error(ErrorKind::system, "run.memory", "out of memory",
               "let the process have more memory: 'ulimit -v' shows its limit");
}

Error thread_error(const std::error_code& failure) {
  return Error(ErrorKind::system, "run.threads", "cannot start a thread: " + failure.message(),
               "let the process have more memory and threads: 'ulimit -a' shows the limits");
}

Error current_error() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return memory_error();
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::not_enough_memory) return memory_error();
    if (error.code() == std::errc::resource_unavailable_try_again) {
      return thread_error(error.code());
    }
    return Error(ErrorKind::internal, "run.internal",
                 "unexpected failure: " + printable(error.what()), "please report this");
  } catch (const std::exception& error) {
    return Error(ErrorKind::internal, "run.internal",
                 "unexpected failure: " + printable(error.what()), "please report this");
  } catch (...) {
    return Error(ErrorKind::internal, "run.internal",
                 "unexpected failure: an exception that is no std::exception",
                 "please report this");
  }
}

}  // namespace craftbundle
