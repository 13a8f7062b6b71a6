// Tells checkpoints from the files that people confuse with them.
#pragma once

#include "craftbundle/detail/io/input_file.h"

namespace craftbundle {

enum class FileFormat { zip, legacy };

// Looks at the first bytes. Throws Error(input, "format.*") that says what the file is and what to
// do, for everything that torch.save did not write.
FileFormat recognize(const InputFile& file);

}  // namespace craftbundle
