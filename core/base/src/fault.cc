#include "craftbundle/detail/base/fault.h"

namespace craftbundle {

bool is_fault_of_machine(const Error& error) {
  return error.kind() == ErrorKind::system &&
         (error.code() == "io.emfile" || error.code() == "io.enomem" || error.code() == "io.eio");
}

}  // namespace craftbundle
