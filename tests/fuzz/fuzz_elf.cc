#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/host/elf.h"
#include "fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace craftbundle;
  const testing::MemoryFile memory({data, size});
  const InputFile file(memory.path());
  try {
    check_elf(file);
    finds_by_origin(file);
    read_elf_names(memory.path());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::plugin) __builtin_trap();
  }
  return 0;
}
