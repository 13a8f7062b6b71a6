// What can be said of a shared library without mapping it: its ELF file, read with bounds.
#pragma once

#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/io/path.h"

namespace CRAFTBUNDLE_API craftbundle {

// Judges whether the dynamic linker can map the file: ELF header of this machine, a shared library
// that is no program, every segment inside the file (a segment that is cut off would end the
// process with SIGBUS). Throws Error(plugin): "plugin.unreadable", "plugin.not_a_file",
// "plugin.not_elf", "plugin.truncated", "plugin.wrong_arch", "plugin.not_shared".
void check_elf(const Path& library);
void check_elf(const InputFile& library);

// Whether it looks for what it needs beside itself ($ORIGIN in DT_RPATH or DT_RUNPATH). Throws as
// check_elf, and "plugin.not_elf" when the tables do not hold together.
bool finds_by_origin(const InputFile& library);

// What a library needs and offers, by its dynamic section and symbol table.
struct ElfNames {
  std::vector<std::string> needed;    // DT_NEEDED, in order
  std::vector<std::string> exported;  // defined symbols that others can see, sorted
};

// Throws as check_elf, and "plugin.not_elf" when the tables do not hold together.
ElfNames read_elf_names(const Path& library);

}  // namespace craftbundle
