#include "craftbundle/detail/base/error.h"
#include "fuzz_target.h"
#include "support/exercise.h"
#include "unpickler.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace craftbundle;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  try {
    const Pickle pickle = read_pickle(PickleInput(bytes));
    if (pickle.size > size) __builtin_trap();
    for_each_reachable(pickle.tree->root(), [](Object object) { (void)describe(object); });
    for (const GlobalReference& reference : list_globals(*pickle.tree)) {
      if (reference.name.empty() || reference.where.empty()) __builtin_trap();
    }
  } catch (const Error&) {
  }
  return 0;
}
