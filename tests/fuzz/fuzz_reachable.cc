#include <unordered_set>

#include "craftbundle/detail/base/error.h"
#include "fuzz_target.h"
#include "unpickler.h"

namespace {

using craftbundle::Object;

// The walk comes to every object once, to nothing that is not held by one it came to, and into none
// that it is told to stay out of.
void check_walk(Object root) {
  std::unordered_set<std::uint32_t> held = {root.id()};
  std::unordered_set<std::uint32_t> seen;
  craftbundle::for_each_reachable(root, [&](Object object) {
    if (!held.contains(object.id()) || !seen.insert(object.id()).second) __builtin_trap();
    std::vector<Object> next;
    append_held(object, next);
    for (const Object& other : next) held.insert(other.id());
  });
  if (held != seen) __builtin_trap();
  std::size_t visits = 0;
  craftbundle::for_each_reachable(root, [&](Object) {
    ++visits;
    return false;
  });
  if (visits != 1) __builtin_trap();
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace craftbundle;
  try {
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    const Pickle pickle = read_pickle(PickleInput(bytes));
    check_walk(pickle.tree->root());
  } catch (const Error&) {
  }
  return 0;
}
